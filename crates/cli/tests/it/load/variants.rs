//! What else can be done to a service past its limit, each with one flag.

use std::fs;
use std::process::{Child, Command};

use tenfold_loadgen::{Overload, Report};
use tenfold_testkit::Program;

use super::service::{Answer, Service};
use super::{check, load};
use crate::support::{tenfold, until};

/// A short way past a limit that any service here holds, and what its report says.
async fn past(service: &Service, flags: &str) -> Overload {
    let short = "--limit 40 --times 1 --hold 1s --rest 1s --json";
    let output = load(&format!("overload {} {short} {flags}", service.url())).await;
    check(&output, 0);
    let overload = Report::from_json(&output.stdout).unwrap().overload.unwrap();
    assert_ne!(overload.variants, "", "the report says what was done");
    overload
}

#[tokio::test]
async fn a_flood_is_one_client_that_sends_most_of_it() {
    let service = Service::always("200 OK").await;
    let overload = past(&service, "--flood 0.75").await;
    assert_eq!(overload.variants, "one client among many sends 75 % of it");
    assert_eq!(overload.course.classes, ["all", "all (flood)"]);
    let (one, all) = (service.count("x-client: client-0\r"), service.count("x-client: "));
    let share = one as f64 / all as f64;
    assert!((0.6..0.9).contains(&share), "{one} of {all}");
}

#[tokio::test]
async fn a_flood_is_large_unless_it_is_told_how_large() {
    let service = Service::always("200 OK").await;
    assert_eq!(past(&service, "--flood").await.variants, "one client among many sends 90 % of it");
}

#[tokio::test]
async fn who_got_nothing_asks_again() {
    let service = Service::breaking().await;
    let cold = format!("--retries 2 --cold-url {}empty", service.url());
    let overload = past(&service, &cold).await;
    assert_eq!(
        overload.variants,
        "clients that got nothing ask again, up to 2 times; it begins with cold caches"
    );
    assert!(service.count("post /empty ") >= 1, "before the load");
    let [first, ..] = overload.phases.as_slice() else { panic!("{overload:?}") };
    assert!(first.retries >= 40, "some of the last come in the next phase: {first:?}");
    assert_eq!(first.by_class[0].success_share, 0.0);
}

#[tokio::test]
async fn slow_readers_take_their_time() {
    let service =
        Service::start(|_| Answer { body: "x".repeat(4000), ..Answer::of("200 OK") }).await;
    let overload = past(&service, "--slow-readers 0.5").await;
    assert_eq!(overload.variants, "50 % of the clients read slowly");
    // At 10 kB per second 4 kB take 400 ms, less what is in the first read.
    let good = overload.phases[0].good.unwrap();
    assert!(good.p99_ms > 200.0 && overload.unloaded.p50_ms < 200.0, "{overload:?}");
}

#[tokio::test]
async fn a_command_empties_the_caches_before() {
    let service = Service::always("200 OK").await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("emptied");
    let short =
        format!("overload {} --limit 40 --times 1 --hold 1s --rest 1s --cold", service.url());
    let mut command = tenfold(["load"].into_iter().chain(short.split(' ')));
    command.arg(format!("touch {}", file.display()));
    let output = crate::support::run(command).await;
    assert!(matches!(output.status.code(), Some(0 | 3)), "{}{}", output.stdout, output.stderr);
    assert!(fs::exists(&file).unwrap());

    let failed = load(&format!("{short} false")).await;
    check(&failed, 1);
    assert!(failed.stderr.contains("\"false\" failed: exit status: 1"), "{}", failed.stderr);
    // A POST that nobody answers.
    let refused = load(&short.replace("--cold", "--cold-url http://127.0.0.1:1/")).await;
    check(&refused, 1);
    assert!(refused.stderr.contains("http://127.0.0.1:1"), "{}", refused.stderr);
}

/// A dependency that can be stopped; it ends with the test.
struct Dependency(Child);

impl Dependency {
    fn start() -> Dependency {
        Dependency(Command::new("sleep").arg("300").spawn().unwrap())
    }

    fn is_stopped(&self) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0.id())).unwrap();
        stat.rsplit_once(") ").unwrap().1.starts_with('T')
    }
}

impl Drop for Dependency {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn a_dependency_stops_for_a_while() {
    let (service, dependency) = (Service::always("200 OK").await, Dependency::start());
    let pid = dependency.0.id();
    let output = load(&format!(
        "overload {} --limit 40 --times 1 --hold 1s --rest 2s --pause {pid} --pause-for 500ms",
        service.url()
    ))
    .await;
    check(&output, 0);
    let (before, after) = output.stdout.split_once(&format!("process {pid} is stopped\n")).unwrap();
    assert!(before.contains("going past") && after.contains(&format!("process {pid} goes on\n")));
    assert!(!dependency.is_stopped());
}

/// However the command ends, what it has stopped goes on.
async fn goes_on_after(signals: &[&str]) {
    let (service, dependency) = (Service::always("200 OK").await, Dependency::start());
    let (url, pid) = (service.url(), dependency.0.id().to_string());
    let long = "--limit 40 --times 1 --hold 2s --rest 300s --pause-for 200s --pause";
    let arguments = ["load", "overload", &url].into_iter().chain(long.split(' ')).chain([&*pid]);
    let mut program = Program::start(tenfold(arguments)).unwrap();
    program.says(&format!("process {pid} is stopped")).await;
    until("it is stopped", || dependency.is_stopped()).await;
    for signal in signals {
        program.signal(signal);
    }
    let output = program.end().await;
    until("it goes on", || !dependency.is_stopped()).await;
    match (signals, output.status.code()) {
        (["KILL"], None) | (["INT", "INT"], Some(130)) => {}
        // The first may have done its work before the second came.
        (_, Some(0 | 3)) => {
            assert!(output.stdout.contains("stopped before its end"), "{}", output.stdout);
        }
        other => panic!("{other:?}: {}{}", output.stdout, output.stderr),
    }
}

#[tokio::test]
async fn a_dependency_goes_on_after_sigterm() {
    goes_on_after(&["TERM"]).await;
}

#[tokio::test]
async fn a_dependency_goes_on_after_ctrl_c() {
    goes_on_after(&["INT"]).await;
}

#[tokio::test]
async fn a_dependency_goes_on_after_the_second_ctrl_c_which_ends_at_once() {
    goes_on_after(&["INT", "INT"]).await;
}

#[tokio::test]
async fn a_dependency_goes_on_even_after_sigkill() {
    goes_on_after(&["KILL"]).await;
}

#[tokio::test]
async fn metrics_tell_what_ends_it() {
    let service = Service::of_capacity(100.0).await;
    let flags = "--rate-first 50 --rate-max 400 --probe 600ms --probes 6 --metrics";
    let output = load(&format!("limit {0} {flags} {0}metrics --json", service.url())).await;
    check(&output, 0);
    let limit = Report::from_json(&output.stdout).unwrap().limit.unwrap();
    let ranked = limit.bottleneck.unwrap().ranked;
    let cpu = ranked.iter().find(|one| one.resource.name() == "process CPU").unwrap();
    assert!(cpu.share > 0.8, "{ranked:?}");
    assert!(output.stderr.contains("process CPU"), "{}", output.stderr);

    // What cannot be read, or tells nothing, is said before any load.
    for (page, why) in [
        ("http://127.0.0.1:1/metrics".to_owned(), "no metrics from http://127.0.0.1:1/metrics: "),
        (service.url(), "the page has no line in Prometheus' text format"),
    ] {
        for command in ["limit", "overload"] {
            let before = service.count("get / ");
            let output = load(&format!("{command} {} {flags} {page}", service.url())).await;
            check(&output, 2);
            assert!(output.stderr.contains("--metrics <URL>: "), "{}", output.stderr);
            assert!(output.stderr.contains(why), "{}", output.stderr);
            let own = usize::from(page == service.url());
            assert_eq!(service.count("get / "), before + own, "no load");
        }
    }
}
