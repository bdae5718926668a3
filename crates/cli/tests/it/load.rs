//! `tenfold load` against small servers: what it prints, what it writes, how it ends.

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use tempfile::TempDir;
use tenfold_testkit::{Output, Program};

mod bounds;
mod compare;
mod escapes;
mod gone;
mod hostile;
mod k6;
mod lost;
mod node;
mod schema;
mod service;
mod terminal;
mod variants;
mod wrong;

use crate::support::{run, tenfold};
use service::{Answer, Service};

/// Runs it, and again where a neighbour took the processor away from the generator, which then
/// rightly believes nothing that it saw.
async fn load(arguments: &str) -> Output {
    for _ in 0..9 {
        let output = once(arguments).await;
        let said = format!("{}{}", output.stdout, output.stderr);
        let is_late = said.contains("was sent") && !said.contains("found none of");
        if output.status.code() != Some(3) || !is_late {
            return output;
        }
    }
    once(arguments).await
}

async fn once(arguments: &str) -> Output {
    run(tenfold(["load"].into_iter().chain(arguments.split_whitespace()))).await
}

fn check(output: &Output, code: i32) {
    assert_eq!(output.status.code(), Some(code), "{}{}", output.stdout, output.stderr);
}

/// A scenario in a folder of its own.
fn scenario(address: SocketAddr, more: &str) -> (TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("load.toml");
    let text = format!("target = \"http://{address}\"\n{more}\n[[request]]\npath = \"/\"\n");
    fs::write(&file, text).unwrap();
    (folder, file.display().to_string())
}

#[tokio::test]
async fn a_run_is_shown_in_plain_lines_and_reported() {
    let address = Service::always("200 OK").await.address;
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("report");
    let shown = report.display();
    let output =
        load(&format!("run http://{address}/ --rate 200 --duration 2s --report {shown}")).await;
    check(&output, 0);
    assert!(output.stdout.contains("100 % of 400 requests were good; "), "{}", output.stdout);
    assert!(!output.stdout.contains(['\x1b', '\r']), "a pipe gets plain lines");
    let progress = output.stdout.lines().filter(|line| line.starts_with("load "));
    assert!(progress.clone().count() >= 1, "{}", output.stdout);
    assert!(progress.clone().all(|line| line.chars().count() < 80), "{}", output.stdout);
    let page = fs::read_to_string(report.join("report.html")).unwrap();
    assert!(page.contains("100\u{a0}% of 400 requests were good"));

    // Against itself nothing is better or worse.
    let again =
        load(&format!("run http://{address}/ --rate 200 --duration 1s --compare {shown} --json"))
            .await;
    check(&again, 0);
    assert!(again.stdout.starts_with("{\n  \"version\": 1,"), "{}", again.stdout);
    assert!(again.stdout.trim_end().ends_with('}'), "nothing but the report");
    assert!(again.stderr.contains("goodput") && again.stderr.contains("noise"), "{}", again.stderr);
}

#[tokio::test]
async fn other_loads_are_named_for_what_they_are() {
    let address = Service::always("200 OK").await.address;
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace.csv");
    fs::write(&trace, "second,rate\n0,50\n1,20\n").unwrap();
    let trace = format!("--trace {}", trace.display());
    for (flags, words) in [
        ("--users 3 --think 10ms --duration 1s", "3 users who think for 10ms for 1s"),
        ("--users 2 --think 0s --duration 500ms", "2 users who never pause, for 500ms to "),
        ("--steps 20,40 --duration 500ms", "20, 40 requests per second for 500ms each"),
        ("--ramp-from 10 --rate 50 --duration 1s", "10 to 50 requests per second within 1s"),
        ("--arrivals poisson --rate 50 --duration 1s", "for 1s, at random"),
        (&trace, "70 requests were good"),
    ] {
        let output = load(&format!("run http://{address}/ {flags}")).await;
        check(&output, 0);
        assert!(output.stdout.contains(words), "{flags}: {}", output.stdout);
    }
}

#[tokio::test]
async fn what_nobody_asked_for_is_not_called_good_and_crosses_its_threshold() {
    let address = Service::always("200 OK").await.address;
    let order = "[[request]]\nclass = \"order\"\npath = \"/\"\nweight = 0\n\
                 [thresholds.class.order]\ngood_share_min = 0.9\n";
    let (_folder, file) = scenario(address, order);
    let output = load(&format!("run --scenario {file} --rate 50 --duration 1s")).await;
    check(&output, 99);
    let said = format!("{}{}", output.stdout, output.stderr);
    assert!(said.contains("order: good_share is unknown, because nothing was asked"), "{said}");
    let row = output.stdout.lines().find(|line| line.starts_with("order ")).unwrap();
    assert_eq!(row.split_whitespace().collect::<Vec<_>>(), ["order", "0", "-", "-", "-", "-"]);
}

#[tokio::test]
async fn a_generator_that_cannot_keep_up_is_3() {
    let after = Duration::from_millis(300);
    let service = Service::start(move |_| Answer { after, ..Answer::of("200 OK") }).await;
    let address = service.address;
    let (_folder, file) = scenario(address, "[client]\nconnections_max = 1\nbacklog_max = 5");
    let output = load(&format!("run --scenario {file} --rate 50 --duration 1s")).await;
    check(&output, 3);
    assert!(output.stdout.contains("This says nothing of the service"), "{}", output.stdout);
}

#[tokio::test]
async fn a_service_that_is_not_there_has_no_limit_and_says_so() {
    let output = load("limit http://127.0.0.1:1/").await;
    check(&output, 1);
    assert!(output.stderr.contains("does not answer well, even without load"), "{}", output.stderr);
    assert!(output.stderr.contains("(no connection: Connection refused)"), "{}", output.stderr);
}

#[tokio::test]
async fn ctrl_c_ends_early_and_still_reports() {
    let address = Service::always("200 OK").await.address;
    for command in ["run --rate 50 --duration 300s", "limit --probe 10s", "overload --limit 50"] {
        let (command, flags) = command.split_once(' ').unwrap();
        let url = format!("http://{address}/");
        let arguments = ["load", command, &url].into_iter().chain(flags.split(' '));
        let mut program = Program::start(tenfold(arguments)).unwrap();
        program.says(&format!("http://{address}")).await;
        tokio::time::sleep(Duration::from_millis(1500)).await;
        program.signal("INT");
        let output = program.end().await;
        assert!(matches!(output.status.code(), Some(0 | 3)), "{command}: {}", output.stdout);
        assert!(output.stdout.trim_end().ends_with('.'), "a verdict: {}", output.stdout);
    }
}

#[tokio::test]
async fn a_multiple_of_a_limit_found_that_cannot_be_offered_is_left_out_and_said() {
    let address = Service::always("200 OK").await.address;
    let search = "--rate-first 1100 --rate-max 1100 --probe 600ms --lasting 600ms";
    let command = format!("overload http://{address}/ {search} --hold 1s --rest 1s");
    let output = load(&format!("{command} --times 0.1,10000 --json")).await;
    check(&output, 0);
    let said = "10000x of 1100 requests per second is left out, being more than the 10000000 per";
    assert!(output.stderr.contains(said), "{}", output.stderr);
    let report = tenfold_loadgen::Report::from_json(&output.stdout).unwrap();
    let overload = report.overload.unwrap();
    assert!(overload.variants.contains(said), "{}", overload.variants);
    let phases: Vec<&str> = overload.phases.iter().map(|phase| phase.name.as_str()).collect();
    assert_eq!(phases, ["0.1x", "after"]);

    let output = load(&format!("{command} --times 9999,10000")).await;
    check(&output, 2);
    assert!(output.stderr.contains("9999x, 10000x of 1100 requests"), "{}", output.stderr);
}

#[tokio::test]
async fn a_limit_and_what_is_past_it() {
    let address = Service::always("200 OK").await.address;
    let limit = format!("limit http://{address}/ --rate-first 20 --rate-max 40 --probe 600ms");
    let output = load(&limit).await;
    check(&output, 0);
    assert!(
        output.stdout.contains("It holds 40 requests per second, the most"),
        "{}",
        output.stdout
    );

    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().display();
    let output = load(&format!(
        "overload http://{address}/ --limit 30 --times 1,2 --hold 1s --rest 2s --retries 2 \
         --slow-readers --report {report}"
    ))
    .await;
    check(&output, 0);
    assert!(output.stdout.contains("Up to 2 times its limit of 30"), "{}", output.stdout);
    assert!(output.stdout.contains("recovery: "), "{}", output.stdout);
    let page = fs::read_to_string(folder.path().join("report.html")).unwrap();
    assert!(page.contains("clients that got nothing ask again, up to 2 times"));
}
