//! The page's section about the search for the limit.

use tenfold_chart::{Axis, Dot, Dots, Joined, Line, Plot, Rule, Spacing, Tone, Unit};

use super::{Figure, Page, escape, latency};
use crate::bottleneck::Bottleneck;
use crate::limit::LimitReport;
use crate::probe::ProbeReport;
use crate::report::{verdict, words};
use crate::search::Verdict;
use crate::usl::Law;

pub(super) fn figures(limit: &LimitReport) -> Vec<Figure> {
    let mut figures = vec![Figure {
        name: "limit".to_owned(),
        value: words::count(limit.limit_per_second),
        note: format!("requests per second{}", between(limit)),
    }];
    let ranked = limit.bottleneck.iter().flat_map(|bottleneck| &bottleneck.ranked);
    if let Some(first) = verdict::bottleneck(limit) {
        figures.push(Figure {
            name: "bottleneck".to_owned(),
            value: first.resource.name().to_owned(),
            note: format!("{} in use", words::percent(first.share)),
        });
    } else if ranked.count() > 0 {
        figures.push(Figure {
            name: "bottleneck".to_owned(),
            value: "unknown".to_owned(),
            note: "nothing that can be seen is near its end".to_owned(),
        });
    }
    figures
}

fn between(limit: &LimitReport) -> String {
    match limit.interval {
        (low, Some(high)) => format!(", {} to {}", words::count(low), words::count(high)),
        (_, None) => ", or more".to_owned(),
    }
}

pub(super) fn section(limit: &LimitReport, page: &mut Page) {
    page.open("The limit");
    page.paragraph(&verdict::limit(limit));
    if let Some(unrecovered) = &limit.unrecovered {
        let what = if unrecovered.gone { "went away" } else { "did not come back" };
        let warning = format!(
            "The service {what} after {}, though it was waited for {}: {}.",
            words::requests_per_second(unrecovered.after_rate),
            words::seconds(unrecovered.waited.as_secs_f64()),
            unrecovered.why
        );
        page.element("p", "warning", &warning);
    }
    if limit.stopped {
        page.element("p", "warning", "The search was stopped before its end.");
    }
    page.paragraph(&format!(
        "When one client asks alone, half of the answers take {} and 99 of 100 {}.",
        words::milliseconds(limit.unloaded.p50_ms),
        words::milliseconds(limit.unloaded.p99_ms)
    ));
    page.figure(&search_plot(limit));
    if let Some(bottleneck) = &limit.bottleneck {
        what_ended_it(bottleneck, page);
    }
    if let Some(law) = &limit.law {
        page.figure(&law_plot(limit, law));
    }
    probes(&limit.probes, page);
    page.close();
}

pub(super) fn search_plot(limit: &LimitReport) -> Plot {
    let of = |name: &str, tone, verdict| Dots {
        name: name.to_owned(),
        tone,
        joined: Joined::No,
        dots: limit
            .probes
            .iter()
            .filter(|probe| probe.verdict == verdict)
            .map(|probe| Dot { x: probe.rate, y: probe.good_share, interval: None })
            .collect(),
    };
    let dots = [
        of("held", Tone::Good, Verdict::Held),
        of("not held", Tone::TimedOut, Verdict::NotHeld),
        of("not valid", Tone::Quiet, Verdict::Invalid),
    ];
    let mark = (limit.limit_per_second > 0.0).then(|| Rule {
        name: format!("limit: {}", words::count(limit.limit_per_second)),
        at: limit.limit_per_second,
    });
    Plot {
        title: "The search".to_owned(),
        note: "Each point is a probe: a constant rate, held until it is clear whether the service \
               holds it."
            .to_owned(),
        x: Axis {
            label: "requests offered per second".to_owned(),
            spacing: Spacing::Logarithmic,
            ..Axis::default()
        },
        y: Axis {
            label: "share of good answers".to_owned(),
            unit: Unit::Share,
            covers: Some((0.0, 1.0)),
            ..Axis::default()
        },
        dots: dots.into_iter().filter(|dots| !dots.dots.is_empty()).collect(),
        marks: mark.into_iter().collect(),
        ..Plot::default()
    }
}

pub(super) fn law_plot(limit: &LimitReport, law: &Law) -> Plot {
    let valid = || limit.probes.iter().filter(|probe| probe.verdict != Verdict::Invalid);
    let concurrency_max = valid().map(|probe| probe.concurrency).fold(1.0, f64::max);
    let concurrency_min = valid().map(|probe| probe.concurrency).fold(1.0, f64::min).max(1e-3);
    // A hundred steps from the least to the most, in equal ratios.
    let ratio = (concurrency_max / concurrency_min).powf(0.01);
    let curve = (0..=100).map(|step| {
        let concurrency = concurrency_min * ratio.powi(step);
        (concurrency, law.throughput(concurrency))
    });
    let mark = law
        .peak_concurrency()
        .filter(|peak| *peak <= concurrency_max)
        .map(|at| Rule { name: format!("most at {}", words::count(at)), at });
    let term = |value: f64, error: f64| {
        let error = if error.is_finite() { format!(" ± {}", small(error)) } else { String::new() };
        format!("{}{error}", small(value))
    };
    let alone = &law.alone;
    Plot {
        title: "How throughput grows with the work in hand".to_owned(),
        note: format!(
            "The Universal Scalability Law, fitted to the probes: one request in hand achieves λ = \
             {}{} per second, contention σ = {}, coherency κ = {}. It explains {} of what was \
             measured.",
            words::count(alone.value),
            if alone.error.is_finite() {
                format!(" ± {}", words::count(alone.error))
            } else {
                String::new()
            },
            term(law.contention.value, law.contention.error),
            term(law.coherency.value, law.coherency.error),
            words::percent(law.explained.max(0.0))
        ),
        x: Axis {
            label: "requests in hand".to_owned(),
            spacing: Spacing::Logarithmic,
            ..Axis::default()
        },
        y: Axis { label: "answers per second".to_owned(), ..Axis::default() },
        lines: vec![Line { name: "fitted".to_owned(), tone: Tone::Hue1, points: curve.collect() }],
        dots: vec![Dots {
            name: "probes".to_owned(),
            tone: Tone::Hue2,
            joined: Joined::No,
            dots: valid()
                .map(|probe| Dot {
                    x: probe.concurrency,
                    y: probe.throughput_per_second,
                    interval: None,
                })
                .collect(),
        }],
        marks: mark.into_iter().collect(),
        ..Plot::default()
    }
}

/// A term of the law may be a ten-thousandth.
fn small(number: f64) -> String {
    match number.abs() {
        0.0 => "0".to_owned(),
        magnitude if magnitude < 0.001 => format!("{number:.1e}"),
        _ => format!("{number:.3}"),
    }
}

fn what_ended_it(bottleneck: &Bottleneck, page: &mut Page) {
    page.element("h3", "", "What ends it");
    if let Some(unknown) = &bottleneck.unknown {
        page.paragraph(unknown);
    }
    page.raw("<ul class=\"loads\">\n");
    for saturation in &bottleneck.ranked {
        let share = saturation.share.clamp(0.0, 1.0);
        page.raw(&format!(
            "<li><b>{}</b><span class=\"bar\"><i style=\"width:{:.0}%\"></i></span>{}\
             <span class=\"why\">{}</span></li>\n",
            escape(saturation.resource.name()),
            share * 100.0,
            words::percent(saturation.share),
            escape(&saturation.evidence)
        ));
    }
    page.raw("</ul>\n");
    page.paragraph(&format!(
        "Seen at {}, the lowest rate that was not held.",
        words::requests_per_second(bottleneck.rate)
    ));
}

fn probes(probes: &[ProbeReport], page: &mut Page) {
    let rows: Vec<Vec<String>> = probes
        .iter()
        .enumerate()
        .map(|(index, probe)| {
            let verdict = match probe.verdict {
                Verdict::Held => "held",
                Verdict::NotHeld => "not held",
                Verdict::Invalid => "not valid",
            };
            vec![
                (index + 1).to_string(),
                words::count(probe.rate),
                words::count(probe.goodput_per_second),
                words::percent(probe.good_share),
                latency(probe.p50_ms),
                latency(probe.p99_ms),
                words::count(probe.concurrency),
                format!("{verdict}: {}", probe.why),
            ]
        })
        .collect();
    page.raw("<details><summary>Every probe</summary>\n");
    let heads = ["probe", "offered/s", "good/s", "good", "p50", "p99", "in hand", "verdict"];
    page.table("Every probe, in the order of time", &heads, &rows);
    page.raw("</details>\n");
}
