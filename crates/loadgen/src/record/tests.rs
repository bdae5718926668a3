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
        assert_eq!(into.not_offered(NotOffered::Expired), 1);
    }
}
