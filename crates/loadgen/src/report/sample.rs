//! A report with everything in it, for tests: made by a service that is imagined.

use std::time::Duration;

use hdrhistogram::Histogram;

use crate::bottleneck::{Bottleneck, Resource, Saturation};
use crate::ending::{Ending, Failure, NotOffered};
use crate::limit::LimitReport;
use crate::outcome::{Outcome, Phase};
use crate::overload::{ClassReport, Latencies, PhaseReport, Recovery};
use crate::probe::{ProbeReport, Trend};
use crate::record::{Finished, Record};
use crate::report::{Course, Overload, Report, RunReport};
use crate::scenario::Scenario;
use crate::search::{Found, Verdict};
use crate::settle::Unloaded;
use crate::usl::{Law, Point};
use crate::validity::Validity;

/// What the imagined service holds, in requests per second.
const LIMIT: f64 = 400.0;

pub(crate) fn report() -> Report {
    let scenario = Scenario::get("http://127.0.0.1:8080/products").unwrap();
    let mut report = Report::new("tenfold 0.1.0", "2026-11-24T09:00:00Z", &scenario);
    report.scenario = "target = \"http://127.0.0.1:8080\" # <sale>\n".to_owned();
    let outcome = outcome(&[("1x", 1.0), ("2x", 2.0), ("10x", 10.0)]);
    report.run = Some(RunReport::of(&outcome, "400, 800 and 4,000 per second"));
    report.limit = Some(limit());
    report.overload = Some(overload());
    report
}

fn overload() -> Overload {
    let multiples = [("1x", 1.0), ("2x", 2.0), ("5x", 5.0), ("10x", 10.0), ("after", 0.5)];
    let course = Course::of(&outcome(&multiples));
    let phases = multiples.iter().zip(&course.stretches).map(|((name, times), stretch)| {
        let total = stretch.total();
        let goodput = total.count(Ending::Good) as f64 / 5.0;
        let at = |ending, quantile| total.latency_ms(&[ending], quantile);
        let latencies = |ending| {
            Some(Latencies {
                p50_ms: at(ending, 0.5)?,
                p90_ms: at(ending, 0.9)?,
                p99_ms: at(ending, 0.99)?,
                p999_ms: at(ending, 0.999)?,
            })
        };
        PhaseReport {
            name: (*name).to_owned(),
            times: *times,
            offered_per_second: total.intended as f64 / 5.0,
            goodput_per_second: goodput,
            goodput_to_peak: goodput / LIMIT,
            by_class: vec![
                ClassReport { name: "read".to_owned(), success_share: total.good_share() },
                ClassReport { name: "order <b>".to_owned(), success_share: 0.95 / times.sqrt() },
            ],
            good: latencies(Ending::Good),
            refused: latencies(Ending::Refused),
            endings: Ending::ALL.map(|ending| total.count(ending)),
            intended: total.intended,
            retries: 0,
            not_offered: total.not_offered,
            valid: true,
        }
    });
    Overload {
        limit_per_second: LIMIT,
        variants: "clients ask again twice".to_owned(),
        unloaded: Unloaded { p50_ms: 2.1, p99_ms: 3.4 },
        phases: phases.collect(),
        recovery: Recovery { seconds: Some(2.0), why: "99 of 100 within 10 ms".to_owned() },
        connections_max: 4096,
        gone: false,
        stopped: false,
        validity: "valid".to_owned(),
        course,
    }
}

/// At twice the limit a part is refused, at ten times another part is not answered in time.
pub(crate) fn outcome(multiples: &[(&str, f64)]) -> Outcome {
    const SECOND: u64 = 1_000_000_000;
    let mut random = fastrand::Rng::with_seed(5);
    let mut record = Record::new(multiples.len(), 2);
    for (phase, (_, times)) in multiples.iter().enumerate() {
        let rate = LIMIT * times;
        for index in 0..(5.0 * rate) as u64 {
            let intended = phase as u64 * 5 * SECOND + (index as f64 / rate * 1e9) as u64;
            let class = usize::from(random.f64() < 0.2);
            record.intend(phase, class, false, intended);
            record.note_lag(phase, random.u64(20..200));
            let chance = random.f64() * rate / LIMIT;
            let (ending, latency_us) = match chance {
                _ if chance < 0.97 => {
                    (Ending::Good, 900 + random.u64(0..2_000) * (phase as u64 + 1))
                }
                _ if chance < 1.0 => (Ending::Slow, 600_000),
                _ if chance < 8.0 => {
                    record.note_status(if chance < 7.9 { 503 } else { 429 });
                    (Ending::Refused, 400)
                }
                _ if chance < 9.8 => (Ending::TimedOut, 2_000_000),
                _ if chance < 9.9 => {
                    record.skip((phase, class, false), intended, NotOffered::BacklogFull);
                    continue;
                }
                _ if chance < 9.95 => {
                    record.fail(Failure::Reset);
                    (Ending::Failed, 10_000)
                }
                _ => {
                    record.fail(Failure::Handshake);
                    record.causes.note(Failure::Handshake, "TLS: <i>nobody</i> trusts it");
                    (Ending::Failed, 10_000)
                }
            };
            let ended = intended + latency_us * 1_000;
            let sent = Some(intended + 50_000);
            let retry = false;
            record.finish(&Finished { phase, class, retry, intended, sent, ended, ending });
        }
    }
    let phases = multiples.iter().zip(0..).map(|((name, _), phase)| Phase {
        name: (*name).to_owned(),
        from: Duration::from_secs(5) * phase,
        until: Duration::from_secs(5) * (phase + 1),
    });
    Outcome {
        validity: Validity::Valid,
        record,
        phases: phases.collect(),
        classes: vec!["read".to_owned(), "order <b>".to_owned()],
        elapsed: Duration::from_millis(15_400),
        cpu: Duration::from_secs(3),
        cpu_share: 0.2,
        stopped: false,
    }
}

pub(crate) fn limit() -> LimitReport {
    let rates = [100.0, 200.0, 400.0, 800.0, 566.0, 476.0, 436.0, 417.0, 408.0, 400.0, 408.0];
    let probes: Vec<ProbeReport> = rates.map(probe).to_vec();
    let points: Vec<Point> = probes.iter().map(ProbeReport::point).collect();
    LimitReport {
        found: Found::Limit { held: 400.0, not_held: 408.0 },
        limit_per_second: LIMIT,
        interval: (396.0, Some(408.0)),
        unloaded: Unloaded { p50_ms: 2.1, p99_ms: 3.4 },
        law: Law::fit(&points),
        bottleneck: Some(Bottleneck {
            rate: 408.0,
            ranked: vec![
                Saturation {
                    resource: Resource::ProcessCpu,
                    share: 0.97,
                    evidence: "the process used 0.97 of the one core that it may use".to_owned(),
                },
                Saturation {
                    resource: Resource::Pool,
                    share: 0.34,
                    evidence: "5.4 of 16 connections were in use".to_owned(),
                },
            ],
            unknown: None,
        }),
        probes,
        unrecovered: None,
        stopped: false,
        elapsed: Duration::from_secs(32),
    }
}

fn probe(rate: f64) -> ProbeReport {
    let over = (rate / LIMIT - 1.0).max(0.0);
    let throughput = rate.min(LIMIT * 1.02);
    let concurrency = rate / LIMIT * 1.2 / (1.03 - (rate / LIMIT).min(1.0)) + 40.0 * over;
    let held = over == 0.0;
    let mut latencies_us = Histogram::new(3).unwrap();
    latencies_us.record((2_100.0 + 40_000.0 * over) as u64).unwrap();
    ProbeReport {
        rate,
        offered_per_second: rate,
        good_share: 1.0 - over / (1.0 + over),
        goodput_per_second: throughput,
        p50_ms: Some(2.1 + 40.0 * over),
        p99_ms: (over < 0.9).then_some(9.0 + 400.0 * over),
        latencies_us: Some(latencies_us),
        concurrency,
        throughput_per_second: throughput,
        trend: (!held).then_some(Trend { good_share: -over, p50_ms: 12.0, slope: over }),
        verdict: if held { Verdict::Held } else { Verdict::NotHeld },
        why: if held { "99.9 % were good, to the end" } else { "a line was building up" }
            .to_owned(),
        validity: "valid".to_owned(),
        cpu_share: 0.1,
    }
}
