//! What must hold for any plot at all: it is well-formed, inside of its frame, readable and small.

use proptest::{collection::vec, prelude::*};
use roxmltree::{Document, Node};
use tenfold_chart::{
    Axis, Bounds, Dot, Dots, Joined, Layer, Line, Phase, Plot, Range, Rule, Size, Spacing, Stack,
    Tone, Unit,
};

proptest! {
    #[test]
    fn any_plot_gives_a_picture_that_stays_inside(plot in any_plot(), size in any_size()) {
        let svg = plot.svg(size);
        let document = Document::parse(&svg).map_err(|error| {
            TestCaseError::fail(format!("{error}\n{svg}"))
        })?;
        let root = document.root_element();
        prop_assert_eq!(root.attribute("role"), Some("img"));
        let view_box: Vec<f64> =
            root.attribute("viewBox").unwrap().split(' ').map(|it| it.parse().unwrap()).collect();
        for element in root.descendants().filter(Node::is_element) {
            for (x, y) in places(&element) {
                let inside = (-0.1..=view_box[2] + 0.1).contains(&x)
                    && (-0.1..=view_box[3] + 0.1).contains(&y);
                prop_assert!(inside, "{x} {y} of {element:?} in\n{svg}");
            }
        }
        prop_assert!(!svg.contains("NaN") && !svg.contains("inf"), "{}", svg);
    }

    #[test]
    fn words_do_not_overlap(plot in any_plot(), size in any_size()) {
        let svg = plot.svg(size);
        let document = Document::parse(&svg).unwrap();
        let words: Vec<(f64, f64, f64, &str)> = document
            .descendants()
            .filter(|node| node.has_tag_name("text"))
            .map(extent_of_words)
            .collect();
        for (index, one) in words.iter().enumerate() {
            for other in &words[index + 1..] {
                let apart = one.1 <= other.0 || other.1 <= one.0 || (one.2 - other.2).abs() >= 10.0;
                prop_assert!(apart, "{one:?} {other:?}\n{svg}");
            }
        }
    }

    #[test]
    fn what_the_words_say_comes_back(title in ".*", note in "[^.\\s]+") {
        let svg = Plot { title: title.clone(), note: note.clone(), ..Plot::default() }
            .document(Size::NARROW);
        let document = Document::parse(&svg).unwrap();
        let text = |name| {
            document.descendants().find(|node| node.has_tag_name(name)).and_then(|it| it.text())
        };
        let is_plain = |text: &str| text.chars().all(|it| !it.is_control());
        if is_plain(&title) && !title.contains(['\u{fffe}', '\u{ffff}']) {
            prop_assert_eq!(text("title").unwrap_or_default(), title);
        }
        if is_plain(&note) && !note.contains(['\u{fffe}', '\u{ffff}']) {
            let expected = format!("{note}. There is no data.");
            prop_assert_eq!(text("desc"), Some(expected.as_str()));
        }
    }
}

#[test]
fn a_picture_of_a_million_points_is_small() {
    let points: Vec<(f64, f64)> =
        (0..1_000_000).map(|index| (f64::from(index), (f64::from(index) * 0.7).sin())).collect();
    let dots = points.iter().map(|&(x, y)| Dot { x, y, interval: None }).collect();
    let bounds = points.iter().map(|&(x, y)| Bounds { x, low: y - 1.0, high: y + 1.0 }).collect();
    let stack = Stack {
        at: points.iter().map(|&(x, _)| x).collect(),
        layers: vec![Layer {
            amounts: points.iter().map(|&(_, y)| y + 1.0).collect(),
            ..Layer::default()
        }],
    };
    let kinds = [
        Plot { lines: vec![Line { points, ..Line::default() }], ..Plot::default() },
        Plot { dots: vec![Dots { dots, ..Dots::default() }], ..Plot::default() },
        Plot { ranges: vec![Range { bounds, ..Range::default() }], ..Plot::default() },
        Plot { stack, ..Plot::default() },
    ];
    for (plot, bytes_max) in kinds.iter().zip([40_000, 500_000, 40_000, 40_000]) {
        let bytes = plot.svg(Size::WIDE).len();
        assert!(bytes < bytes_max, "{bytes}");
    }
}

/// All places that an element mentions, whatever their attributes are called.
fn places(element: &Node<'_, '_>) -> Vec<(f64, f64)> {
    let number = |name: &str| {
        element.attribute(name).map_or(0.0, |value| value.parse::<f64>().expect("a number"))
    };
    match element.tag_name().name() {
        "line" => vec![(number("x1"), number("y1")), (number("x2"), number("y2"))],
        "rect" => {
            let (x, y) = (number("x"), number("y"));
            vec![(x, y), (x + number("width"), y + number("height"))]
        }
        "circle" => {
            let (x, y, radius) = (number("cx"), number("cy"), number("r"));
            vec![(x - radius, y - radius), (x + radius, y + radius)]
        }
        "path" => {
            let path = element.attribute("d").expect("a path has one");
            path.split(['M', 'L', 'Z'])
                .map(|step| step.trim_end_matches("h0"))
                .filter(|step| !step.is_empty())
                .map(|step| {
                    let (x, y) = step.split_once(' ').expect("two numbers");
                    (x.parse().expect("a number"), y.parse().expect("a number"))
                })
                .collect()
        }
        "text" => {
            let (left, right, baseline, _) = extent_of_words(*element);
            vec![(left, baseline - 9.0), (right, baseline + 2.0)]
        }
        _ => Vec::new(),
    }
}

/// From where to where, and on which baseline. Half an em for each character is what Helvetica
/// has on average; only Latin letters are tried.
fn extent_of_words<'a>(text: Node<'a, 'a>) -> (f64, f64, f64, &'a str) {
    let number =
        |name: &str| text.attribute(name).and_then(|it| it.parse::<f64>().ok()).expect("a place");
    let words = text.text().unwrap_or_default();
    let (x, width) = (number("x"), words.chars().count() as f64 * 5.2);
    let class = text.attribute("class").unwrap_or_default();
    let left = match class {
        "tf-middle" => x - width / 2.0,
        "tf-end" => x - width,
        _ => x,
    };
    (left, left + width, number("y"), words)
}

fn any_plot() -> impl Strategy<Value = Plot> {
    let axes = (any_axis(), any_axis());
    let data = (any_stack(), vec(any_range(), 0..3), vec(any_line(), 0..5), vec(any_dots(), 0..3));
    let around = (vec(any_phase(), 0..6), vec(any_rule(), 0..5), vec(any_rule(), 0..5));
    (any_name(), axes, data, around).prop_map(
        |(title, (x, y), (stack, ranges, lines, dots), (phases, thresholds, marks))| Plot {
            title,
            note: String::new(),
            x,
            y,
            phases,
            stack,
            ranges,
            lines,
            dots,
            thresholds,
            marks,
        },
    )
}

/// Mostly what is measured, now and then what should never come.
fn any_number() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => 0.0..100.0,
        2 => 1e-6..1e6,
        1 => -1e3..1e3,
        1 => any::<f64>(),
        1 => Just(f64::NAN),
    ]
}

/// Characters that are about as wide as the average.
fn any_name() -> impl Strategy<Value = String> {
    "[a-eghknopqsuv0-9<&]{0,30}"
}

fn any_size() -> impl Strategy<Value = Size> {
    (0_u32..1000, 0_u32..600).prop_map(|(width, height)| Size::new(width, height))
}

fn any_axis() -> impl Strategy<Value = Axis> {
    let unit = prop::sample::select(vec![
        Unit::Count,
        Unit::Duration,
        Unit::Elapsed,
        Unit::Share,
        Unit::Times,
    ]);
    let spacing = prop::sample::select(vec![Spacing::Linear, Spacing::Logarithmic]);
    let covers = prop::option::of((any_number(), any_number()));
    (any_name(), unit, spacing, covers).prop_map(|(label, unit, spacing, covers)| Axis {
        label,
        unit,
        spacing,
        covers,
    })
}

fn any_tone() -> impl Strategy<Value = Tone> {
    prop::sample::select(vec![Tone::Level1, Tone::Refused, Tone::Hue3, Tone::Failed])
}

fn any_line() -> impl Strategy<Value = Line> {
    (any_name(), any_tone(), vec((any_number(), any_number()), 0..40))
        .prop_map(|(name, tone, points)| Line { name, tone, points })
}

fn any_dots() -> impl Strategy<Value = Dots> {
    let dot = (any_number(), any_number(), prop::option::of((any_number(), any_number())))
        .prop_map(|(x, y, interval)| Dot { x, y, interval });
    let joined = prop::sample::select(vec![Joined::Yes, Joined::No]);
    (any_name(), any_tone(), joined, vec(dot, 0..20)).prop_map(|(name, tone, joined, dots)| Dots {
        name,
        tone,
        joined,
        dots,
    })
}

fn any_range() -> impl Strategy<Value = Range> {
    let bounds = (any_number(), any_number(), any_number()).prop_map(|(x, low, high)| Bounds {
        x,
        low,
        high,
    });
    (any_name(), any_tone(), vec(bounds, 0..20)).prop_map(|(name, tone, bounds)| Range {
        name,
        tone,
        bounds,
    })
}

fn any_stack() -> impl Strategy<Value = Stack> {
    let layer = (any_name(), any_tone(), vec(any_number(), 0..30))
        .prop_map(|(name, tone, amounts)| Layer { name, tone, amounts });
    (vec(any_number(), 0..30), vec(layer, 0..4)).prop_map(|(at, layers)| Stack { at, layers })
}

fn any_phase() -> impl Strategy<Value = Phase> {
    (any_name(), any_number(), any_number()).prop_map(|(name, from, to)| Phase { name, from, to })
}

fn any_rule() -> impl Strategy<Value = Rule> {
    (any_name(), any_number()).prop_map(|(name, at)| Rule { name, at })
}
