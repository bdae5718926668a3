//! The page as a real browser shows it.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tenfold_testkit::{run, tool};

use super::sample::report;
use crate::report::Report;

/// What the page tells about itself, once it is laid out: how many pictures are seen, what has no
/// size, how wide the content is, and what is too wide.
const ASK: &str = "<script>addEventListener('load', () => {
    const seen = (element) => element.getBoundingClientRect().height > 0;
    const pictures = [...document.querySelectorAll('svg')].filter(seen);
    const wide = [...document.querySelectorAll('body *')].filter((element) =>
        !element.closest('.scroll, details, svg') &&
        element.getBoundingClientRect().right > innerWidth + 1);
    document.body.dataset.told = JSON.stringify([
        pictures.length,
        [...document.querySelectorAll('section')].filter((element) => !seen(element)).length,
        document.documentElement.scrollWidth <= innerWidth,
        wide.map((element) => element.tagName).join(),
        getComputedStyle(document.body).backgroundColor,
    ]);
});</script>";

async fn tells(page: &str, flags: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("page.html");
    std::fs::write(&file, page.replace("</body>", &format!("{ASK}</body>"))).unwrap();
    let output = chromium(folder.path(), &file, &[flags, &["--dump-dom"]].concat()).await;
    let told = output.split("data-told=\"").nth(1).and_then(|rest| rest.split('"').next());
    // The browser writes the quotes of the attribute in its own way.
    told.unwrap_or_else(|| panic!("{output}")).replace("&quot;", "\"")
}

async fn chromium(folder: &Path, file: &Path, flags: &[&str]) -> String {
    let mut command = Command::new(tool("chromium"));
    command
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"])
        .args(["--disable-background-networking", "--enable-logging=stderr"])
        .arg(format!("--user-data-dir={}", folder.join("profile").display()))
        .args(flags)
        .arg(format!("file://{}", file.display()));
    let output = run(command, b"", Duration::from_secs(100)).await.unwrap();
    assert!(output.status.success(), "{}", output.stderr);
    let complaints: Vec<&str> =
        output.stderr.lines().filter(|line| line.contains("CONSOLE")).collect();
    assert_eq!(complaints, [""; 0], "the browser complains");
    output.stdout
}

async fn check(report: &Report, pictures: usize) {
    for (width, dark) in [(1200, false), (1200, true), (500, false)] {
        let size = format!("--window-size={width},900");
        let mut flags = vec![size.as_str()];
        flags.extend(dark.then_some("--blink-settings=preferredColorScheme=0"));
        let ground = if dark { "rgb(18, 22, 28)" } else { "rgb(255, 255, 255)" };
        let expected = format!("[{pictures},0,true,\"\",\"{ground}\"]");
        assert_eq!(tells(&report.to_html(), &flags).await, expected, "{width} {dark}");
    }
}

#[tokio::test]
async fn shows_everything_in_light_and_dark_and_on_a_phone() {
    check(&report(), 8).await;
}

#[tokio::test]
async fn a_report_of_nothing_is_a_page_too() {
    let mut report = report();
    (report.run, report.limit, report.overload) = (None, None, None);
    check(&report, 0).await;
}
