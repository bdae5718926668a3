//! A load beside an earlier one: what has changed, what is noise, and what cannot be compared.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::service::{Answer, Service};
use super::{check, load};

/// A load whose report lies in this folder.
async fn keep(service: &Service, folder: &Path) {
    let shown = folder.display();
    let url = service.url();
    check(&load(&format!("run {url} --rate 100 --duration 1s --report {shown}")).await, 0);
}

#[tokio::test]
async fn what_is_the_same_is_noise_and_what_is_slower_is_worse() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::always("200 OK").await;
    keep(&service, folder.path()).await;
    let old = folder.path().join("report.json");
    let compared = format!("--rate 100 --duration 1s --compare {}", old.display());

    let same = load(&format!("run {} {compared}", service.url())).await;
    check(&same, 0);
    let row = |stdout: &str, name: &str| {
        let rows = stdout.lines().skip_while(|line| !line.starts_with("since 20"));
        rows.filter(|row| row.starts_with(name)).collect::<Vec<_>>().join("\n")
    };
    assert!(row(&same.stdout, "good ").ends_with("noise"), "{}", same.stdout);
    assert!(!same.stdout.contains("Another address"), "{}", same.stdout);

    let after = Duration::from_millis(80);
    let slower = Service::start(move |_| Answer { after, ..Answer::of("200 OK") }).await;
    let page = folder.path().join("new");
    let shown = page.display();
    let worse = load(&format!("run {} {compared} --report {shown}", slower.url())).await;
    check(&worse, 0);
    assert!(row(&worse.stdout, "p50").ends_with("worse"), "{}", worse.stdout);
    assert!(worse.stdout.contains("Another address was asked"), "{}", worse.stdout);
    let page = fs::read_to_string(page.join("report.html")).unwrap();
    assert!(page.contains("class=\"worse\"") && page.contains("Another address was asked"));
}

#[tokio::test]
async fn what_is_no_report_or_of_another_time_is_refused_before_any_load() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::always("200 OK").await;
    keep(&service, folder.path()).await;
    let report = fs::read_to_string(folder.path().join("report.json")).unwrap();
    let asked = service.count("get / ");
    for (name, text, why) in [
        ("old.json", report.replacen("\"version\": 1", "\"version\": 7", 1), "of version 7, and"),
        ("half.json", report[..report.len() / 2].to_owned(), "is no report of a load: EOF while"),
        ("page.json", "<html>".to_owned(), "is no report of a load: expected value"),
        ("empty.json", String::new(), "is no report of a load: EOF while"),
        ("other.json", "{\"a\": 1}".to_owned(), "missing field `version`"),
    ] {
        let file = folder.path().join(name);
        fs::write(&file, text).unwrap();
        let shown = file.display();
        let output = load(&format!("run {} --compare {shown}", service.url())).await;
        check(&output, 2);
        assert!(output.stderr.contains(why), "{name}: {}", output.stderr);
        let value = format!("error: invalid value '{shown}' for '--compare <OLD>': ");
        assert!(output.stderr.starts_with(&value), "{}", output.stderr);
        assert!(output.stderr.contains("the report.json of an earlier load"), "{}", output.stderr);
    }
    let empty = tempfile::tempdir().unwrap();
    let output = load(&format!("run {} --compare {}", service.url(), empty.path().display())).await;
    check(&output, 2);
    assert!(output.stderr.contains("report.json: No such file"), "{}", output.stderr);
    assert_eq!(service.count("get / "), asked, "nothing was offered");
}
