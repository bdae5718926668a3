//! A service that is killed while it is looked at: nothing that was found until then is told as if
//! it had been found to the end.

use std::fs;

use tenfold_loadgen::{Found, Report};
use tenfold_testkit::{Output, Program};

use super::check;
use super::service::Service;
use crate::support::tenfold;

/// What came of a load whose service was killed when this had been said. Where a neighbour took the
/// processor away from the generator, which then rightly believes nothing, it is tried again.
async fn killed_at(said: &str, arguments: &str) -> (Output, Report) {
    for _ in 0..4 {
        let seen = killed_once_at(said, arguments).await;
        if seen.0.status.code() != Some(3) {
            return seen;
        }
    }
    killed_once_at(said, arguments).await
}

async fn killed_once_at(said: &str, arguments: &str) -> (Output, Report) {
    let service = Service::always("200 OK").await;
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().display();
    let arguments = format!("load {arguments} --report {report}").replace("URL", &service.url());
    let mut program = Program::start(tenfold(arguments.split(' '))).unwrap();
    program.says(said).await;
    service.end();
    let output = program.end().await;
    let page = fs::read_to_string(folder.path().join("report.html")).unwrap();
    assert!(page.contains("went away"), "{page}");
    (output, Report::load(folder.path()).unwrap())
}

#[tokio::test]
async fn a_service_that_goes_away_during_a_search_has_no_limit_that_was_found() {
    let flags = "--rate-first 50 --rate-max 800 --probe 900ms --at-least 700";
    let (output, report) = killed_at("held", &format!("limit URL {flags}")).await;
    check(&output, 1);
    let verdict = report.verdict();
    assert!(verdict.starts_with("The service went away after it was offered "), "{verdict}");
    assert!(verdict.contains("its connections are refused: the limit found before"), "{verdict}");
    assert!(verdict.ends_with(" requests per second at least."), "{verdict}");
    assert!(output.stdout.contains(&verdict), "{}", output.stdout);
    assert!(output.stdout.contains("found before the service went away"), "{}", output.stdout);
    assert!(!output.stdout.contains("crossed"), "it is not known: {}", output.stdout);
    let limit = report.limit.unwrap();
    let unrecovered = limit.unrecovered.as_ref().unwrap();
    assert!(unrecovered.gone && unrecovered.why.contains("Connection refused"), "{unrecovered:?}");
    // Not even that it did not hold the last rate is known.
    assert!(matches!(limit.found, Found::Unfinished { held } if held >= 50.0), "{limit:?}");
    assert_eq!(limit.interval.1, None);
}

#[tokio::test]
async fn nor_is_anything_past_a_limit_that_was_not_found() {
    let flags = "--rate-first 50 --rate-max 800 --probe 900ms --goodput-min 0.5";
    let (output, report) = killed_at("held", &format!("overload URL {flags}")).await;
    check(&output, 1);
    assert!(report.overload.is_none() && report.crossed.is_empty());
    assert!(report.limit.unwrap().is_gone());
}

#[tokio::test]
async fn a_service_that_goes_away_past_its_limit_is_told_from_one_that_does_not_recover() {
    let flags = "--limit 20 --times 1,2 --hold 2s";
    let arguments = format!("overload URL {flags}");
    let (output, report) = killed_at("2x ", &format!("{arguments} --rest 1s")).await;
    check(&output, 1);
    let verdict = report.verdict();
    assert!(verdict.ends_with("and it went away: its connections are refused."), "{verdict}");
    let overload = report.overload.unwrap();
    assert!(overload.gone && overload.recovery.seconds.is_none());
    assert!(overload.recovery.why.starts_with("it is not there any more: "), "{overload:?}");

    // What was demanded and is not met comes first.
    let (output, report) =
        killed_at("2x ", &format!("{arguments} --recovery-max 500ms --rest 3s")).await;
    check(&output, 99);
    assert!(report.overload.unwrap().gone);
}
