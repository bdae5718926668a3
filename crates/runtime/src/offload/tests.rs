//! Work that is done, refused, given up, and that goes wrong.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::task::Poll;
use std::thread;

use tenfold_context::{Deadline, Priority};

use super::*;

/// Guards against a hang; nothing here takes so long.
const LONG: Duration = Duration::from_secs(30);

fn offload(threads: usize, waiting_max: usize) -> (Offload, Registry) {
    let registry = Registry::new();
    let settings = RuntimeSettings {
        offload_threads: threads,
        offload_queue_max: waiting_max,
        ..RuntimeSettings::default()
    };
    (Offload::start(&settings, &registry).unwrap(), registry)
}

fn patient() -> Context {
    Context::new().with_deadline(Deadline::after(LONG))
}

fn metric(registry: &Registry, series: &str) -> f64 {
    let text = registry.encode();
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.map_or(0.0, |value| value.parse().unwrap())
}

/// Lets a call go as far as it can by itself: into the line, or onto a thread.
async fn nudge<F: Future>(mut call: Pin<&mut F>)
where
    F::Output: std::fmt::Debug,
{
    poll_fn(|context| match call.as_mut().poll(context) {
        Poll::Ready(output) => panic!("it is over already: {output:?}"),
        Poll::Pending => Poll::Ready(()),
    })
    .await;
}

async fn eventually(holds: impl Fn() -> bool) {
    let wait = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(LONG, wait).await.expect("what should happen did not");
}

/// Occupies one thread until it is let go.
struct Blocker {
    call: tokio::task::JoinHandle<Result<(), OffloadError>>,
    let_go: mpsc::SyncSender<()>,
}

impl Blocker {
    /// Returns when the work has begun.
    async fn start(offload: &Offload, context: Context) -> Blocker {
        let (let_go, held) = mpsc::sync_channel::<()>(0);
        let (begins, begun) = tokio::sync::oneshot::channel();
        let offload = offload.clone();
        let call = tokio::spawn(async move {
            let work = move || {
                begins.send(()).unwrap();
                let _let_go = held.recv_timeout(LONG);
            };
            offload.run(&context, work).await
        });
        begun.await.unwrap();
        Blocker { call, let_go }
    }

    async fn end(self) -> Result<(), OffloadError> {
        drop(self.let_go);
        self.call.await.unwrap()
    }
}

#[tokio::test]
async fn work_runs_on_its_own_threads_in_its_callers_context() {
    let (offload, registry) = offload(2, 0);
    let context = patient().with_attempt(3);
    let work = || {
        let attempt = Context::current().map(|context| context.attempt());
        (thread::current().name().map(str::to_owned), attempt)
    };
    let (name, attempt) = offload.run(&context, work).await.unwrap();
    assert!(name.unwrap().starts_with("offload-"));
    assert_eq!(attempt, Some(3));
    assert_eq!(offload.occupancy(), Occupancy::default());
    assert_eq!(offload.limits(), Limits { places: 2, waiting_max: 0 });
    assert_eq!(metric(&registry, "tenfold_offload_wait_seconds_count"), 1.0);
    assert_eq!(metric(&registry, "tenfold_offload_run_seconds_count"), 1.0);
    registry.check().unwrap();
}

#[tokio::test]
async fn as_much_runs_at_once_as_there_are_threads() {
    let (offload, _) = offload(3, 100);
    let running = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
    let calls = (0..60).map(|number| {
        let (offload, running) = (offload.clone(), running.clone());
        async move {
            let work = move || {
                let now = running.0.fetch_add(1, Ordering::SeqCst) + 1;
                running.1.fetch_max(now, Ordering::SeqCst);
                thread::sleep(Duration::from_millis(1));
                running.0.fetch_sub(1, Ordering::SeqCst);
                number
            };
            offload.run(&patient(), work).await.unwrap()
        }
    });
    let numbers = futures_util::future::join_all(calls).await;
    assert_eq!(numbers, (0..60).collect::<Vec<_>>());
    assert!(running.1.load(Ordering::SeqCst) <= 3);
}

#[tokio::test]
async fn a_full_line_refuses_with_its_figures() {
    let (offload, registry) = offload(1, 1);
    let blocker = Blocker::start(&offload, patient()).await;
    let context = patient();
    let mut waits = pin!(offload.run(&context, || "waited"));
    nudge(waits.as_mut()).await;
    assert_eq!(metric(&registry, "tenfold_offload_running"), 1.0);
    assert_eq!(metric(&registry, "tenfold_offload_waiting"), 1.0);
    assert_eq!(metric(&registry, "tenfold_offload_threads"), 1.0);

    let refused = offload.run(&patient(), || unreachable!("it never begins")).await;
    let error: OffloadError = refused.unwrap_err();
    assert_eq!(error, OffloadError::Full { waiting: 1, limit: 1 });
    assert_eq!(error.to_string(), "the line for CPU work is full: 1 wait and 1 may");
    assert_eq!(metric(&registry, "tenfold_offload_refused_total{reason=\"full\"}"), 1.0);

    // Who asks before is told the same, and counted.
    assert_eq!(offload.check_room(&patient()), Err(error));
    assert_eq!(metric(&registry, "tenfold_offload_refused_total{reason=\"full\"}"), 2.0);
    let critical = patient().with_priority(Priority::Critical);
    assert_eq!(offload.check_room(&critical), Ok(()), "the other one would give way");

    blocker.end().await.unwrap();
    assert_eq!(offload.check_room(&patient()), Ok(()));
    assert_eq!(waits.await, Ok("waited"));
}

#[tokio::test]
async fn what_matters_more_takes_the_place_in_line_and_goes_first() {
    let (offload, registry) = offload(1, 2);
    let blocker = Blocker::start(&offload, patient()).await;
    let context = patient();
    let background = patient().with_priority(Priority::Background);
    let critical = patient().with_priority(Priority::Critical);
    let order = Arc::new(std::sync::Mutex::new(Vec::new()));
    let note = |name: &'static str| {
        let order = order.clone();
        move || order.lock().unwrap().push(name)
    };

    let mut normal = pin!(offload.run(&context, note("normal")));
    let mut displaced = pin!(offload.run(&background, note("background")));
    let mut first = pin!(offload.run(&critical, note("critical")));
    nudge(normal.as_mut()).await;
    nudge(displaced.as_mut()).await;
    nudge(first.as_mut()).await;
    let error = displaced.await.unwrap_err();
    assert!(matches!(error, OffloadError::Displaced { .. }), "{error:?}");
    assert_eq!(metric(&registry, "tenfold_offload_refused_total{reason=\"displaced\"}"), 1.0);

    blocker.end().await.unwrap();
    let (normal, first) = tokio::join!(normal, first);
    normal.unwrap();
    first.unwrap();
    assert_eq!(*order.lock().unwrap(), ["critical", "normal"]);
}

#[tokio::test]
async fn work_whose_deadline_passes_in_line_never_begins() {
    let (offload, registry) = offload(1, 4);
    let blocker = Blocker::start(&offload, patient()).await;
    let soon = Context::new().with_deadline(Deadline::after(Duration::from_millis(20)));
    let late: Result<(), _> = offload.run(&soon, || panic!("it never begins")).await;
    assert_eq!(late, Err(OffloadError::Deadline));
    // Nor does work that comes too late already, not even onto a thread that is free.
    blocker.end().await.unwrap();
    let late: Result<(), _> = offload.run(&soon, || panic!("it never begins")).await;
    assert_eq!(late, Err(OffloadError::Deadline));
    assert_eq!(metric(&registry, "tenfold_offload_refused_total{reason=\"late\"}"), 2.0);
    assert_eq!(metric(&registry, "tenfold_offload_panics_total"), 0.0);
}

#[tokio::test]
async fn a_caller_is_told_at_its_deadline_and_the_work_holds_its_place_to_its_end() {
    let (offload, registry) = offload(1, 0);
    let soon = Context::new().with_deadline(Deadline::after(Duration::from_secs(1)));
    let blocker = Blocker::start(&offload, soon).await;
    let Blocker { call, let_go } = blocker;
    assert_eq!(call.await.unwrap(), Err(OffloadError::Deadline));
    assert_eq!(offload.occupancy().inside, 1);
    let refused = offload.run(&patient(), || ()).await;
    assert_eq!(refused, Err(OffloadError::Full { waiting: 0, limit: 0 }));

    drop(let_go);
    let freed = offload.clone();
    eventually(move || freed.occupancy().inside == 0).await;
    assert_eq!(offload.run(&patient(), || 7).await, Ok(7));
    assert!(metric(&registry, "tenfold_offload_wasted_seconds_total") > 0.0);
}

#[tokio::test]
async fn a_caller_that_leaves_the_line_frees_its_place_there_at_once() {
    let (offload, _) = offload(1, 1);
    let blocker = Blocker::start(&offload, patient()).await;
    {
        let context = patient();
        let mut leaves = Box::pin(offload.run(&context, || panic!("it never begins")));
        nudge(leaves.as_mut()).await;
        assert_eq!(offload.occupancy(), Occupancy { inside: 1, waiting: 1 });
        drop(leaves);
    }
    assert_eq!(offload.occupancy(), Occupancy { inside: 1, waiting: 0 });
    blocker.end().await.unwrap();
    assert_eq!(offload.run(&patient(), || 7).await, Ok(7));
}

#[tokio::test]
async fn a_caller_that_leaves_after_the_begin_does_not_free_the_thread() {
    let (offload, registry) = offload(1, 0);
    let Blocker { call, let_go } = Blocker::start(&offload, patient()).await;
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    assert_eq!(offload.occupancy().inside, 1);
    let refused = offload.run(&patient(), || ()).await;
    assert_eq!(refused, Err(OffloadError::Full { waiting: 0, limit: 0 }));

    drop(let_go);
    let freed = offload.clone();
    eventually(move || freed.occupancy().inside == 0).await;
    assert_eq!(offload.run(&patient(), || 7).await, Ok(7));
    assert_eq!(metric(&registry, "tenfold_offload_run_seconds_count"), 2.0);
}

#[tokio::test]
async fn a_job_that_nobody_waits_for_is_not_begun_even_if_it_has_a_place() {
    let (offload, registry) = offload(1, 0);
    let permit = offload.0.entrance.enter(&patient()).await.unwrap();
    let metrics = offload.0.metrics.clone();
    let work = || panic!("it never begins");
    let (job, outcome) = job::pack::<()>(patient(), Moment::now(), permit, metrics, work);
    drop(outcome);
    job();
    assert_eq!(offload.occupancy().inside, 0);
    assert_eq!(metric(&registry, "tenfold_offload_wait_seconds_count"), 0.0);
}

#[tokio::test]
async fn a_job_that_gets_its_thread_after_its_deadline_is_not_begun() {
    let (offload, _) = offload(1, 0);
    let permit = offload.0.entrance.enter(&patient()).await.unwrap();
    let metrics = offload.0.metrics.clone();
    let past = Context::new().with_deadline(Deadline::at(Moment::ZERO));
    let work = || panic!("it never begins");
    let (job, outcome) = job::pack::<()>(past, Moment::now(), permit, metrics, work);
    job();
    assert!(matches!(outcome.await, Ok(Outcome::TooLate)));
    assert_eq!(offload.occupancy().inside, 0);
}

#[tokio::test]
async fn a_panic_is_its_callers_alone() {
    let (offload, registry) = offload(1, 4);
    for _ in 0..3 {
        let panicked: Result<(), _> = offload.run(&patient(), || panic!("on purpose")).await;
        assert_eq!(panicked, Err(OffloadError::Panicked("on purpose".to_owned())));
        assert_eq!(offload.run(&patient(), || 7).await, Ok(7));
    }
    assert_eq!(metric(&registry, "tenfold_offload_panics_total"), 3.0);
    assert_eq!(offload.occupancy(), Occupancy::default());
}

/// Panics wherever it is dropped.
struct Explosive;

impl Drop for Explosive {
    fn drop(&mut self) {
        panic!("dropped");
    }
}

#[tokio::test]
async fn a_result_that_panics_when_nobody_takes_it_does_not_cost_the_thread() {
    let (offload, _) = offload(1, 0);
    let (let_go, held) = mpsc::sync_channel::<()>(0);
    let (begins, begun) = tokio::sync::oneshot::channel();
    let other = offload.clone();
    let call = tokio::spawn(async move {
        let work = move || {
            begins.send(()).unwrap();
            let _let_go = held.recv_timeout(LONG);
            Explosive
        };
        other.run(&patient(), work).await.map(std::mem::ManuallyDrop::new)
    });
    begun.await.unwrap();
    call.abort();
    assert!(call.await.is_err());
    drop(let_go);
    let freed = offload.clone();
    eventually(move || freed.occupancy().inside == 0).await;
    assert_eq!(offload.run(&patient(), || 7).await, Ok(7));
}

#[tokio::test]
async fn stopping_finishes_what_runs_and_turns_away_the_rest() {
    let (offload, registry) = offload(1, 4);
    let blocker = Blocker::start(&offload, patient()).await;
    let waits = tokio::spawn({
        let offload = offload.clone();
        async move { offload.run(&patient(), || ()).await }
    });
    let occupied = offload.clone();
    eventually(move || occupied.occupancy().waiting == 1).await;

    let mut stop = Box::pin(offload.stop(Deadline::after(LONG)));
    nudge(stop.as_mut()).await;
    assert_eq!(waits.await.unwrap(), Err(OffloadError::Stopped));
    assert_eq!(offload.run(&patient(), || ()).await, Err(OffloadError::Stopped));
    assert_eq!(metric(&registry, "tenfold_offload_refused_total{reason=\"closed\"}"), 2.0);
    assert_eq!(blocker.end().await, Ok(()));
    assert_eq!(stop.await, Ok(()));
    // A second stop has nothing to do.
    assert_eq!(offload.stop(Deadline::after(LONG)).await, Ok(()));
}

#[tokio::test]
async fn stopping_is_bounded() {
    let (offload, _) = offload(2, 4);
    let blocker = Blocker::start(&offload, patient()).await;
    let soon = Deadline::after(Duration::from_millis(20));
    assert_eq!(offload.stop(soon).await, Err(StopOffloadError { running: 1 }));
    blocker.end().await.unwrap();
}

#[tokio::test]
async fn a_job_with_a_place_that_meets_the_stop_is_told() {
    let (offload, _) = offload(1, 0);
    offload.0.workers.stop();
    assert_eq!(offload.run(&patient(), || ()).await, Err(OffloadError::Stopped));
    assert_eq!(offload.occupancy(), Occupancy::default());
}

#[tokio::test]
async fn the_threads_end_with_the_last_clone() {
    let (offload, _) = offload(2, 0);
    let clone = offload.clone();
    let mut ended = Box::pin({
        let mut alive = offload.0.workers.alive.clone();
        async move { alive.wait_for(|alive| *alive == 0).await.map(|count| *count).ok() }
    });
    drop(offload);
    nudge(ended.as_mut()).await;
    drop(clone);
    tokio::time::timeout(LONG, ended).await.unwrap();
}
