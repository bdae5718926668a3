//! What the pool does when nobody asks: it keeps enough connections, replaces old ones, closes
//! those that nobody needs, and notices those that are dead.

use std::time::Duration;

use futures_util::future::join_all;
use tenfold_testkit::Side;

use super::{PATIENT, Proxied, sleep_seconds};

#[tokio::test]
async fn the_least_is_kept_and_the_rest_goes_when_nobody_needs_it() {
    let proxied = Proxied::with(|settings| {
        settings.pool_max = 6;
        settings.pool_min = 2;
        settings.pool_idle_max = Duration::from_millis(300);
    })
    .await;
    proxied.until("tenfold_db_pool_connections{state=\"idle\"}", 2.0).await;
    let crowd = (0..6).map(|_| proxied.exclusive(PATIENT));
    let crowd = crowd.map(|db| async move { db.load::<bool>(sleep_seconds("0.2")).await });
    assert!(join_all(crowd).await.iter().all(Result::is_ok));
    assert_eq!(proxied.connections("idle"), 6.0);
    proxied.until("tenfold_db_pool_connections{state=\"idle\"}", 2.0).await;
}

#[tokio::test]
async fn an_old_connection_is_replaced_before_anybody_wants_it() {
    let proxied = Proxied::with(|settings| {
        settings.pool_max = 2;
        settings.pool_lifetime = Duration::from_millis(200);
    })
    .await;
    proxied.until("tenfold_db_pool_connects_total{outcome=\"success\"}", 4.0).await;
    // One that is used for longer than its life is not taken away, and is not kept either.
    let long = proxied.exclusive(PATIENT).load::<bool>(sleep_seconds("0.5")).await;
    assert!(long.is_ok());
    assert_eq!(proxied.metric("tenfold_db_pool_connects_total{outcome=\"failure\"}"), 0.0);
}

#[tokio::test]
async fn a_dead_connection_is_noticed_before_somebody_needs_it() {
    let proxied = Proxied::with(|settings| {
        settings.pool_max = 1;
        settings.pool_health_interval = Duration::from_millis(100);
    })
    .await;
    assert_eq!(proxied.connections("idle"), 1.0);
    // Open as far as anybody here can see, and as good as gone.
    proxied.proxy.stall(Side::ToClient);
    proxied.until("tenfold_db_pool_connections{state=\"opening\"}", 1.0).await;
    proxied.proxy.resume(Side::ToClient);
    proxied.until("tenfold_db_pool_connections{state=\"idle\"}", 1.0).await;
    assert!(proxied.exclusive(PATIENT).load::<bool>(sleep_seconds("0")).await.is_ok());
}
