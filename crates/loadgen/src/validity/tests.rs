//! What makes a run invalid, and that it is said of the phase in which it was.

use super::*;
use crate::ending::NotOffered;

fn offer(record: &mut Record, phase: usize, intended: u64, not_offered: u64, lag_us: u64) {
    for index in 0..intended {
        record.intend(phase, 0, false, 0);
        record.note_lag(phase, lag_us);
        if index < not_offered {
            record.skip((phase, 0, false), 0, NotOffered::BacklogFull);
        }
    }
}

fn record(intended: u64, not_offered: u64, lag_us: u64) -> Record {
    let mut record = Record::new(1, 1);
    offer(&mut record, 0, intended, not_offered, lag_us);
    record
}

fn of(record: &Record, cpu_share: f64) -> Validity {
    let names = match record.phases.len() {
        1 => vec!["all"],
        _ => vec!["1x", "2x", "10x"],
    };
    let phase = |name: &str| Phase {
        name: name.to_owned(),
        from: Duration::ZERO,
        until: Duration::from_secs(1),
    };
    let phases: Vec<Phase> = names.into_iter().map(phase).collect();
    Validity::of(record, &phases, 7, (cpu_share, 1, 2))
}

#[test]
fn a_run_that_kept_up_is_valid_and_so_is_an_empty_one() {
    assert!(of(&record(0, 0, 0), 0.0).is_valid());
    assert!(of(&record(1000, 1, 9_900), 1.0).is_valid());
    assert!(of(&Record::new(3, 1), 1.0).is_valid());
}

#[test]
fn each_reason_is_told_with_what_helps() {
    assert_eq!(
        of(&record(1000, 2, 0), 0.5).to_string(),
        "the generator was the bottleneck: 2 of 1000 requests found none of 7 connections free \
         (raise connections_max, or lower the timeout or the rate)"
    );
    let late = of(&record(1000, 0, 20_000), 0.96).to_string();
    assert!(late.contains("96 % of its core in use (give it more threads)"), "{late}");
    let both = of(&record(1000, 500, 20_000), 0.3).to_string();
    assert!(both.contains(", and one request in a hundred"), "{both}");
    assert!(both.contains("a core of its own"), "{both}");
}

#[test]
fn more_threads_are_no_advice_where_there_are_no_cores_for_them() {
    let told = |cpu_share, threads, cores| {
        let p99 = Duration::from_millis(20);
        Limit::Lag { p99, cpu_share, threads, cores }.to_string()
    };
    let late = "one request in a hundred was sent 20ms late or later";
    for cpu_share in [0.3, 1.0] {
        let percent = cpu_share * 100.0;
        assert_eq!(
            told(cpu_share, 64, 2),
            format!(
                "{late}, while 64 threads took turns on 2 cores, with {percent} % of its core in \
                 use (give it no more threads than cores)"
            )
        );
    }
    let alone = told(0.3, 2, 1);
    assert!(alone.contains(", while 2 threads took turns on 1 core, "), "{alone}");
    let full = format!("{late}, with 100 % of its core in use ");
    assert_eq!(told(1.0, 1, 2), format!("{full}(give it more threads)"));
    assert_eq!(told(1.0, 2, 2), format!("{full}(this machine has no more cores: lower the rate)"));
}

#[test]
fn what_was_sent_when_it_was_too_late_counts_like_what_was_not_sent() {
    let mut record = record(1000, 1, 0);
    assert!(of(&record, 0.1).is_valid());
    record.spoil((0, 0, false));
    record.note_connection_wait(0, 1_500_000);
    assert_eq!(
        of(&record, 0.1).to_string(),
        "the generator was the bottleneck: 2 of 1000 requests found none of 7 connections free in \
         time: one in a hundred waited 1.5s or longer (raise connections_max, or lower the \
         timeout or the rate)"
    );
}

#[test]
fn a_machine_that_has_nothing_to_connect_with_is_not_called_a_lack_of_connections() {
    for (reason, word) in [(NotOffered::NoFile, "ulimit"), (NotOffered::NoPort, "port_range")] {
        let mut record = record(100_000, 0, 0);
        record.skip((0, 0, false), 0, reason);
        let told = of(&record, 0.1).to_string();
        assert!(told.contains("1 of 100000 requests got no connection"), "{told}");
        assert!(told.contains(word) && !told.contains("7 connections"), "{told}");
    }
}

#[test]
fn one_late_phase_among_many_in_time_is_named() {
    let mut record = Record::new(3, 1);
    offer(&mut record, 0, 100_000, 0, 50);
    offer(&mut record, 1, 100, 0, 50);
    offer(&mut record, 2, 100, 0, 30_000);
    assert!(record.lag_us.value_at_quantile(0.99) < 100, "in the whole it would not be seen");
    let Validity::Generator(shortfalls) = of(&record, 0.5) else { panic!("it is invalid") };
    let [Shortfall { phase: Some((2, name)), limit: Limit::Lag { .. } }] = shortfalls.as_slice()
    else {
        panic!("{shortfalls:?}")
    };
    assert_eq!(name, "10x");
    assert!(of(&record, 0.5).to_string().contains(": phase 10x: one request in a hundred"));
}

#[test]
fn of_several_phases_the_worst_is_told_and_the_others_are_named() {
    let mut record = Record::new(3, 1);
    offer(&mut record, 0, 1000, 10, 0);
    offer(&mut record, 1, 1000, 0, 0);
    offer(&mut record, 2, 1000, 900, 0);
    let told = of(&record, 0.5).to_string();
    assert!(told.contains("phase 10x: 900 of 1000 requests"), "{told}");
    assert!(told.ends_with("or the rate); less so in 1x"), "{told}");
}

#[test]
fn a_single_late_request_of_a_short_phase_is_chance_but_many_of_them_are_not() {
    let mut chance = Record::new(3, 1);
    for phase in 0..3 {
        offer(&mut chance, phase, 50, 0, 50);
    }
    chance.note_lag(1, 30_000);
    assert!(of(&chance, 0.5).is_valid());
    chance.note_lag(0, 30_000);
    chance.note_lag(2, 30_000);
    let told = of(&chance, 0.5).to_string();
    assert!(told.starts_with("the generator was the bottleneck: one request"), "{told}");
}
