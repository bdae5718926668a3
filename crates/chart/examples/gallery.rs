//! Writes a page with every kind of picture, so that a change of their looks can be looked at.
//!
//! ```sh
//! cargo run -p tenfold-chart --example gallery > gallery.html
//! ```

use tenfold_chart::{
    Axis, Bounds, Dot, Dots, Glyphs, Joined, Layer, Line, Phase, Plot, Range, Rule, Spacing, Stack,
    Tone, Unit, sparkline, stylesheet,
};

fn main() {
    let figures: String = [
        latency(),
        outcomes(),
        goodput(),
        scalability(),
        probes(),
        crowded(),
        stall(),
        Plot { title: "Nothing yet".into(), ..Plot::default() },
    ]
    .iter()
    .map(|plot| {
        let (title, picture) = (&plot.title, plot.responsive());
        format!("<figure><figcaption>{title}</figcaption>\n{picture}</figure>\n")
    })
    .collect();
    let wave: Vec<f64> = (0..120).map(|at| 1.0 + (f64::from(at) / 9.0).sin()).collect();
    let (blocks, ascii) =
        (sparkline(&wave, 60, Glyphs::Blocks), sparkline(&wave, 60, Glyphs::Ascii));
    println!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\">\
         <title>tenfold-chart</title><style>{PAGE}{}</style>\n{figures}\
         <pre>{blocks}\n{ascii}</pre></html>",
        stylesheet()
    );
}

const PAGE: &str = ":root{color-scheme:light dark}\
    body{max-width:760px;margin:16px auto;padding:0 10px;font:15px system-ui,sans-serif;\
    background:#fff;color:#1b2430}\
    @media(prefers-color-scheme:dark){body{background:#12161c;color:#e8ecf2}}\
    figure{margin:0 0 36px}figcaption{font-weight:600;margin-bottom:8px}pre{overflow:auto}";

fn latency() -> Plot {
    let line = |name: &str, tone, base: f64, slope: f64| Line {
        name: name.into(),
        tone,
        points: (0..140)
            .map(|second| {
                let times = times_at(second);
                let gap = (96..103).contains(&second) && base > 0.01;
                let latency = base * times.powf(slope) * wobble(second);
                (f64::from(second), if gap { f64::NAN } else { latency })
            })
            .collect(),
    };
    Plot {
        title: "Latency of good answers".into(),
        note: "At 10× the slowest good answers cross the promise, and are back at once".into(),
        x: seconds(),
        y: Axis {
            label: "latency, logarithmic".into(),
            unit: Unit::Duration,
            spacing: Spacing::Logarithmic,
            ..Axis::default()
        },
        phases: phases(),
        lines: vec![
            line("p50", Tone::Level1, 0.0021, 0.5),
            line("p90", Tone::Level2, 0.0046, 0.7),
            line("p99", Tone::Level3, 0.011, 0.9),
            line("p99.9", Tone::Level4, 0.018, 1.15),
        ],
        thresholds: vec![Rule { name: "promise: 100 ms".into(), at: 0.1 }],
        ..Plot::default()
    }
}

fn outcomes() -> Plot {
    let limit = 4000.0;
    let amounts = |of: fn(f64, f64) -> f64| {
        (0..140).map(|second| of(limit * times_at(second), limit) * wobble(second)).collect()
    };
    let layer = |name: &str, tone, of| Layer { name: name.into(), tone, amounts: amounts(of) };
    Plot {
        title: "What became of each request".into(),
        x: seconds(),
        y: Axis { label: "requests per second".into(), ..Axis::default() },
        phases: phases(),
        stack: Stack {
            at: (0..140).map(f64::from).collect(),
            layers: vec![
                layer("good", Tone::Good, f64::min),
                layer("refused", Tone::Refused, |offered, limit| (offered - limit).max(0.0) * 0.8),
                layer("timed out", Tone::TimedOut, |offered, limit| {
                    (offered - limit).max(0.0) * 0.15
                }),
                layer("failed", Tone::Failed, |offered, limit| (offered - limit).max(0.0) * 0.05),
            ],
        },
        lines: vec![Line {
            name: "offered".into(),
            tone: Tone::Quiet,
            points: (0..140).map(|second| (f64::from(second), limit * times_at(second))).collect(),
        }],
        ..Plot::default()
    }
}

fn goodput() -> Plot {
    let dots = |name: &str, tone, shares: [f64; 4]| Dots {
        name: name.into(),
        tone,
        joined: Joined::Yes,
        dots: [1.0, 2.0, 5.0, 10.0]
            .into_iter()
            .zip(shares)
            .map(|(x, y)| Dot { x, y, interval: Some((y * 0.94, (y * 1.03).min(1.02))) })
            .collect(),
    };
    Plot {
        title: "Goodput past the limit".into(),
        x: Axis {
            label: "offered, in multiples of the limit".into(),
            unit: Unit::Times,
            ..Axis::default()
        },
        y: Axis { label: "goodput ÷ peak".into(), unit: Unit::Share, ..Axis::default() },
        dots: vec![
            dots("tenfold", Tone::Hue1, [1.0, 0.97, 0.95, 0.91]),
            dots("before", Tone::Hue2, [1.0, 0.61, 0.12, 0.02]),
        ],
        lines: vec![Line {
            name: "ideal".into(),
            tone: Tone::Quiet,
            points: vec![(1.0, 1.0), (10.0, 1.0)],
        }],
        ..Plot::default()
    }
}

fn scalability() -> Plot {
    let throughput =
        |users: f64| 900.0 * users / (1.0 + 0.03 * (users - 1.0) + 0.0002 * users * (users - 1.0));
    let curve: Vec<f64> = (1..=256).map(f64::from).collect();
    Plot {
        title: "Throughput over concurrency, and the Universal Scalability Law".into(),
        x: Axis {
            label: "requests in flight".into(),
            spacing: Spacing::Logarithmic,
            ..Axis::default()
        },
        y: Axis { label: "good answers per second".into(), ..Axis::default() },
        ranges: vec![Range {
            name: "95 % interval".into(),
            tone: Tone::Hue1,
            bounds: curve
                .iter()
                .map(|&x| {
                    let off = 0.04 + x / 2500.0;
                    let y = throughput(x);
                    Bounds { x, low: y * (1.0 - off), high: y * (1.0 + off) }
                })
                .collect(),
        }],
        lines: vec![Line {
            name: "fitted".into(),
            tone: Tone::Hue1,
            points: curve.iter().map(|&x| (x, throughput(x))).collect(),
        }],
        dots: vec![Dots {
            name: "measured".into(),
            tone: Tone::Hue2,
            joined: Joined::No,
            dots: [1, 2, 4, 8, 16, 32, 64, 128, 256]
                .into_iter()
                .map(|x| Dot {
                    x: f64::from(x),
                    y: throughput(f64::from(x)) * wobble(x * 7),
                    interval: None,
                })
                .collect(),
        }],
        marks: vec![Rule { name: "most at 70".into(), at: 70.0 }],
        ..Plot::default()
    }
}

fn probes() -> Plot {
    let share = |rate: f64| 1.0 / (1.0 + ((rate - 4600.0) / 160.0).exp());
    Plot {
        title: "The search for the limit".into(),
        x: Axis { label: "requests offered per second".into(), ..Axis::default() },
        y: Axis { label: "share of good answers".into(), unit: Unit::Share, ..Axis::default() },
        dots: vec![Dots {
            name: "probes".into(),
            tone: Tone::Hue1,
            joined: Joined::No,
            dots: [500, 1000, 2000, 4000, 8000, 6000, 5000, 4500, 4250, 4050, 3950, 3900, 3850]
                .into_iter()
                .map(|rate| {
                    let (x, y) = (f64::from(rate), share(f64::from(rate)));
                    Dot { x, y, interval: Some(((y - 0.02).max(0.0), (y + 0.02).min(1.0))) }
                })
                .collect(),
        }],
        thresholds: vec![Rule { name: "99 % are good".into(), at: 0.99 }],
        marks: vec![
            Rule { name: "limit: 3.9k".into(), at: 3900.0 },
            Rule { name: "found before: 4.1k".into(), at: 4100.0 },
        ],
        ..Plot::default()
    }
}

/// Names that cannot all stand at the ends of their lines.
fn crowded() -> Plot {
    let tones = [Tone::Hue1, Tone::Hue2, Tone::Hue3, Tone::Hue4];
    let names = ["reads", "search", "orders", "exports to the accounting department"];
    let lines = names.iter().zip(tones).enumerate().map(|(index, (name, tone))| Line {
        name: (*name).into(),
        tone,
        points: (0..60)
            .map(|at| (f64::from(at), (index as f64 + 1.0) * 3e5 * wobble(at * (index as i32 + 2))))
            .collect(),
    });
    Plot {
        title: "Rows sent, by kind".into(),
        x: seconds(),
        y: Axis { label: "rows per second".into(), ..Axis::default() },
        lines: lines.collect(),
        ..Plot::default()
    }
}

/// A stall of half a second each five, among a hundred thousand points.
fn stall() -> Plot {
    Plot {
        title: "Each answer of a service that stalls".into(),
        x: seconds(),
        y: Axis { label: "latency".into(), unit: Unit::Duration, ..Axis::default() },
        lines: vec![Line {
            name: "answers".into(),
            tone: Tone::Hue1,
            points: (0..100_000)
                .map(|index| {
                    let second = f64::from(index) / 4000.0;
                    let since = second % 5.0;
                    let waited = if since < 0.5 { 0.5 - since } else { 0.0 };
                    (second, 0.003 * wobble(index) + waited)
                })
                .collect(),
        }],
        ..Plot::default()
    }
}

fn seconds() -> Axis {
    Axis { label: "time".into(), unit: Unit::Elapsed, ..Axis::default() }
}

fn phases() -> Vec<Phase> {
    [("1×", 0, 25), ("2×", 25, 50), ("5×", 50, 75), ("10×", 75, 110), ("recovery", 110, 140)]
        .into_iter()
        .map(|(name, from, to)| Phase {
            name: name.into(),
            from: f64::from(from),
            to: f64::from(to),
        })
        .collect()
}

fn times_at(second: i32) -> f64 {
    match second {
        ..25 => 1.0,
        25..50 => 2.0,
        50..75 => 5.0,
        75..110 => 10.0,
        _ => 0.5,
    }
}

/// What looks like chance, and is the same each time.
fn wobble(seed: i32) -> f64 {
    let seed = f64::from(seed);
    1.0 + 0.09 * (seed * 1.7).sin() + 0.06 * (seed * 0.61).cos() + 0.05 * (seed * 5.3).sin()
}
