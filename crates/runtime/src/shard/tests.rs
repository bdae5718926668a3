//! The shards, as the rest of the process sees them.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use futures_util::FutureExt;

use super::*;

/// Guards against a hang; nothing here takes so long.
const LONG: Duration = Duration::from_secs(30);

fn shards(count: usize) -> (Shards, Registry) {
    let registry = Registry::new();
    let settings = RuntimeSettings { shards: count, ..RuntimeSettings::default() };
    (Shards::start(&settings, &registry).unwrap(), registry)
}

fn metric(registry: &Registry, series: &str) -> f64 {
    let text = registry.encode();
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{series} is not in:\n{text}")).parse().unwrap()
}

/// Waits for something that another thread is about to do.
async fn eventually(holds: impl Fn() -> bool) {
    let wait = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(LONG, wait).await.expect("what should happen did not");
}

/// Says over a channel when it is dropped.
struct SaysDropped(mpsc::SyncSender<()>);

impl Drop for SaysDropped {
    fn drop(&mut self) {
        self.0.send(()).unwrap();
    }
}

#[tokio::test]
async fn each_shard_is_one_thread_with_timers_and_sockets() {
    let (shards, registry) = shards(2);
    for (index, shard) in shards.handles().iter().enumerate() {
        assert_eq!(shard.index(), index);
        let name = shard.run(async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            tokio::spawn(async { thread::current().name().map(str::to_owned) }).await.unwrap()
        });
        assert_eq!(name.await.unwrap().unwrap(), format!("shard-{index}"));
    }
    registry.check().unwrap();
    shards.stop(Deadline::after(LONG)).await.unwrap();
}

#[tokio::test]
async fn names_are_resolved_on_a_shard() {
    let (shards, _) = shards(1);
    let found = shards.handles()[0].run(async { tokio::net::lookup_host("localhost:1").await });
    assert!(found.await.unwrap().unwrap().next().is_some());
    shards.stop(Deadline::after(LONG)).await.unwrap();
}

#[tokio::test]
async fn a_panic_ends_its_task_alone_and_is_counted() {
    let (shards, registry) = shards(1);
    let shard = shards.handles()[0].clone();
    shard.spawn(async { panic!("on purpose") });
    assert_eq!(shard.run(async { 7 }).await, Ok(7));
    assert_eq!(metric(&registry, "tenfold_task_panics_total"), 1.0);

    let caller = shard.clone();
    let caller = tokio::spawn(async move {
        caller.run(async { panic!("also on purpose") }).await.unwrap();
    });
    let panic = caller.await.unwrap_err().into_panic();
    assert_eq!(panic::message(&*panic), "also on purpose");
    assert_eq!(shard.run(async { 8 }).await, Ok(8));
    assert_eq!(metric(&registry, "tenfold_task_panics_total"), 2.0);
    shards.stop(Deadline::after(LONG)).await.unwrap();
}

#[tokio::test]
async fn what_nobody_waits_for_any_more_is_dropped() {
    let (shards, _) = shards(1);
    let shard = &shards.handles()[0];
    let (says, dropped) = mpsc::sync_channel(1);
    let guard = SaysDropped(says);
    let (started, has_started) = oneshot::channel();
    let task = shard.run(async move {
        let _guard = guard;
        started.send(()).unwrap();
        std::future::pending::<()>().await;
    });
    tokio::select! {
        _ = task => panic!("it never ends"),
        started = has_started => started.unwrap(),
    }
    dropped.recv_timeout(LONG).unwrap();
    shards.stop(Deadline::after(LONG)).await.unwrap();
}

#[tokio::test]
async fn stopping_drops_a_task_that_never_ends() {
    let (shards, _) = shards(2);
    let (says, dropped) = mpsc::sync_channel(2);
    let mut runs = Vec::new();
    for shard in shards.handles() {
        let guard = SaysDropped(says.clone());
        let shard = shard.clone();
        let (started, has_started) = oneshot::channel();
        runs.push(tokio::spawn(async move {
            let forever = async move {
                let _guard = guard;
                started.send(()).unwrap();
                std::future::pending::<()>().await;
            };
            shard.run(forever).await
        }));
        has_started.await.unwrap();
    }
    shards.stop(Deadline::after(LONG)).await.unwrap();
    // The threads have ended, so their tasks are gone.
    assert_eq!(dropped.try_iter().count(), 2);
    for (shard, run) in runs.into_iter().enumerate() {
        assert_eq!(run.await.unwrap(), Err(ShardGone { shard }));
    }
}

#[tokio::test]
async fn a_stopped_shard_takes_no_work() {
    let (shards, _) = shards(1);
    let shard = shards.handles()[0].clone();
    shards.stop(Deadline::after(LONG)).await.unwrap();

    let error = shard.run(async {}).await.unwrap_err();
    assert_eq!(error.to_string(), "shard 0 has ended");
    let (says, dropped) = mpsc::sync_channel(1);
    let guard = SaysDropped(says);
    shard.spawn(async move { drop(guard) });
    dropped.try_recv().expect("the task is dropped at once");
}

#[tokio::test]
async fn a_stop_names_the_shard_that_a_task_blocks() {
    let (shards, _) = shards(3);
    let (release, released) = mpsc::sync_channel::<()>(0);
    let (started, has_started) = oneshot::channel();
    shards.handles()[1].spawn(async move {
        started.send(()).unwrap();
        let _released = released.recv_timeout(LONG);
    });
    has_started.await.unwrap();
    let error = shards.stop(Deadline::after(Duration::from_secs(1))).await.unwrap_err();
    assert_eq!(error, StopShardsError { shards: vec![1] });
    assert_eq!(
        error.to_string(),
        "a task blocks these shards, so that they did not end in time: [1]"
    );
    drop(release);
}

#[tokio::test]
async fn dropping_the_shards_ends_them() {
    let (shards, _) = shards(1);
    let shard = shards.handles()[0].clone();
    let failed = shards.failed();
    drop(shards);
    let run = async { while shard.run(async {}).await.is_ok() {} };
    tokio::time::timeout(LONG, run).await.unwrap();
    // Nobody died: they were told to end.
    assert!(failed.now_or_never().is_none());
}

#[tokio::test]
async fn a_blocked_shard_is_late_while_it_is_blocked_and_in_its_histogram_afterwards() {
    let (shards, registry) = shards(1);
    let shard = shards.handles()[0].clone();
    // Long before it is blocked, so that the start of the thread is not taken for a block.
    shard.run(async { tokio::time::sleep(3 * heartbeat::INTERVAL).await }).await.unwrap();
    let blocked = Duration::from_millis(300);
    let (release, released) = mpsc::sync_channel::<()>(0);
    shard.spawn(async move {
        let _released = released.recv_timeout(LONG);
    });
    let other = shard.clone();
    eventually(move || other.lag() > blocked).await;
    drop(release);
    let other = shard.clone();
    eventually(move || other.lag() < blocked).await;
    let sum = metric(&registry, "tenfold_shard_lag_seconds_sum{shard=\"0\"}");
    // Less than it was, because tokio's timers are a millisecond wide and the block begins between two.
    assert!(sum >= 0.2, "{sum}");
    let busy = metric(&registry, "tenfold_shard_busy_seconds_total{shard=\"0\"}");
    assert!(busy >= 0.2, "{busy}");
    assert!(metric(&registry, "tenfold_shard_blocked_total{shard=\"0\"}") >= 1.0);
    shards.stop(Deadline::after(LONG)).await.unwrap();
}

#[tokio::test]
async fn connections_count_while_their_guards_live() {
    let (shards, registry) = shards(2);
    let [first, second] = shards.handles() else { panic!("two shards") };
    let one = first.connect();
    let other = first.connect();
    assert_eq!((first.connections(), second.connections()), (2, 0));
    assert_eq!(metric(&registry, "tenfold_shard_connections{shard=\"0\"}"), 2.0);
    drop(one);
    // A guard travels with its connection, and comes back with it when the task panics.
    second.spawn(async move {
        let _guard = other;
        panic!("on purpose");
    });
    let first = first.clone();
    eventually(move || first.connections() == 0).await;
    assert_eq!(metric(&registry, "tenfold_shard_connections{shard=\"0\"}"), 0.0);
    shards.stop(Deadline::after(LONG)).await.unwrap();
}

#[tokio::test]
async fn their_number_and_that_of_the_cores_are_told() {
    let (shards, registry) = shards(3);
    assert_eq!(metric(&registry, "tenfold_shards"), 3.0);
    assert!(metric(&registry, "tenfold_cores") >= 1.0);
    shards.stop(Deadline::after(LONG)).await.unwrap();
}

#[tokio::test]
async fn tasks_are_counted() {
    let (shards, registry) = shards(1);
    let series = "tenfold_shard_tasks{shard=\"0\"}";
    let before = metric(&registry, series);
    shards.handles()[0].spawn(std::future::pending());
    assert_eq!(metric(&registry, series), before + 1.0);
    shards.stop(Deadline::after(LONG)).await.unwrap();
}

#[tokio::test]
async fn a_death_is_told_once_and_names_the_shard() {
    let (mut shards, _) = shards(1);
    let before = shards.failed();
    supervise(3, &shards.first_death, || panic!("the loop broke"));
    supervise(4, &shards.first_death, || panic!("another"));
    let death = ShardDied { shard: 3, message: "the loop broke".to_owned() };
    assert_eq!(before.await, death);
    assert_eq!(shards.failed().await, death);
    assert_eq!(
        death.to_string(),
        "shard 3 died (the loop broke): the service must be started again"
    );
    // An end that was asked for is none.
    shards.first_death = watch::channel(None).0;
    supervise(5, &shards.first_death, || {});
    assert!(shards.first_death.borrow().is_none());
    shards.stop(Deadline::after(LONG)).await.unwrap();
}
