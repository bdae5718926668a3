//! The report as it is kept and read again.

use std::time::Duration;

use super::sample::report;
use super::*;
use crate::ending::Ending;
use crate::outcome::Phase;
use crate::record::{Finished, Record};
use crate::search::{Found, Verdict};
use crate::validity::{Limit, Shortfall, Validity};

#[test]
fn what_is_written_is_read_again() {
    let report = report();
    let text = report.to_json();
    let again = Report::from_json(&text).unwrap();
    assert!(again.run == report.run && again.overload == report.overload, "every histogram");
    let probes = |report: &Report| report.limit.as_ref().unwrap().probes.clone();
    assert!(probes(&again) == probes(&report) && probes(&again)[0].latencies_us.is_some());
    assert_eq!(again.verdict(), report.verdict());
    assert!(again.to_json() == text, "to the last digit");
    assert!(again.to_html() == report.to_html());
}

#[test]
fn what_is_no_report_says_why() {
    let says = |text: &str| Report::from_json(text).unwrap_err().to_string();
    assert!(says("hello").starts_with("is no report of a load: expected value"));
    assert!(says("{}").contains("missing field `version`"));
    assert_eq!(says(r#"{"version":2}"#), "is a report of version 2, and version 1 is known");
    assert!(says(r#"{"version":1}"#).contains("missing field `tool`"));
    let text = report().to_json().replace("\"good\"", "\"splendid\"");
    assert!(says(&text).contains("\"splendid\" is no way to end"), "{}", says(&text));
    let text = report().to_json().replacen("\"lag_us\": \"H", "\"lag_us\": \"!", 1);
    assert!(says(&text).contains("lag_us: "), "{}", says(&text));
}

#[test]
fn unknown_fields_are_passed_over_and_absent_parts_are_none() {
    let mut report = report();
    (report.run, report.limit, report.overload) = (None, None, None);
    let text = report.to_json().replacen('{', "{\"mood\": \"good\",", 1);
    let text = text.replace("\"run\": null,", "");
    let again = Report::from_json(&text).unwrap();
    assert!(again.run.is_none() && again.limit.is_none());
    assert_eq!(again.verdict(), "Nothing was measured.");
}

/// A text without everything from here until there, that included, as an earlier version wrote it.
fn without(text: &str, from: &str, until: &str) -> String {
    let (before, after) = text.split_once(from).unwrap_or_else(|| panic!("no {from}"));
    format!("{before}{}", after.split_once(until).unwrap().1)
}

#[test]
fn why_requests_failed_and_what_was_answered_instead_is_kept_and_shown() {
    let mut report = report();
    (report.run, report.limit) = (None, None);
    let course = report.overload.as_ref().unwrap().course.clone();
    let told = course.answers_in_words().unwrap();
    assert!(told.starts_with("503 × ") && told.contains(", 429 × "), "{told}");
    assert_eq!(course.causes.len(), 1);
    let page = report.to_html();
    assert!(page.contains(&format!("Answers that were not right, by status: {told}.")), "{told}");
    assert!(page.contains("× TLS: &lt;i&gt;nobody&lt;/i&gt; trusts it."));
    let text = report.to_json();
    assert!(Report::from_json(&text).unwrap().overload == report.overload);

    // A report of the same version from before these were kept.
    let old = without(&text, "\"causes\": [", "\"wrong_bodies\": 0,");
    let old = Report::from_json(&old).unwrap().overload.unwrap().course;
    assert_eq!((old.answers_in_words(), old.causes.len()), (None, 0));
    assert_eq!(old.failures, course.failures);
}

#[test]
fn how_late_the_generator_was_and_what_it_lacked_is_kept_and_shown_by_phase() {
    let limit = Limit::Connections {
        not_offered: 7,
        spoilt: 30,
        intended: 9_000,
        wait_p99: Duration::from_millis(1_900),
        connections_max: 256,
    };
    let phase = Some((2, "10x".to_owned()));
    let mut outcome = sample::outcome(&[("1x", 1.0), ("2x", 2.0), ("10x", 10.0)]);
    outcome.record.phases[2].classes[0].first.spoilt = 30;
    outcome.validity = Validity::Generator(vec![Shortfall { phase, limit }]);
    let mut report = report();
    (report.overload, report.limit) = (None, None);
    report.run = Some(RunReport::of(&outcome, "a load"));
    let course = &report.run.as_ref().unwrap().course;
    let lags: Vec<u64> =
        course.stretches.iter().map(|one| one.lag_us.as_ref().unwrap().len()).collect();
    assert_eq!(lags, [2_000, 4_000, 20_000], "of each what was sent in it");
    assert_eq!(course.stretches[0].shortfalls, [""; 0]);
    assert_eq!(course.stretches[2].shortfalls.len(), 1);
    assert_eq!(course.stretches[2].not_offered, course.not_offered, "only there");
    assert_eq!(course.total().spoilt, 30);

    let page = report.to_html();
    for part in ["The generator, by phase", "not sent: backlog full", "sent in vain"] {
        assert!(page.contains(part), "{part}");
    }
    assert!(page.contains("What it lacked in 10×: 37 of 9000 requests found none of 256"));
    let text = report.to_json();
    assert!(Report::from_json(&text).unwrap().run == report.run);

    // A report of the same version from before these were kept.
    let mut old = report.clone();
    for stretch in &mut old.run.as_mut().unwrap().course.stretches {
        (stretch.lag_us, stretch.connection_wait_us) = (None, None);
        (stretch.not_offered, stretch.shortfalls) = (Vec::new(), Vec::new());
    }
    let mut text = old.to_json();
    for key in ["\"lag_us\": null,", "\"connection_wait_us\": null,", "\"spoilt\": 0,"] {
        assert!(text.contains(key), "{key}");
        text = text.replace(key, "");
    }
    let again = Report::from_json(&text).unwrap();
    assert!(!again.to_html().contains("The generator, by phase"));
    assert_eq!(again.verdict(), report.verdict());
}

#[test]
fn what_was_demanded_and_not_met_is_said_on_top() {
    let mut report = report();
    report.crossed = vec!["goodput at 10x is 42 % of its best, 90 % was demanded".to_owned()];
    assert!(
        report.verdict().ends_with("and it is itself again after 2 s; a threshold was crossed.")
    );
    let again = Report::from_json(&report.to_json()).unwrap();
    assert_eq!(again.crossed, report.crossed);
    report.crossed.push("recovery took 2 s, 1 s at most was demanded".to_owned());
    assert!(report.verdict().ends_with("after 2 s; 2 thresholds were crossed."));
    let page = report.to_html();
    let (head, _) = page.split_once("</header>").unwrap();
    assert!(head.contains("Threshold crossed: recovery took 2\u{a0}s, 1\u{a0}s at most"), "{head}");

    // A report of the same version from before there was such a list.
    let text = report.to_json();
    let (before, after) = text.split_once("\"crossed\": [").unwrap();
    let old = format!("{before}{}", after.split_once("],").unwrap().1);
    assert_eq!(Report::from_json(&old).unwrap().crossed, [""; 0]);
}

#[test]
fn is_saved_beside_its_page_and_found_by_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("deep/down");
    let page = report().save(&folder).unwrap();
    assert_eq!(page, folder.join("report.html"));
    assert!(std::fs::read_to_string(page).unwrap().starts_with("<!doctype html>"));
    for (name, points) in [
        ("search.svg", "held"),
        ("law.svg", "measured"),
        ("latency.svg", "p99"),
        ("outcomes.svg", "refused"),
        ("goodput.svg", "goodput"),
    ] {
        let picture = std::fs::read_to_string(folder.join(name)).unwrap();
        assert!(picture.starts_with("<svg") && picture.contains(points), "{name}: {picture}");
    }
    for path in [folder.clone(), folder.join("report.json")] {
        assert!(Report::load(&path).unwrap().run == report().run);
    }
    let missing = Report::load(&folder.join("old.json")).unwrap_err().to_string();
    assert!(missing.starts_with("cannot read ") && missing.contains("old.json"), "{missing}");
    let endless = Report::load("/dev/zero".as_ref()).unwrap_err().to_string();
    assert_eq!(endless, "cannot read /dev/zero: it is larger than 64 MiB");
    let wrong = Report::load(&folder.join("report.html")).unwrap_err().to_string();
    assert!(wrong.contains("report.html: is no report of a load"), "{wrong}");
    let error = report().save(&folder.join("report.json")).unwrap_err().to_string();
    assert!(error.starts_with("cannot write ") && error.contains("report.json"), "{error}");
}

#[test]
fn the_page_needs_nothing_else() {
    let page = report().to_html();
    for outward in ["src=", "href=", "url(", "@import", "<script", "<link", "https:"] {
        assert!(!page.contains(outward), "{outward}");
    }
    assert!(page.contains("order &lt;b&gt;") && !page.contains("order <b>"));
    assert!(page.contains("# &lt;sale&gt;"));
}

#[test]
fn the_verdict_is_about_what_was_measured_last() {
    let mut report = report();
    assert_eq!(
        report.verdict(),
        "Up to 10 times its limit of 400 requests per second it keeps 93.6 % of its best goodput, \
         and it is itself again after 2 s."
    );
    report.overload = None;
    assert_eq!(
        report.verdict(),
        "It holds 400 requests per second; what ends it is the process CPU, 97 % in use."
    );
    report.limit = None;
    let verdict = report.verdict();
    assert!(verdict.contains("requests were good; answers took "), "{verdict}");
    assert!(verdict.ends_with("most others were refused."), "{verdict}");
    let run = report.run.as_mut().unwrap();
    (run.valid, run.validity) = (false, "the generator was the bottleneck: x".to_owned());
    assert_eq!(
        report.verdict(),
        "This says nothing of the service: the generator was the bottleneck: x."
    );
}

#[test]
fn the_verdict_of_a_load_is_a_sentence_however_its_requests_ended() {
    let says = |endings: &[Ending]| {
        let mut outcome = sample::outcome(&[]);
        outcome.record = Record::new(1, 1);
        outcome.phases =
            vec![Phase { name: "all".to_owned(), from: Duration::ZERO, until: Duration::ZERO }];
        for &ending in endings {
            let finished = Finished {
                phase: 0,
                class: 0,
                retry: false,
                intended: 0,
                sent: Some(0),
                ended: 1_000_000,
                ending,
            };
            outcome.record.intend(0, 0, false, 0);
            outcome.record.finish(&finished);
        }
        let mut report = report();
        (report.overload, report.limit) = (None, None);
        report.run = Some(RunReport::of(&outcome, "a load"));
        report.verdict()
    };
    let [good, failed, late] = [Ending::Good, Ending::Failed, Ending::TimedOut];
    assert_eq!(says(&[failed]), "0 % of 1 request was good; all failed.");
    assert_eq!(says(&[late, late, failed]), "0 % of 3 requests were good; most timed out.");
    assert!(says(&[good, Ending::LeftEarly]).ends_with("; all others left early."));
    assert!(
        says(&[good, Ending::Refused, Ending::Refused, late])
            .ends_with("; most others were refused.")
    );
    assert!(says(&[good, good]).starts_with("100 % of 2 requests were good; answers took "));
}

#[test]
fn past_the_limit_the_verdict_says_what_is_left() {
    let mut report = report();
    let mut says = |times: usize, to_peak: f64, seconds: Option<f64>| {
        let overload = report.overload.as_mut().unwrap();
        overload.phases[times].goodput_to_peak = to_peak;
        overload.recovery.seconds = seconds;
        report.verdict()
    };
    assert_eq!(
        says(3, 0.5, Some(0.0)),
        "Past its limit of 400 requests per second its goodput falls: at 10 times it keeps 50 % of \
         its best, and it is itself again at once."
    );
    assert_eq!(
        says(2, 0.02, None),
        "Past its limit of 400 requests per second it collapses: at 5 times it keeps 2 % of its \
         best goodput, and it does not recover while it is watched."
    );
    let overload = report.overload.as_mut().unwrap();
    overload.recovery.seconds = Some(0.0);
    let page = report.to_html();
    assert!(page.contains("<b>at once</b>") && page.contains("as soon as the last multiple was"));
    let overload = report.overload.as_mut().unwrap();
    overload.recovery.seconds = None;
    overload.phases[2].valid = false;
    let verdict = report.verdict();
    assert!(verdict.contains("at 10 times it keeps 50 %"), "{verdict}");
    assert!(verdict.ends_with("where the generator could not keep up is left out."), "{verdict}");
    for phase in &mut report.overload.as_mut().unwrap().phases {
        phase.valid = false;
    }
    assert_eq!(report.verdict(), "This says nothing of the service: valid.");
}

#[test]
fn a_search_that_was_stopped_says_what_is_known_and_that_it_was() {
    let mut report = report();
    report.overload = None;
    let mut says = |found| {
        let limit = report.limit.as_mut().unwrap();
        (limit.stopped, limit.found, limit.unrecovered) = (true, found, None);
        report.verdict()
    };
    assert_eq!(
        says(Found::Limit { held: 400.0, not_held: 800.0 }),
        "It holds 400 requests per second and less than 800: the search was stopped."
    );
    assert_eq!(
        says(Found::Unfinished { held: 400.0 }),
        "It holds 400 requests per second at least: the search was stopped."
    );
    assert_eq!(
        says(Found::Unfinished { held: 0.0 }),
        "The search was stopped before any rate was held."
    );
}

#[test]
fn a_search_that_the_generator_ended_says_what_it_lacked() {
    let mut report = report();
    report.overload = None;
    let mut says = |held| {
        let limit = report.limit.as_mut().unwrap();
        limit.found = Found::GeneratorFirst { held };
        let last = limit.probes.last_mut().unwrap();
        last.verdict = Verdict::Invalid;
        last.validity = "the generator was the bottleneck: x".to_owned();
        report.verdict()
    };
    assert_eq!(
        says(400.0),
        "It holds 400 requests per second at least; then the generator was the bottleneck: x."
    );
    assert_eq!(says(0.0), "This says nothing of the service: the generator was the bottleneck: x.");
}

#[test]
fn a_limit_beyond_which_goodput_rises_is_called_none() {
    let mut report = report();
    let overload = report.overload.as_mut().unwrap();
    overload.phases[1].goodput_per_second = 2.0 * overload.limit_per_second;
    let verdict = report.verdict();
    assert!(verdict.contains("so that was not its limit"), "{verdict}");
}
