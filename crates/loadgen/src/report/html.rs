//! The report for people: one page, which a browser shows without a network, on a phone, in the
//! dark and on paper.

use std::fmt::Write as _;

use tenfold_chart::{Plot, stylesheet};

use crate::report::{Report, words};

mod compare;
mod course;
mod limit;
mod overload;
mod pictures;
mod run;

pub(super) use pictures::pictures;

/// The whole page.
pub(super) fn page(report: &Report, earlier: Option<&Report>) -> String {
    let mut page = Page::default();
    page.raw("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    page.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    page.raw("<meta name=\"color-scheme\" content=\"light dark\">\n");
    page.element("title", "", &format!("Load report: {}", report.target));
    page.raw(&format!(
        "<style>\n{}{}</style>\n</head>\n<body>\n",
        include_str!("html/page.css"),
        stylesheet()
    ));
    head(report, &mut page);
    if let Some(overload) = &report.overload {
        let earlier = earlier.and_then(|earlier| earlier.overload.as_ref());
        overload::section(overload, earlier, report.latency_ms_max, &mut page);
    }
    if let Some(limit) = &report.limit {
        limit::section(limit, &mut page);
    }
    if let Some(run) = &report.run {
        run::section(run, report.latency_ms_max, &mut page);
    }
    if let Some(earlier) = earlier {
        compare::section(&report.compare(earlier), earlier, &mut page);
    }
    foot(report, &mut page);
    page.raw("</body>\n</html>\n");
    page.text
}

/// The verdict, and the few figures that everybody asks for.
fn head(report: &Report, page: &mut Page) {
    page.raw("<header>\n");
    page.element("p", "what", &format!("Load report · {}", report.target));
    page.element("h1", "", &together(&report.verdict()));
    page.raw("<dl class=\"figures\">\n");
    for figure in figures(report) {
        page.raw("<div>");
        page.element("dt", "", &figure.name);
        page.raw(&format!("<dd><b>{}</b>", escape(&figure.value)));
        page.element("span", "", &together(&figure.note));
        page.raw("</dd></div>\n");
    }
    page.raw("</dl>\n");
    for crossed in &report.crossed {
        page.element("p", "warning", &together(&format!("Threshold crossed: {crossed}.")));
    }
    page.raw("</header>\n");
}

/// One of the figures at the head of the page.
struct Figure {
    name: String,
    value: String,
    note: String,
}

fn figures(report: &Report) -> Vec<Figure> {
    let mut figures = Vec::new();
    if let Some(limit) = &report.limit {
        figures.extend(limit::figures(limit));
    }
    if let Some(overload) = &report.overload {
        if report.limit.is_none() {
            figures.push(overload::limit_figure(overload));
        }
        figures.extend(overload::figures(overload));
    }
    if let Some(run) = &report.run {
        figures.extend(run::figures(run));
    }
    figures
}

fn foot(report: &Report, page: &mut Page) {
    page.raw("<footer>\n");
    if !report.scenario.is_empty() {
        page.raw("<details><summary>The scenario</summary>");
        page.element("pre", "", &report.scenario);
        page.raw("</details>\n");
    }
    page.raw("<details><summary>What the words mean</summary><dl class=\"words\">\n");
    for (word, meaning) in MEANINGS {
        page.element("dt", "", word);
        page.element("dd", "", meaning);
    }
    page.raw("</dl></details>\n");
    let made =
        format!("Made by {}, {}. All figures and histograms: report.json", report.tool, report.at);
    page.element("p", "", &made);
    page.raw("</footer>\n");
}

const MEANINGS: &[(&str, &str)] = &[
    (
        "latency",
        "From the moment at which a request was meant to be sent until its answer was whole: who comes during a stall waits for its end, so that wait counts. Only right answers, good and slow ones, have a place in percentiles.",
    ),
    ("p99", "99 of 100 answers were at least this fast."),
    ("good", "The right status and body, within the latency that the scenario allows."),
    ("slow", "Right, but later than that."),
    ("wrong", "Another status or body than the scenario calls right."),
    ("refused", "Turned away with 429 or 503."),
    ("timed out", "No whole answer within the client's patience."),
    ("failed", "No connection, a broken one, or no HTTP."),
    (
        "not offered",
        "The generator could not send it, because no connection was free; it counts as not good.",
    ),
    ("goodput", "Good answers per second."),
    (
        "limit",
        "The highest rate at which enough of the requests are good, to the end of each probe.",
    ),
    (
        "in hand",
        "Requests on their way at one time, on average: throughput × mean time (Little's law).",
    ),
];

/// A page under way. All text is escaped but what `raw` takes.
#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    fn raw(&mut self, html: &str) {
        self.text.push_str(html);
    }

    fn element(&mut self, name: &str, class: &str, text: &str) {
        let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
        let text = escape(text);
        writeln!(self.text, "<{name}{class}>{text}</{name}>").expect("a string takes all");
    }

    fn open(&mut self, heading: &str) {
        self.raw("<section>\n");
        self.element("h2", "", heading);
    }

    fn close(&mut self) {
        self.raw("</section>\n");
    }

    fn paragraph(&mut self, text: &str) {
        self.element("p", "", &together(text));
    }

    fn figure(&mut self, plot: &Plot) {
        let (title, picture) = (escape(&plot.title), plot.responsive());
        let note = escape(&plot.note);
        self.raw(&format!(
            "<figure>\n<figcaption><b>{title}</b> {note}</figcaption>\n{picture}</figure>\n"
        ));
    }

    /// A table whose first column names the row, and whose others are figures.
    fn table(&mut self, caption: &str, heads: &[&str], rows: &[Vec<String>]) {
        self.element("h3", "", caption);
        let label = escape(caption);
        self.raw(&format!("<div class=\"scroll\"><table aria-label=\"{label}\">\n"));
        let cells = |name: &str, scope: &str, cells: &mut dyn Iterator<Item = String>| {
            let cells: String =
                cells.map(|cell| format!("<{name}{scope}>{}</{name}>", escape(&cell))).collect();
            cells
        };
        let mut heads = heads.iter().map(|head| (*head).to_owned());
        let head = cells("th", " scope=\"col\"", &mut heads);
        self.raw(&format!("<thead><tr>{head}</tr></thead>\n<tbody>\n"));
        for row in rows {
            let mut row = row.iter().cloned();
            let first = cells("th", " scope=\"row\"", &mut row.by_ref().take(1));
            let others = cells("td", "", &mut row);
            self.raw(&format!("<tr>{first}{others}</tr>\n"));
        }
        self.raw("</tbody></table></div>\n");
    }
}

/// A latency where there may be none.
fn latency(ms: Option<f64>) -> String {
    ms.map_or_else(|| "–".to_owned(), words::milliseconds)
}

/// No line ends between a number and its unit.
fn together(text: &str) -> String {
    let mut parts = text.split(' ');
    let mut joined = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let unit = part.trim_end_matches(|end: char| ".,;:)".contains(end));
        let is_unit = matches!(unit, "ms" | "s" | "µs" | "%");
        let follows_number = joined.ends_with(|end: char| end.is_ascii_digit());
        joined.push(if is_unit && follows_number { '\u{a0}' } else { ' ' });
        joined.push_str(part);
    }
    joined
}

/// Nothing that somebody put into a name may become a part of the page.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            _ if character.is_control() && character != '\n' && character != '\t' => {}
            _ => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_stays_with_its_number() {
        assert_eq!(
            together("24.4 ms, 5 s and a 100 %."),
            "24.4\u{a0}ms, 5\u{a0}s and a 100\u{a0}%."
        );
        assert_eq!(together("of 5 requests  s"), "of 5 requests  s");
    }

    #[test]
    fn names_stay_text() {
        assert_eq!(
            escape("<b>\"a\" & b\u{1b}[1m</b>"),
            "&lt;b&gt;&quot;a&quot; &amp; b[1m&lt;/b&gt;"
        );
        let mut page = Page::default();
        page.table("one & all", &["<class>"], &[vec!["<script>".to_owned()]]);
        assert!(!page.text.contains("<script>") && page.text.contains("&lt;script&gt;"));
    }
}
