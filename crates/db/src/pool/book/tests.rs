//! What the book of the pool decides, one rule at a time.

use std::cell::Cell;
use std::rc::Rc;

use tenfold_context::Context;

use super::super::holder::Work;
use super::*;

#[derive(Clone, Debug, Default)]
struct Fake {
    closed: Rc<Cell<bool>>,
    running: Rc<Cell<bool>>,
}

impl Link for Fake {
    fn is_closed(&self) -> bool {
        self.closed.get()
    }

    fn is_running(&self) -> bool {
        self.running.get()
    }
}

const SECOND: Duration = Duration::from_secs(1);

fn at(seconds: u64) -> Moment {
    Moment::ZERO + SECOND * u32::try_from(seconds).unwrap()
}

fn book(connections_min: usize, connections_max: usize) -> Book<Fake> {
    Book::new(Bounds {
        connections_min,
        connections_max,
        lifetime: SECOND * 1000,
        idle_max: SECOND * 100,
        hold_max: SECOND * 10,
        health_interval: SECOND * 30,
    })
}

fn here() -> ThreadId {
    std::thread::current().id()
}

fn elsewhere() -> ThreadId {
    std::thread::spawn(here).join().unwrap()
}

fn holding() -> Holding {
    Holding { context: Context::new(), work: Work::Transaction("leaks") }
}

impl Book<Fake> {
    fn take(&mut self, now: Moment) -> Want<Fake> {
        self.want(now, here(), holding())
    }

    fn lent(&mut self, now: Moment) -> Lent<Fake> {
        match self.take(now) {
            Want::Ready { lent, .. } => lent,
            other => panic!("{other:?}"),
        }
    }

    fn waits(&mut self, now: Moment) -> oneshot::Receiver<Answer<Fake>> {
        match self.take(now) {
            Want::Wait(receiver) => receiver,
            other => panic!("{other:?}"),
        }
    }

    /// Does what there is to do; how many connections are to be made.
    fn settle(&mut self, now: Moment) -> usize {
        let mut opens = 0;
        while let Some(step) = self.step(now) {
            match step {
                Step::Answer(waiter, answer) => waiter.send(answer).unwrap(),
                Step::Forget(_) => {}
                Step::Open => opens += 1,
            }
        }
        opens
    }

    /// As many idle connections as that.
    fn with_idle(mut self, idle: usize) -> Book<Fake> {
        for _ in 0..idle {
            self.opening += 1;
            assert!(self.opened(at(0), Fake::default(), here()).1.is_none());
        }
        self
    }
}

#[test]
fn who_waits_gets_what_comes_first_and_no_more_are_made_than_are_wanted() {
    let mut book = book(0, 3).with_idle(1);
    let first = book.lent(at(0));
    let mut second = book.waits(at(0));
    assert_eq!(book.settle(at(0)), 1);
    assert_eq!(book.settle(at(0)), 0, "it is being made already");
    assert!(book.put(at(1), first).is_none());
    assert_eq!(book.settle(at(1)), 0);
    assert!(second.try_recv().unwrap().is_ok(), "the one that came back");
    book.opened(at(2), Fake::default(), here());
    assert_eq!((book.used_count(), book.idle_count(), book.opening_count()), (1, 1, 0));
}

#[test]
fn who_leaves_does_not_take_the_new_connection_along() {
    let mut book = book(0, 1);
    drop(book.waits(at(0)));
    let mut next = book.waits(at(0));
    assert_eq!(book.settle(at(0)), 1);
    drop(book.waits(at(0)));
    assert_eq!(book.settle(at(0)), 0);
    assert_eq!(book.wanting.len(), 1, "who has left does not count");
    book.opened(at(1), Fake::default(), here());
    book.settle(at(1));
    assert!(next.try_recv().unwrap().is_ok());
}

#[test]
fn the_bounds_hold_whoever_wants() {
    let mut book = book(0, 3);
    let waiters: Vec<_> = (0..3).map(|_| book.waits(at(0))).collect();
    assert_eq!(book.settle(at(0)), 3);
    drop(waiters);
    let _others: Vec<_> = (0..3).map(|_| book.waits(at(0))).collect();
    assert_eq!(book.settle(at(0)), 0, "three are being made");

    let mut book = self::book(0, 100);
    let _waiters: Vec<_> = (0..50).map(|_| book.waits(at(0))).collect();
    assert_eq!(book.settle(at(0)), OPENING_MAX);
    book.opened(at(1), Fake::default(), here());
    assert_eq!(book.settle(at(1)), 1);
}

#[test]
fn one_tries_again_for_all_and_the_others_hear_of_it_at_once() {
    let mut book = book(0, 4);
    let mut waiters: Vec<_> = (0..3).map(|_| book.waits(at(0))).collect();
    assert_eq!(book.settle(at(0)), 3);
    assert_eq!(book.failed(at(1), Cause::new("refused")), (true, false));
    book.settle(at(1));
    for waiter in &mut waiters {
        assert!(waiter.try_recv().unwrap().is_err());
    }
    assert!(matches!(book.take(at(1)), Want::Unreachable(_)));
    assert_eq!(book.settle(at(1)), 0, "nobody makes another attempt");
    assert_eq!(book.failed(at(1), Cause::new("refused")), (false, false));
    assert_eq!(book.failed(at(1), Cause::new("still refused")), (false, true));
    assert_eq!(book.opening_count(), 1);
    assert!(
        matches!(book.take(at(2)), Want::Unreachable(cause) if cause.to_string() == "still refused")
    );
    assert!(book.tries_again());
    let (was_down, closing) = book.opened(at(5), Fake::default(), here());
    assert_eq!((was_down, closing.is_none()), (Some(SECOND * 4), true));
    assert!(matches!(book.take(at(5)), Want::Ready { .. }));
}

#[test]
fn while_others_have_connections_theirs_are_waited_for() {
    let mut book = book(0, 2).with_idle(1);
    let lent = book.lent(at(0));
    let mut waits = book.waits(at(0));
    assert_eq!(book.settle(at(0)), 1);
    book.failed(at(0), Cause::new("too many clients"));
    book.settle(at(0));
    assert!(waits.try_recv().is_err(), "nothing yet");
    assert!(book.put(at(1), lent).is_none());
    book.settle(at(1));
    let lent = waits.try_recv().unwrap().unwrap();

    let mut waits = book.waits(at(1));
    book.settle(at(1));
    lent.member.connection.closed.set(true);
    assert!(book.put(at(2), lent).is_some(), "it is broken");
    book.settle(at(2));
    assert!(waits.try_recv().unwrap().is_err(), "and it was the last");
}

#[test]
fn a_maker_that_vanishes_is_replaced_when_somebody_wants_a_connection() {
    let mut book = book(0, 1);
    let _first = book.waits(at(0));
    assert_eq!(book.settle(at(0)), 1);
    book.maker_gone();
    assert_eq!(book.settle(at(0)), 1);
    assert_eq!(book.failed(at(0), Cause::new("refused")), (true, true));
    book.maker_gone();
    let _ = book.take(at(1));
    book.wanting.clear();
    assert_eq!(book.settle(at(1)), 0, "nobody wants one");
    let lent = book.with_idle(1).lent(at(1));
    assert!(!lent.member.connection.is_closed());
}

#[test]
fn one_of_another_thread_is_used_and_one_for_here_is_made() {
    let mut book = book(0, 2);
    book.opening += 1;
    book.opened(at(0), Fake::default(), elsewhere());
    let Want::Ready { lent, open: true } = book.take(at(0)) else { panic!() };
    book.opened(at(0), Fake::default(), here());
    assert!(book.put(at(0), lent).is_none());
    let Want::Ready { lent, open: false } = book.take(at(0)) else { panic!() };
    assert_eq!(lent.member.home, here());
    let Want::Ready { lent, open: false } = book.take(at(0)) else { panic!("no more may be made") };
    assert_ne!(lent.member.home, here());
}

#[test]
fn what_is_old_or_unused_or_closed_goes_and_the_least_stays() {
    let mut book = book(2, 8).with_idle(6);
    book.idle[0].connection.closed.set(true);
    assert_eq!(book.sweep(at(99)).len(), 1);
    assert_eq!(book.sweep(at(100)).len(), 3, "two are the minimum");
    assert_eq!(book.settle(at(100)), 0);
    assert_eq!(book.sweep(at(1001)).len(), 2, "their life is over");
    assert_eq!(book.settle(at(1001)), 2, "and others are made");
}

#[test]
fn lives_end_at_different_times_and_not_while_no_other_can_be_had() {
    let mut book = book(0, 60).with_idle(50);
    let ends: std::collections::BTreeSet<_> = book.idle.iter().map(|idle| idle.ends).collect();
    assert!(ends.len() > 40, "{ends:?}");
    assert!(*ends.first().unwrap() >= at(750) && *ends.last().unwrap() <= at(1000));
    book.bounds.idle_max = SECOND * 10_000;
    book.opening += 1;
    book.failed(at(1001), Cause::new("refused"));
    assert!(book.sweep(at(1001)).is_empty());
    let lent = book.lent(at(1001));
    assert!(book.put(at(1001), lent).is_none());
    book.opened(at(1002), Fake::default(), here());
    let lent = book.lent(at(1002));
    assert!(book.put(at(1002), lent).is_none(), "the new one");
    assert_eq!(book.sweep(at(1002)).len(), 50);
}

#[test]
fn what_has_been_silent_is_looked_at_a_few_at_a_time() {
    let mut book = book(0, 8).with_idle(8);
    assert!(book.doubtful(at(29)).is_empty());
    let doubtful = book.doubtful(at(30));
    assert_eq!(doubtful.len(), 2);
    assert!(book.overdue(at(1000)).is_empty(), "nobody holds them");
    assert!(book.culprit(at(1000)).is_none());
    for lent in doubtful {
        assert!(book.put_unused(at(31), lent).is_none());
    }
    assert_eq!(book.doubtful(at(31)).len(), 2, "others");
    assert_eq!(book.idle[0].idle_since, at(0), "being looked at is no use");
}

#[test]
fn who_holds_for_too_long_is_named_once_and_blamed_if_it_matters() {
    let mut book = book(0, 5).with_idle(5);
    let leaked = book.lent(at(0));
    assert!(book.overdue(at(9)).is_empty());
    leaked.member.connection.running.set(true);
    let named = book.overdue(at(10));
    assert_eq!(named.len(), 1);
    assert_eq!((named[0].transaction, named[0].held), (Some("leaks"), SECOND * 10));
    assert!(named[0].in_statement);
    assert!(book.overdue(at(11)).is_empty(), "once");
    assert!(book.culprit(at(11)).is_none(), "one of five");
    let second = book.lent(at(2));
    let held = book.culprit(at(12)).unwrap().holder.held;
    assert_eq!(held, SECOND * 12, "the one who has it for longest");
    assert!(book.put(at(12), leaked).is_none());
    assert!(book.culprit(at(12)).is_none());
    assert!(book.put(at(12), second).is_none());
}

#[test]
fn whoever_is_to_blame_is_said_once_a_second_with_how_many_were_refused() {
    let mut book = book(0, 1).with_idle(1);
    let leaked = book.lent(at(0));
    let begin = at(10);
    let said: Vec<u64> = (0..2_500)
        .filter_map(|millis| {
            let blame = book.culprit(begin + SECOND / 1_000 * millis).unwrap();
            assert_eq!(blame.holder.transaction, Some("leaks"));
            blame.refused
        })
        .collect();
    assert_eq!(said, [1, 1_000, 1_000]);
    assert!(book.put(at(13), leaked).is_none());
    // Another one is another matter.
    let _leaked = book.lent(at(13));
    assert_eq!(book.culprit(at(23)).unwrap().refused, Some(1));
}

#[test]
fn a_closed_book_gives_nothing_out() {
    let mut book = book(2, 3).with_idle(1);
    let lent = book.lent(at(0));
    let mut waits = book.waits(at(0));
    assert_eq!(book.settle(at(0)), 1);
    assert!(book.close().is_empty());
    assert!(matches!(book.take(at(0)), Want::Closed));
    assert_eq!(book.settle(at(0)), 0);
    assert!(matches!(waits.try_recv(), Err(oneshot::error::TryRecvError::Closed)));
    assert!(book.put(at(0), lent).is_some());
    assert!(book.opened(at(0), Fake::default(), here()).1.is_some());
}
