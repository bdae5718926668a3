//! `docs/operating/limits.md` says what the settings say: it is made from them.
//!
//! `cargo xtask docs` writes it anew.

use std::fmt::Write as _;
use std::path::Path;

use tenfold_config::{Documented, environment};
use tenfold_service::known_settings;

const HEAD: &str = "\
# Limits

Every limit of a service, its default, and what happens at it. Each is a key of `tenfold.toml`, a
variable (`TENFOLD_SERVER_REQUEST_TIMEOUT`) and a flag (`--set server.request_timeout=5s`). Which of
them answers which attack is in `docs/guides/hardening.md`.

This page is made from the types of the settings by `cargo xtask docs`; a test says when it is old.
";

const PAGE: &str = "docs/operating/limits.md";

#[test]
fn the_page_of_limits_is_fresh() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(PAGE);
    let page = page();
    if environment::var("TENFOLD_TEST_WRITE_DOCS").is_some() {
        return std::fs::write(path, page).unwrap();
    }
    let stored = std::fs::read_to_string(path).unwrap();
    assert!(stored == page, "{PAGE} is old: write it anew with `cargo xtask docs`");
}

fn page() -> String {
    let mut page = HEAD.to_owned();
    let mut section = String::new();
    for row in known_settings().documented().iter().filter(|row| is_limit(row)) {
        let of = row.key.split('.').next().unwrap();
        if of != section {
            section = of.to_owned();
            let head = "| setting | default | takes | what it bounds |\n|---|---|---|---|";
            writeln!(page, "\n## {section}\n\n{head}").unwrap();
        }
        let default = if row.default.is_empty() { "not set" } else { &row.default };
        let cells = [&format!("`{}`", row.key), default, &row.expected, &row.doc].map(cell);
        writeln!(page, "| {} |", cells.join(" | ")).unwrap();
    }
    page
}

/// What has a range is a limit, unless it is a port; what has none is a name, a file, a choice.
fn is_limit(row: &Documented) -> bool {
    let is_port = row.key.ends_with("_port");
    !is_port
        && [" from ", " of at most ", " of at least "]
            .iter()
            .any(|range| row.expected.contains(range))
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
