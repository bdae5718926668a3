//! Lays out rows of text for a terminal.

/// A table with a heading, its columns as wide as they must be.
pub fn table<const COLUMNS: usize>(
    heading: &[&str; COLUMNS],
    rows: impl Iterator<Item = [String; COLUMNS]>,
) -> String {
    let rows: Vec<[String; COLUMNS]> =
        std::iter::once(heading.map(str::to_owned)).chain(rows).collect();
    let mut widths = [0; COLUMNS];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut lines: Vec<String> = rows.iter().map(|row| line(row, &widths)).collect();
    lines.insert(1, widths.map(|width| "─".repeat(width)).join("  "));
    lines.join("\n")
}

fn line(row: &[String], widths: &[usize]) -> String {
    let cells: Vec<String> =
        row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
    cells.join("  ").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [["a".to_owned(), "µ".to_owned()], ["long".to_owned(), "b".to_owned()]];
        assert_eq!(
            table(&["name", "value"], rows.into_iter()),
            "name  value\n────  ─────\na     µ\nlong  b"
        );
        assert_eq!(table(&["x"], std::iter::empty()), "x\n─");
    }
}
