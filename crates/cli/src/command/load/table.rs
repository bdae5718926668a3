//! Figures in columns, as wide as the terminal is: in a narrow one first the padding goes, then the
//! columns that matter least; where even that is too wide, each row has its name on a line of its
//! own.

/// What stands between two columns.
const GAP: usize = 1;

/// Before the figures of a row whose name has its own line.
const INDENT: usize = 2;

/// One column. The first is the names of the rows.
#[derive(Clone, Copy)]
pub(super) struct Column {
    head: &'static str,
    /// Its width where there is room.
    width: usize,
    /// Which is left out first where there is none: the highest. 0 stays.
    spare: u8,
}

impl Column {
    /// A heading, its width, and how soon it may be left out.
    pub(super) fn new(head: &'static str, width: usize, spare: u8) -> Column {
        Column { head, width, spare }
    }
}

pub(super) struct Table<const N: usize> {
    columns: [Column; N],
    rows: Vec<[String; N]>,
}

impl<const N: usize> Table<N> {
    pub(super) fn new(columns: [Column; N]) -> Table<N> {
        Table { columns, rows: Vec::new() }
    }

    pub(super) fn row(&mut self, cells: [String; N]) {
        self.rows.push(cells);
    }

    /// All lines of it, none wider than `room` if that can be.
    pub(super) fn lines(&self, room: usize) -> Vec<String> {
        let needed = |column: usize| {
            let cells = self.rows.iter().map(|row| row[column].chars().count());
            cells.chain([self.columns[column].head.chars().count()]).max().unwrap_or_default()
        };
        let narrow: Vec<usize> = (0..N).map(needed).collect();
        let wide = narrow.iter().zip(&self.columns).map(|(width, it)| it.width.max(*width));
        let wide: Vec<usize> = wide.collect();
        let all: Vec<usize> = (0..N).collect();
        let heads = self.columns.map(|column| column.head.to_owned());
        let lines = |widths: &[usize], kept: &[usize]| {
            let rows = [&heads].into_iter().chain(&self.rows);
            rows.map(|row| line(row, widths, kept)).collect()
        };
        if width(&wide, &all) <= room {
            return lines(&wide, &all);
        }
        let kept = self.fitting(&narrow, room);
        if width(&narrow, &kept) <= room {
            return lines(&narrow, &kept);
        }
        let mut indented = narrow;
        indented[0] = INDENT - GAP;
        let kept = self.fitting(&indented, room);
        let figures = |row: &[String; N]| {
            let mut row = row.clone();
            row[0].clear();
            line(&row, &indented, &kept)
        };
        let rows = self.rows.iter().flat_map(|row| [row[0].clone(), figures(row)]);
        [figures(&heads)].into_iter().chain(rows).collect()
    }

    /// The columns that fit, or those that stay in any case.
    fn fitting(&self, widths: &[usize], room: usize) -> Vec<usize> {
        let mut kept: Vec<usize> = (0..N).collect();
        let spare = |column: &usize| self.columns[*column].spare;
        while width(widths, &kept) > room {
            match kept.iter().copied().max_by_key(spare).filter(|column| spare(column) > 0) {
                Some(column) => kept.retain(|one| *one != column),
                None => break,
            }
        }
        kept
    }
}

/// How wide a line of these columns is.
fn width(widths: &[usize], kept: &[usize]) -> usize {
    let figures: usize = kept.iter().map(|column| widths[*column] + GAP).sum();
    figures.saturating_sub(GAP)
}

/// Names begin where the line does, figures end where their column does.
fn line<const N: usize>(cells: &[String; N], widths: &[usize], kept: &[usize]) -> String {
    let mut line = String::new();
    for column in kept.iter().copied() {
        let (cell, width) = (&cells[column], widths[column]);
        match column {
            0 => line += &format!("{cell:<width$}"),
            _ => line += &format!("{:GAP$}{cell:>width$}", ""),
        }
    }
    line.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(name: &str) -> Table<4> {
        let mut table = Table::new([
            Column::new("", 8, 0),
            Column::new("good/s", 9, 0),
            Column::new("p50", 9, 2),
            Column::new("p99", 9, 1),
        ]);
        table.row([name, "1200", "1.2 ms", "33.0 ms"].map(str::to_owned));
        table
    }

    #[test]
    fn what_matters_least_goes_first() {
        let of = |room| table("1x").lines(room);
        assert_eq!(
            of(79),
            ["            good/s       p50       p99", "1x            1200    1.2 ms   33.0 ms"]
        );
        assert_eq!(of(30), ["   good/s    p50     p99", "1x   1200 1.2 ms 33.0 ms"]);
        assert_eq!(of(20), ["   good/s     p99", "1x   1200 33.0 ms"]);
        assert_eq!(of(12), ["   good/s", "1x   1200"]);
        for room in 9..80 {
            assert!(of(room).iter().all(|line| line.chars().count() <= room), "{room}");
        }
    }

    #[test]
    fn a_name_that_leaves_no_room_has_its_own_line() {
        let lines = table("the slowest λ of all").lines(21);
        assert_eq!(lines, ["  good/s     p99", "the slowest λ of all", "    1200 33.0 ms"]);
    }
}
