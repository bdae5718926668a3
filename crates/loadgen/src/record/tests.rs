//! Records stay small however long a run is, and those of threads add up.

use super::*;

const SECOND_NS: u64 = 1_000_000_000;

fn finished(second: u64, latency_ms: u64, ending: Ending) -> Finished {
    let intended = second * SECOND_NS;
    let ended = intended + latency_ms * 1_000_000;
    let sent = Some(ended - 1_000_000);
    Finished { phase: 0, class: 0, retry: false, intended, sent, ended, ending }
}

fn day() -> Record {
    let mut record = Record::new(1, 1);
    for second in 0..86_400 {
        record.intend(0, 0, false, second * SECOND_NS);
        record.finish(&finished(second, 5, Ending::Good));
    }
    record
}

#[test]
fn latency_counts_from_the_intended_moment_and_service_time_from_the_sending() {
    let mut record = Record::new(1, 1);
    record.finish(&finished(0, 500, Ending::Good));
    let total = record.total();
    let latency = total.latency_us(Ending::Good).unwrap();
    assert!(latency.equivalent(latency.max(), 500_000));
    assert_eq!(total.service_us().unwrap().max(), 1000);
}

#[test]
fn a_day_has_as_few_buckets_as_ten_minutes() {
    let record = day();
    let timeline = &record.timeline;
    assert_eq!(timeline.width(), std::time::Duration::from_secs(256));
    assert_eq!(timeline.buckets().len(), 338);
    assert_eq!(
        timeline.buckets().iter().map(|bucket| bucket.count(Ending::Good)).sum::<u64>(),
        86_400
    );
    assert_eq!(record.total().count(Ending::Good), 86_400);
}

#[test]
fn records_of_threads_add_up_whatever_their_widths() {
    let mut short = Record::new(1, 1);
    short.intend(0, 0, true, 3 * SECOND_NS);
    short.finish(&Finished { retry: true, ..finished(3, 7, Ending::Refused) });
    short.fail(Failure::Reset);
    short.causes.note(Failure::Connect, "refused");
    for status in [500, 404, 404] {
        short.note_status(status);
    }
    short.intend(0, 0, false, 4 * SECOND_NS);
    short.skip((0, 0, false), 4 * SECOND_NS, NotOffered::Expired);
    for (mut into, from) in [(day(), short.clone()), (short, day())] {
        into.absorb(&from);
        let total = into.total();
        assert_eq!(total.intended, 86_402);
        assert_eq!(total.offered(), 86_401);
        assert_eq!(total.ended(), 86_401);
        assert_eq!(into.phases[0].classes[0].retries.count(Ending::Refused), 1);
        assert_eq!(into.timeline.buckets()[0].retries, 1);
        assert_eq!(into.timeline.buckets()[0].not_offered, 1);
        assert_eq!(into.failures(Failure::Reset), 1);
        assert_eq!(into.causes.ranked().len(), 1);
        assert_eq!(into.statuses_ranked(), [(404, 2), (500, 1)]);
        assert_eq!(into.not_offered(NotOffered::Expired), 1);
    }
}

/// Everything in a record that could grow, counted in bytes.
fn bytes(record: &Record) -> usize {
    let of = |histogram: &Histogram<u64>| histogram.distinct_values() * size_of::<u64>();
    let lags = [&record.lag_us, &record.connection_wait_us].map(of);
    let phases = record.phases.iter().map(|phase| {
        let tally = |tally: &Tally| -> usize {
            let latencies = Ending::ALL.iter().filter_map(|ending| tally.latency_us(*ending));
            latencies.chain(tally.service_us()).map(of).sum()
        };
        let classes = phase.classes.iter();
        let classes = classes.map(|class| tally(&class.first) + tally(&class.retries));
        of(&phase.lag_us) + of(&phase.connection_wait_us) + classes.sum::<usize>()
    });
    let buckets = record.timeline.buckets().iter().map(|bucket| {
        let latencies = bucket.latency_us.distinct_values() * size_of::<u32>();
        size_of::<Bucket>() + bucket.classes.len() * size_of::<(u64, u64)>() + latencies
    });
    lags.into_iter().chain(phases).chain(buckets).sum()
}

#[test]
fn a_record_of_a_year_is_about_as_large_as_that_of_a_day() {
    let mut record = Record::new(1, 1);
    let mut until = |seconds: u64, step: usize| {
        for second in (0..seconds).step_by(step) {
            record.intend(0, 0, false, second * SECOND_NS);
            record.note_lag(0, second % 1000);
            record.note_connection_wait(0, second % 1000);
            let ending = Ending::ALL[second as usize % Ending::ALL.len()];
            record.finish(&finished(second, 1 + second % 1000, ending));
        }
        bytes(&record)
    };
    let day = until(86_400, 11);
    let year = until(365 * 86_400, 97);
    // Histograms grow with the largest value alone, which has come by then; of the steps of time
    // there are at least half as many as there can be.
    assert!(year <= 2 * day, "{day} bytes, then {year}");
    assert!(year < 6 << 20, "{year} bytes");
}
