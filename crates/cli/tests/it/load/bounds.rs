//! What can be demanded of a service, and exit code 99 where it does less.

use tenfold_loadgen::Report;
use tenfold_testkit::Output;

use super::service::Service;
use super::{check, load, scenario};

#[tokio::test]
async fn a_crossed_threshold_of_a_run_is_99() {
    let address = Service::always("503 Service Unavailable").await.address;
    let (_folder, file) = scenario(address, "[thresholds]\ngood_share_min = 0.5");
    let output = load(&format!("run --scenario {file} --rate 50 --duration 1s")).await;
    check(&output, 99);
    assert!(output.stdout.contains("threshold crossed: good_share is 0.000"), "{}", output.stdout);
    assert!(output.stdout.contains("refused"), "{}", output.stdout);
    assert!(output.stdout.contains("\nanswered instead  503 × 50\n"), "{}", output.stdout);
}

/// A limit that is as high as what is offered at most: 40 per second.
async fn limit(flags: &str) -> Output {
    let service = Service::always("200 OK").await;
    let search = "--rate-first 20 --rate-max 40 --probe 600ms";
    load(&format!("limit {} {search} {flags}", service.url())).await
}

#[tokio::test]
async fn a_limit_can_be_demanded() {
    check(&limit("--at-least 40").await, 0);
    let wrong = limit("--at-least 41").await;
    check(&wrong, 2);
    assert!(wrong.stderr.contains("'41' for '--at-least <RATE>': no more than"), "{wrong:?}");
}

#[tokio::test]
async fn a_limit_that_is_too_low_is_99() {
    let service = Service::of_capacity(100.0).await;
    let search = "--rate-first 50 --rate-max 400 --probe 600ms --probes 6";
    let output = load(&format!("limit {} {search} --at-least 300", service.url())).await;
    check(&output, 99);
    assert!(output.stdout.contains("threshold crossed: the limit is "), "{}", output.stdout);
    assert!(output.stdout.contains("requests per second, 300 was demanded"), "{}", output.stdout);
}

#[tokio::test]
async fn past_the_limit_enough_can_be_left_and_it_can_be_back_soon() {
    let service = Service::always("200 OK").await;
    let flags = "--limit 20 --times 1,2 --hold 1s --rest 3s --recovery-max 1s";
    let output = load(&format!("overload {} {flags} --goodput-min 0.3", service.url())).await;
    check(&output, 0);
    assert!(!output.stdout.contains("crossed"), "{}", output.stdout);
    // At the limit itself it answers half as many as at twice that.
    let output =
        load(&format!("overload {} {flags} --goodput-min 0.8 --json", service.url())).await;
    check(&output, 99);
    let report = Report::from_json(&output.stdout).unwrap();
    let [crossed] = report.crossed.as_slice() else { panic!("{:?}", report.crossed) };
    assert!(crossed.starts_with("goodput at 1x is ") && crossed.ends_with("80 % was demanded"));
    assert!(report.verdict().ends_with("; a threshold was crossed."), "{}", report.verdict());
}

#[tokio::test]
async fn at_the_limit_the_scenarios_thresholds_hold() {
    let address = Service::always("200 OK").await.address;
    let (_folder, file) = scenario(address, "[thresholds]\np50_max = \"1us\"");
    let flags = "--limit 20 --hold 1s --rest 1s";
    let output = load(&format!("overload --scenario {file} {flags} --times 1")).await;
    check(&output, 99);
    assert!(output.stdout.contains("threshold crossed: at 1x: p50 is "), "{}", output.stdout);
    let output = load(&format!("overload --scenario {file} {flags} --times 2")).await;
    check(&output, 0);
    assert!(output.stdout.contains("about 1x, which is not among --times"), "{}", output.stdout);
}

#[tokio::test]
async fn who_does_not_come_back_in_time_is_99() {
    let service = Service::breaking().await;
    let url = service.url();
    let flags = "--limit 20 --times 1,2 --hold 1s --recovery-max 1s --goodput-min 0.1";
    let output = load(&format!("overload {url} {flags} --cold-url {url}break")).await;
    check(&output, 99);
    for crossed in [
        "threshold crossed: goodput at 1x is 0 % of its best, 10 % was demanded",
        "threshold crossed: recovery was not seen, 1 s at most was demanded",
        "does not recover while it is watched; 2 thresholds were crossed.",
    ] {
        assert!(output.stdout.contains(crossed), "{crossed}: {}", output.stdout);
    }
}
