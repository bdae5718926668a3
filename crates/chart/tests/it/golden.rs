//! One small picture of each kind, as text. A change of one should be looked at: the gallery
//! example shows all of them.

use tenfold_chart::{
    Axis, Bounds, Dot, Dots, Joined, Layer, Line, Phase, Plot, Range, Rule, Size, Spacing, Stack,
    Tone, Unit,
};

fn check(name: &str, plot: &Plot) {
    insta::assert_snapshot!(name, plot.svg(Size::new(320, 240)));
}

#[test]
fn lines_with_phases_and_a_threshold() {
    let line = |name: &str, tone, times: f64| Line {
        name: name.into(),
        tone,
        points: vec![
            (0.0, 0.002 * times),
            (10.0, 0.005 * times),
            (15.0, f64::NAN),
            (20.0, 0.02 * times),
            (30.0, 0.002 * times),
        ],
    };
    check(
        "lines",
        &Plot {
            title: "Latency <of good answers>".into(),
            x: Axis { label: "time".into(), unit: Unit::Elapsed, ..Axis::default() },
            y: Axis {
                label: "latency".into(),
                unit: Unit::Duration,
                spacing: Spacing::Logarithmic,
                ..Axis::default()
            },
            phases: vec![
                Phase { name: "1×".into(), from: 0.0, to: 15.0 },
                Phase { name: "recovery".into(), from: 15.0, to: 30.0 },
            ],
            lines: vec![line("p50", Tone::Level1, 1.0), line("p99", Tone::Level3, 4.0)],
            thresholds: vec![Rule { name: "promise".into(), at: 0.05 }],
            ..Plot::default()
        },
    );
}

#[test]
fn a_stack_with_a_gap() {
    let layer = |name: &str, tone, amounts: [f64; 4]| Layer {
        name: name.into(),
        tone,
        amounts: amounts.into(),
    };
    check(
        "stack",
        &Plot {
            title: "Outcomes".into(),
            y: Axis { label: "per second".into(), ..Axis::default() },
            stack: Stack {
                at: vec![0.0, 1.0, 2.0, 3.0],
                layers: vec![
                    layer("good", Tone::Good, [10_000.0, 12_000.0, f64::NAN, 9_000.0]),
                    layer("refused", Tone::Refused, [0.0, 4_000.0, f64::NAN, 0.0]),
                ],
            },
            ..Plot::default()
        },
    );
}

#[test]
fn measurements_with_a_fitted_curve() {
    check(
        "measurements",
        &Plot {
            title: "Throughput".into(),
            ranges: vec![Range {
                name: "interval".into(),
                tone: Tone::Hue1,
                bounds: vec![
                    Bounds { x: 1.0, low: 8.0, high: 12.0 },
                    Bounds { x: 4.0, low: 20.0, high: f64::MAX.sqrt().sqrt().sqrt() },
                    Bounds { x: 8.0, low: 10.0, high: 60.0 },
                ],
            }],
            lines: vec![Line {
                name: "fitted".into(),
                tone: Tone::Hue1,
                points: vec![(1.0, 10.0), (4.0, 30.0), (8.0, 40.0)],
            }],
            dots: vec![Dots {
                name: "measured".into(),
                tone: Tone::Hue2,
                joined: Joined::No,
                dots: vec![
                    Dot { x: 1.0, y: 11.0, interval: None },
                    Dot { x: 8.0, y: 38.0, interval: Some((30.0, 44.0)) },
                ],
            }],
            marks: vec![Rule { name: "limit".into(), at: 6.0 }],
            ..Plot::default()
        },
    );
}

#[test]
fn no_data() {
    let lines = vec![Line { points: vec![(0.0, f64::NAN)], ..Line::default() }];
    check("no_data", &Plot { title: "Nothing".into(), lines, ..Plot::default() });
}
