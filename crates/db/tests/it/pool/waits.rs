//! How long was waited for a connection, and how long it was held, is on record whatever came of it.

use std::time::Duration;

use futures_util::future::join_all;
use tenfold_testkit::Side;

use super::{PATIENT, Proxied, sleep_seconds};
use crate::kit::{Bench, backends};

/// How many waited with that outcome, and for how many seconds together.
fn waited(bench: &Bench, outcome: &str) -> (f64, f64) {
    let figure = |of: &str| {
        bench.metric(&format!("tenfold_db_pool_wait_seconds_{of}{{outcome=\"{outcome}\"}}"))
    };
    (figure("count"), figure("sum"))
}

fn held(bench: &Bench) -> (f64, f64) {
    let figure = |of: &str| bench.metric(&format!("tenfold_db_pool_hold_seconds_{of}"));
    (figure("count"), figure("sum"))
}

#[tokio::test]
async fn served_refused_and_gone_are_told_apart() {
    let bench = Bench::with(|settings| {
        settings.pool_max = 1;
        settings.pool_waiting_max = 3;
    })
    .await;
    let (served_before, held_before) = (waited(&bench, "served"), held(&bench));
    let holder = bench.exclusive();
    let holder = tokio::spawn(async move { holder.load::<bool>(sleep_seconds("0.5")).await });
    bench.until(&backends("active"), 1).await;
    // One waits until it is served, one until its deadline, one until it leaves, and one is
    // refused at once.
    let (patient, late, gone) = (
        bench.patient(PATIENT).exclusive(),
        bench.patient(Duration::from_millis(100)).exclusive(),
        bench.patient(PATIENT).exclusive(),
    );
    let patient = tokio::spawn(async move { patient.load::<bool>(sleep_seconds("0")).await });
    let late = tokio::spawn(async move { late.load::<bool>(sleep_seconds("0")).await });
    let gone = tokio::spawn(async move { gone.load::<bool>(sleep_seconds("0")).await });
    while bench.metric("tenfold_db_pool_connections{state=\"waited_for\"}") < 3.0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    bench.exclusive().load::<bool>(sleep_seconds("0")).await.unwrap_err();
    assert_eq!(waited(&bench, "refused").0, 1.0);
    late.await.unwrap().unwrap_err();
    gone.abort();
    gone.await.unwrap_err();
    holder.await.unwrap().unwrap();
    patient.await.unwrap().unwrap();

    let (served, refused, left) =
        (waited(&bench, "served"), waited(&bench, "refused"), waited(&bench, "left"));
    assert_eq!(served.0 - served_before.0, 2.0, "the holder and who waited for it");
    assert!(served.1 - served_before.1 >= 0.2, "the end of its half second: {served:?}");
    assert_eq!(refused.0, 2.0);
    assert!(refused.1 >= 0.1, "its deadline: {refused:?}");
    assert_eq!(left.0, 1.0);
    assert!(left.1 > 0.0, "{left:?}");
    let count = |reason: &str| {
        bench.metric(&format!("tenfold_db_pool_refused_total{{reason=\"{reason}\"}}"))
    };
    assert_eq!((count("full"), count("late")), (1.0, 1.0));
    let held = held(&bench);
    assert_eq!(held.0 - held_before.0, 2.0, "who is refused holds nothing");
    assert!(held.1 - held_before.1 >= 0.5, "{held:?}");
}

/// Each is a connection to Postgres beside those of the pool.
#[tokio::test]
async fn no_more_than_a_quarter_of_the_pool_is_cancelled_at_once() {
    const POOL_MAX: usize = 16;
    let proxied = Proxied::with(|settings| settings.pool_max = POOL_MAX).await;
    let crowd = (0..POOL_MAX).map(|_| proxied.exclusive(PATIENT));
    let crowd: Vec<_> = crowd
        .map(|db| tokio::spawn(async move { db.load::<bool>(sleep_seconds("30")).await }))
        .collect();
    proxied.until("tenfold_db_pool_connections{state=\"used\"}", POOL_MAX as f64).await;
    // Until each has sent its statement.
    let active = "SELECT count(*) FROM pg_stat_activity \
                  WHERE application_name = 'proxied' AND state = 'active'";
    proxied.bench.until(active, POOL_MAX as i64).await;
    // Nobody hears that Postgres has hung up, so a cancellation takes until it is given up.
    proxied.proxy.stall(Side::ToClient);
    let before = proxied.proxy.accepted();
    crowd.iter().for_each(tokio::task::JoinHandle::abort);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let at_once = proxied.proxy.accepted() - before;
    // Whoever looks for old transactions may have come in between.
    assert!((POOL_MAX / 4..=POOL_MAX / 4 + 1).contains(&at_once), "{at_once}");
    proxied.proxy.resume(Side::ToClient);
    join_all(crowd).await;
    proxied.bench.until(active, 0).await;
}
