//! What a scrape shows, and what happens to everything that is registered wrongly or too often.

use std::time::Duration;

use super::*;

#[test]
fn the_text_is_sorted_and_whole() {
    let registry = Registry::new();
    registry.gauge("b_open", "Open \\ now.\nSecond line.", &[]).set(-2);
    registry.counter("a_total", "Events.", &[("route", "/b")]).add(2);
    registry.counter("a_total", "Events.", &[("route", "/a\"")]).increment();
    registry.time_counter("c_seconds_total", "Busy.", &[]).add(Duration::from_millis(1500));
    registry.gauge_with("d_ratio", "Offered to capacity.", &[], || 0.25);
    assert_eq!(
        registry.encode(),
        "\
# HELP a_total Events.
# TYPE a_total counter
a_total{route=\"/a\\\"\"} 1
a_total{route=\"/b\"} 2
# HELP b_open Open \\\\ now.\\nSecond line.
# TYPE b_open gauge
b_open -2
# HELP c_seconds_total Busy.
# TYPE c_seconds_total counter
c_seconds_total 1.5
# HELP d_ratio Offered to capacity.
# TYPE d_ratio gauge
d_ratio 0.25
"
    );
}

#[test]
fn a_histogram_shows_round_bounds() {
    let registry = Registry::new();
    let histogram = registry.histogram("wait_seconds", "Wait.", &[("shard", "0")]);
    histogram.record(Duration::from_millis(5));
    histogram.record(Duration::from_millis(6));
    let text = registry.encode();
    for line in [
        "wait_seconds_bucket{shard=\"0\",le=\"0.003\"} 0",
        "wait_seconds_bucket{shard=\"0\",le=\"0.005\"} 1",
        "wait_seconds_bucket{shard=\"0\",le=\"0.007\"} 2",
        "wait_seconds_bucket{shard=\"0\",le=\"+Inf\"} 2",
        "wait_seconds_sum{shard=\"0\"} 0.011",
        "wait_seconds_count{shard=\"0\"} 2",
    ] {
        assert!(text.lines().any(|shown| shown == line), "{line} is not in\n{text}");
    }
}

#[test]
fn handles_of_one_series_are_added_up() {
    let registry = Registry::new();
    let shards: Vec<_> = (0..3).map(|_| registry.counter("a_total", "A.", &[])).collect();
    shards.iter().for_each(Counter::increment);
    registry.counter_with("a_total", "A.", &[], || 0.5);
    assert!(registry.encode().ends_with("a_total 3.5\n"), "{}", registry.encode());
}

#[test]
fn what_a_dropped_handle_counted_stays() {
    let registry = Registry::new();
    for _ in 0..1000 {
        registry.counter("a_total", "A.", &[]).increment();
        registry.histogram("b_seconds", "B.", &[]).record(Duration::from_secs(1));
    }
    let text = registry.encode();
    assert!(text.contains("a_total 1000\n"), "{text}");
    assert!(text.contains("b_seconds_count 1000\n"), "{text}");
}

#[test]
fn labels_in_another_order_are_the_same_series() {
    let registry = Registry::new();
    registry.gauge("a", "A.", &[("x", "1"), ("y", "2")]).set(1);
    registry.gauge("a", "A.", &[("y", "2"), ("x", "1")]).set(1);
    assert!(registry.encode().ends_with("a{x=\"1\",y=\"2\"} 2\n"));
}

#[test]
fn a_name_with_two_meanings_is_an_error_that_names_both_places() {
    let registry = Registry::new();
    registry.gauge("a", "A.", &[]).set(1);
    assert!(registry.check().is_ok());
    let unseen = registry.gauge("a", "Another A.", &[]);
    unseen.set(5);
    registry.histogram("a", "A.", &[]);
    registry.counter("not_a_total_", "B.", &[]);

    let errors = registry.check().unwrap_err();
    let text = errors.to_string();
    assert_eq!(errors.iter().count(), 3, "{text}");
    assert_eq!(text.lines().next().unwrap().matches("tests.rs:").count(), 2, "{text}");
    assert!(text.contains("its help is \"A.\""), "{text}");
    assert!(
        registry.encode().ends_with("\na 1\n"),
        "the first one is shown: {}",
        registry.encode()
    );
}

#[test]
fn one_type_under_another_unit_is_an_error_too() {
    let registry = Registry::new();
    registry.time_counter("busy_seconds_total", "Busy.", &[]);
    registry.counter("busy_seconds_total", "Busy.", &[]);
    assert!(registry.check().unwrap_err().to_string().contains("it is a TimeCounter at"));
}

#[test]
fn a_family_has_a_bound() {
    let registry = Registry::new();
    let family =
        registry.family::<Counter>("seen_total", "Seen.", &["route", "status"]).series_max(2);
    family.with(&["/a", "200"]).increment();
    family.with(&["/b", "200"]).increment();
    family.with(&["/a", "200"]).increment();
    family.with(&["/c", "200"]).increment();
    family.with(&["/d", "200"]).add(2);
    let text = registry.encode();
    for line in [
        "seen_total{route=\"/a\",status=\"200\"} 2",
        "seen_total{route=\"/b\",status=\"200\"} 1",
        "seen_total{route=\"other\",status=\"other\"} 3",
        "tenfold_metric_overflow_total{metric=\"seen_total\"} 2",
    ] {
        assert!(text.lines().any(|shown| shown == line), "{line} is not in\n{text}");
    }
}

#[test]
fn a_value_that_is_too_long_is_another() {
    let registry = Registry::new();
    let family = registry.family::<Counter>("seen_total", "Seen.", &["route"]);
    let longest = "x".repeat(Family::<Counter>::VALUE_BYTES_MAX);
    family.with(&[&longest]).increment();
    family.with(&[&format!("{longest}x")]).increment();
    let text = registry.encode();
    assert!(text.contains(&format!("seen_total{{route=\"{longest}\"}} 1\n")), "{text}");
    assert!(text.contains("seen_total{route=\"other\"} 1\n"), "{text}");
}

#[test]
fn families_of_one_name_share_the_bound_and_the_series() {
    let registry = Registry::new();
    let family = || registry.family::<Counter>("seen_total", "Seen.", &["route"]).series_max(1);
    let (one, other) = (family(), family());
    one.with(&["/a"]).increment();
    other.with(&["/b"]).increment();
    other.with(&["/a"]).increment();
    one.with(&["/b"]).increment();
    let text = registry.encode();
    assert!(text.contains("seen_total{route=\"/a\"} 2\n"), "{text}");
    assert!(text.contains("seen_total{route=\"other\"} 2\n"), "{text}");
}

#[test]
fn values_that_are_missing_are_empty_and_too_many_are_cut() {
    let registry = Registry::new();
    let family = registry.family::<Gauge>("seen", "Seen.", &["a", "b"]);
    family.with(&["1"]).set(1);
    family.with(&["1", "2", "3"]).set(2);
    let text = registry.encode();
    assert!(text.contains("seen{a=\"1\",b=\"\"} 1\n"), "{text}");
    assert!(text.contains("seen{a=\"1\",b=\"2\"} 2\n"), "{text}");
}

#[test]
fn a_family_with_a_wrong_label_records_into_nothing() {
    let registry = Registry::new();
    registry.family::<Histogram>("a_seconds", "A.", &["le"]).with(&["x"]).record(Duration::ZERO);
    assert!(registry.check().unwrap_err().to_string().contains("`le`"));
    assert!(!registry.encode().contains("a_seconds_"));
}

#[test]
fn eight_threads_lose_nothing() {
    let registry = Registry::new();
    let family = registry.family::<Counter>("seen_total", "Seen.", &["thread"]);
    std::thread::scope(|scope| {
        for thread in ["0", "1", "2", "3", "4", "5", "6", "7"] {
            let (registry, family) = (registry.clone(), family.clone());
            scope.spawn(move || {
                let histogram = registry.histogram("wait_seconds", "Wait.", &[]);
                for _ in 0..10_000 {
                    histogram.record(Duration::from_millis(1));
                    family.with(&[thread]).increment();
                }
            });
        }
    });
    let text = registry.encode();
    assert!(text.contains("wait_seconds_count 80000\n"), "{text}");
    assert_eq!(text.matches("} 10000\n").count(), 8, "{text}");
}

#[test]
fn the_process_shows_itself() {
    let registry = Registry::new();
    register_process(&registry);
    assert!(registry.check().is_ok());
    let text = registry.encode();
    if cfg!(target_os = "linux") {
        let value = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
            line.unwrap_or_else(|| panic!("{name} is not in\n{text}")).parse::<f64>().unwrap()
        };
        assert!(value("process_cpu_seconds_total") >= 0.0);
        assert!(value("process_resident_memory_bytes") > 100_000.0);
        assert!(value("process_open_fds") >= 3.0);
        assert!(value("process_max_fds") >= value("process_open_fds"));
        assert!(value("process_threads") >= 1.0);
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs_f64();
        let age = now - value("process_start_time_seconds");
        assert!((-2.0..3600.0).contains(&age), "{age}");
    }
}
