//! Whoever waits is told why in time, and whoever holds a connection for too long is named.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::join_all;
use tenfold_context::{Context, Deadline, Moment};
use tenfold_db::{Class, Db, Error};
use tenfold_overload::Refusal;

use super::{PATIENT, sleep_seconds};
use crate::kit::Bench;
use crate::warnings::Warnings;

const HOLD_MAX: Duration = Duration::from_millis(200);

async fn bench(pool_max: usize) -> Bench {
    Bench::with(|settings| {
        settings.pool_max = pool_max;
        settings.pool_hold_max = HOLD_MAX;
    })
    .await
}

/// A request of that route.
fn on_route(bench: &Bench, route: &str) -> Db {
    let context = Context::new().with_deadline(Deadline::after(PATIENT));
    context.set_route(route.into());
    bench.shard.handle(context)
}

/// Opens a transaction and never ends it.
fn leak(bench: &Bench) -> tokio::task::JoinHandle<Result<(), Error>> {
    let db = on_route(bench, "/orders");
    tokio::spawn(async move {
        let leaks = db.begin("leaks").budget(PATIENT);
        leaks.run(async |_| std::future::pending().await).await
    })
}

#[tokio::test]
async fn a_leaked_connection_is_named_with_route_and_transaction() {
    let bench = bench(4).await;
    let leaked = leak(&bench);
    bench
        .until("SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'", 1)
        .await;
    let mut export = Box::pin(on_route(&bench, "/export").stream::<bool, _>(sleep_seconds("0")));
    assert!(export.next().await.unwrap().is_ok());
    let busy = (0..2).map(|_| bench.exclusive());
    let busy = busy.map(|db| async move { db.load::<bool>(sleep_seconds("1")).await });
    let busy = tokio::spawn(join_all(busy.collect::<Vec<_>>()));
    tokio::time::sleep(HOLD_MAX / 2).await;

    let waits = bench.patient(HOLD_MAX * 2).exclusive();
    let error = waits.load::<bool>(sleep_seconds("0")).await.unwrap_err();
    let Error::HeldTooLong { holder, refusal: Refusal::Late { .. } } = &error else {
        panic!("{error}")
    };
    assert_eq!(holder.transaction, Some("leaks"), "the one who has it for longest");
    assert_eq!(holder.route.as_deref(), Some("/orders"));
    assert!(holder.held >= HOLD_MAX && !holder.in_statement, "{holder}");
    assert_eq!(error.class(), Class::Saturated);
    let text = error.to_string();
    assert!(text.contains("transaction \"leaks\" of /orders"), "{text}");
    let refused = "tenfold_db_pool_refused_total{reason=\"held_too_long\"}";
    assert_eq!(bench.metric(refused), 1.0);

    let held = |kind: &str| {
        bench.metric(&format!("tenfold_db_pool_held_too_long_total{{kind=\"{kind}\"}}"))
    };
    for answer in busy.await.unwrap() {
        assert!(answer.is_ok(), "whoever holds it keeps it: {answer:?}");
    }
    assert_eq!((held("transaction"), held("statement"), held("copy")), (1.0, 2.0, 0.0));
    drop(export);
    leaked.abort();
    assert!(leaked.await.is_err());
    bench
        .until("SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'", 0)
        .await;
}

#[tokio::test]
async fn whoever_is_to_blame_for_refusals_is_in_the_log_and_not_once_for_each() {
    let bench = bench(1).await;
    let leaked = leak(&bench);
    bench
        .until("SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'", 1)
        .await;
    tokio::time::sleep(HOLD_MAX).await;
    let warnings = Warnings::default();
    let _logging = tracing::subscriber::set_default(warnings.clone());
    let began = Moment::now();
    let waiters = (0..200).map(async |_| {
        let db = bench.patient(Duration::from_millis(50)).exclusive();
        db.load::<bool>(sleep_seconds("0")).await.unwrap_err()
    });
    for error in join_all(waiters).await {
        assert!(matches!(error, Error::HeldTooLong { .. }), "{error}");
    }
    let lines = warnings.about("get no connection");
    let seconds_max = Moment::now().since(began).as_secs() as usize + 1;
    assert!((1..=seconds_max).contains(&lines.len()), "{lines:?}");
    for part in ["transaction=\"leaks\"", "route=\"/orders\"", "held_ms=", "refused=1 "] {
        assert!(lines[0].contains(part), "{part}: {lines:?}");
    }
    leaked.abort();
}

#[tokio::test]
async fn one_of_many_is_no_excuse() {
    let bench = bench(5).await;
    let leaked = leak(&bench);
    bench
        .until("SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'", 1)
        .await;
    tokio::time::sleep(HOLD_MAX).await;
    let busy = (0..4).map(|_| bench.exclusive());
    let busy = busy.map(|db| async move { db.load::<bool>(sleep_seconds("0.15")).await });
    let (busy, late) = tokio::join!(join_all(busy), async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        bench.patient(Duration::from_millis(50)).exclusive().load::<bool>(sleep_seconds("0")).await
    });
    assert!(busy.iter().all(Result::is_ok), "{busy:?}");
    let error = late.unwrap_err();
    assert!(matches!(error, Error::Refused { refusal: Refusal::Late { .. }, .. }), "{error}");
    leaked.abort();
}

/// Much longer than a machine that is busy is late.
const GRACE: Duration = Duration::from_secs(2);

#[tokio::test]
async fn of_a_thousand_waiters_none_waits_past_its_deadline_and_each_hears_why() {
    const WAITING_MAX: usize = 300;
    let bench = Bench::with(|settings| {
        settings.pool_max = 4;
        settings.pool_min = 4;
        settings.pool_waiting_max = WAITING_MAX;
    })
    .await;
    // That the first ones wait for connections to be made is another matter.
    while bench.metric("tenfold_db_pool_connections{state=\"idle\"}") < 4.0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let waiter = async |number: u64| {
        let patience = Duration::from_millis(20 + number * 7 % 500);
        let db = bench.patient(patience).exclusive();
        let began = Moment::now();
        let answer = db.load::<bool>(sleep_seconds("0.01")).await;
        (patience, Moment::now().since(began), answer)
    };
    let mut waiting_max: f64 = 0.0;
    let mut all = std::pin::pin!(join_all((0..1000).map(waiter)));
    let answers = loop {
        tokio::select! {
            answers = &mut all => break answers,
            () = tokio::time::sleep(Duration::from_millis(5)) => {
                let waiting = bench.metric("tenfold_db_pool_connections{state=\"waited_for\"}");
                waiting_max = waiting_max.max(waiting);
            }
        }
    };
    assert!((1.0..=WAITING_MAX as f64).contains(&waiting_max), "{waiting_max}");
    let (mut served, mut full, mut late, mut slow) = (0, 0, 0, 0);
    for (patience, took, answer) in answers {
        assert!(took <= patience + GRACE, "{took:?} instead of {patience:?}: {answer:?}");
        match answer {
            Ok(_) => served += 1,
            Err(Error::Refused { refusal: Refusal::Full { waiting_max, .. }, .. }) => {
                assert_eq!(waiting_max, WAITING_MAX);
                full += 1;
            }
            Err(Error::Refused { refusal: Refusal::Late { .. }, .. }) => late += 1,
            // It had its turn, and the deadline came in the middle of the statement.
            Err(Error::DeadlinePassed { .. }) => slow += 1,
            Err(error) => panic!("{error}"),
        }
    }
    println!("{served} served, {full} full, {late} late, {slow} slow, {waiting_max} waited");
    assert!(served > 0 && full > 0 && late > 0);
    let refused = |reason: &str| {
        bench.metric(&format!("tenfold_db_pool_refused_total{{reason=\"{reason}\"}}"))
    };
    assert_eq!((refused("full"), refused("late")), (f64::from(full), f64::from(late)));
    // Nothing has leaked.
    bench.until(&crate::kit::backends("active"), 0).await;
    assert_eq!(bench.metric("tenfold_db_pool_connections{state=\"waited_for\"}"), 0.0);
    assert!(bench.exclusive().load::<bool>(sleep_seconds("0")).await.is_ok());
}
