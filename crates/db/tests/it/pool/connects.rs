//! Connections are made off the path of requests, a few at a time, and not at all by each of
//! those who want a Postgres that is not there.

use std::time::Duration;

use futures_util::future::join_all;
use tenfold_config::Secret;
use tenfold_context::Moment;
use tenfold_db::{Class, Database, Error};
use tenfold_telemetry::metrics::Registry;
use tenfold_testkit::Side;

use super::{PATIENT, Proxied, sleep_seconds, value};
use crate::kit::Bench;

#[tokio::test]
async fn who_leaves_does_not_take_the_connection_along_that_is_made_for_it() {
    let proxied = Proxied::with(|settings| settings.pool_max = 2).await;
    let holds = proxied.exclusive(PATIENT);
    let holds = tokio::spawn(async move { holds.load::<bool>(sleep_seconds("2")).await });
    proxied.until("tenfold_db_pool_connections{state=\"used\"}", 1.0).await;
    proxied.proxy.delay(Side::ToClient, Duration::from_millis(200));
    let impatient = proxied.exclusive(Duration::from_millis(50));
    let error = impatient.load::<bool>(sleep_seconds("0")).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    assert_eq!(proxied.connections("opening"), 1.0, "it is being made still");
    proxied.until("tenfold_db_pool_connections{state=\"opening\"}", 0.0).await;
    proxied.proxy.delay(Side::ToClient, Duration::ZERO);
    assert!(holds.await.unwrap().is_ok());
    assert_eq!(proxied.connections("idle"), 2.0);
    assert_eq!(proxied.metric("tenfold_db_pool_connects_total{outcome=\"success\"}"), 2.0);
}

#[tokio::test]
async fn while_postgres_is_away_everybody_hears_it_at_once_and_few_attempts_are_made() {
    let proxied = Proxied::with(|settings| settings.pool_max = 4).await;
    proxied.proxy.refuse();
    proxied.proxy.cut();
    let began = Moment::now();
    let mut unreachable = 0.0;
    for _ in 0..200 {
        let error = proxied.exclusive(PATIENT).load::<bool>(sleep_seconds("0")).await.unwrap_err();
        // The first one may still have gone to the connection that broke.
        let class = error.class();
        assert!(matches!(class, Class::Unreachable | Class::Unknown), "{error}");
        unreachable += f64::from(u8::from(matches!(error, Error::Unreachable { .. })));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(Moment::now().since(began) < PATIENT, "nobody has waited for the deadline");
    let error = proxied.exclusive(PATIENT).load::<bool>(sleep_seconds("0")).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    let address = proxied.proxy.address().to_string();
    assert!(error.to_string().contains(&address), "it says why: {error}");
    let refused = proxied.metric("tenfold_db_pool_refused_total{reason=\"unreachable\"}");
    assert_eq!(refused, unreachable + 1.0, "whether it was heard at the gate or behind it");
    // 50, 100, 200, … ms, each at least half of that.
    let failures = proxied.metric("tenfold_db_pool_connects_total{outcome=\"failure\"}");
    let seconds = Moment::now().since(began).as_secs_f64();
    assert!((1.0..=8.0 + seconds).contains(&failures), "{failures} in {seconds} s");

    proxied.proxy.admit();
    proxied.until("tenfold_db_pool_connections{state=\"idle\"}", 1.0).await;
    assert!(proxied.exclusive(PATIENT).load::<bool>(sleep_seconds("0")).await.is_ok());
}

#[tokio::test]
async fn a_crowd_does_not_connect_all_at_once() {
    let proxied = Proxied::with(|settings| settings.pool_max = 24).await;
    proxied.proxy.cut();
    proxied.proxy.delay(Side::ToClient, Duration::from_millis(20));
    let crowd = (0..24).map(|_| proxied.exclusive(PATIENT));
    let crowd = crowd.map(|db| async move { db.load::<bool>(sleep_seconds("0.5")).await });
    let mut crowd = std::pin::pin!(join_all(crowd));
    let mut opening_max: f64 = 0.0;
    let answers = loop {
        tokio::select! {
            answers = &mut crowd => break answers,
            () = tokio::time::sleep(Duration::from_millis(2)) => {
                opening_max = opening_max.max(proxied.connections("opening"));
            }
        }
    };
    let lost = answers.iter().filter(|answer| answer.is_err()).count();
    assert!(lost <= 1, "only who had the connection that was cut: {answers:?}");
    assert!((1.0..=4.0).contains(&opening_max), "{opening_max}");
}

#[tokio::test]
async fn where_postgres_takes_no_more_those_that_there_are_are_shared() {
    let bench = Bench::start().await;
    bench.batch("CREATE ROLE few LOGIN CONNECTION LIMIT 2").await;
    let mut settings = bench.settings.clone();
    let folder = bench.postgres.socket_directory().display().to_string();
    settings.url = Some(Secret::new(format!("postgres:///bench?host={folder}&user=few")));
    settings.pool_max = 8;
    let registry = Registry::new();
    let database = Database::open(&settings, "few", &registry).await.unwrap();
    let shard = database.on_this_shard();
    let crowd = (0..6).map(|_| {
        let db = shard.handle(bench.context().clone()).exclusive();
        async move { db.load::<bool>(sleep_seconds("0.1")).await }
    });
    let answers = join_all(crowd).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert!(value(&registry, "tenfold_db_pool_connects_total{outcome=\"failure\"}") >= 1.0);
}
