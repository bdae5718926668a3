//! How large the pool is, and why, is said where people look: in the log at start and on `/config`.

use tenfold_testkit::get;

use crate::support::{Service, line, lines, mishaps};

#[tokio::test]
async fn the_log_and_the_settings_say_how_large_the_pool_is_and_why() {
    let options = tenfold_local::PostgresOptions::default();
    let postgres = tenfold_local::Postgres::start(&options, &|_| ()).unwrap();
    for (set, is_warned, reason) in [
        (&[][..], false, "processes (database.expected_replicas)"),
        (&["database.pool_max=5"][..], false, "as set (database.pool_max)"),
        (&["database.pool_max=500"][..], true, "as set (database.pool_max), which is too much: "),
    ] {
        let mut command = mishaps();
        command.env("DATABASE_URL", postgres.url());
        for setting in set {
            command.args(["--set", setting]);
        }
        let service = Service::run(command).await;
        let settings = get(service.admin, "/config").await.unwrap().text();
        let metrics = get(service.admin, "/metrics").await.unwrap().text();
        service.program.signal("TERM");
        let lines = lines(&service.program.end().await.stdout);
        let said = if is_warned {
            line(&lines, "postgres may refuse connections of the pool")
        } else {
            line(&lines, "the size of the pool")
        };
        let connections_max = said["connections_max"].as_u64().unwrap();
        let why = said["why"].as_str().unwrap();
        assert!(why.contains(reason), "{why}");
        assert!(settings.contains(&format!("{connections_max}: {why}")), "{settings}");
        let gauge = format!("tenfold_db_pool_connections_max {connections_max}\n");
        assert!(metrics.contains(&gauge), "{gauge}");
    }
}
