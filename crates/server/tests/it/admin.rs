//! Health and metrics answer whatever happens to the shards.

use axum::Router;
use axum::routing::get as on_get;
use tenfold_config::{Known, Layers};
use tenfold_server::{
    Admin, AdminPages, AdminSettings, BuildInfo, Decided, Readiness, ServerSettings,
};
use tenfold_telemetry::metrics::Registry;
use tenfold_testkit::{Client, get, request};

use crate::support::{local, start};

fn admin(registry: &Registry, readiness: &Readiness, decided: &Decided) -> Admin {
    let mut known = Known::new();
    known.section::<ServerSettings>();
    let config = known.load(&Layers::new().flags(["server.request_timeout=3s"])).unwrap();
    let pages = AdminPages {
        registry: registry.clone(),
        readiness: readiness.clone(),
        config: config.explain(),
        decided: decided.clone(),
        build: BuildInfo::new("store", "1.2.3"),
    };
    Admin::start(&AdminSettings { listen: local() }, pages).unwrap()
}

#[tokio::test]
async fn readiness_is_what_the_service_says() {
    let readiness = Readiness::starting();
    let admin = admin(&Registry::new(), &readiness, &Decided::default());
    let address = admin.local_address();
    let starting = get(address, "/readyz").await.unwrap();
    assert_eq!(starting.status, 503);
    assert_eq!(starting.json()["detail"], "the service is starting");
    readiness.set_ready();
    assert_eq!(get(address, "/readyz").await.unwrap().status, 200);
    readiness.set_not_ready("the database is gone");
    assert_eq!(get(address, "/readyz").await.unwrap().json()["detail"], "the database is gone");
    assert_eq!(get(address, "/livez").await.unwrap().status, 200);
}

#[tokio::test]
async fn each_page_is_there_and_none_can_be_written() {
    let registry = Registry::new();
    registry.counter("events_total", "Events.", &[]).increment();
    let decided = Decided::default();
    let admin = admin(&registry, &Readiness::starting(), &decided);
    let address = admin.local_address();

    let metrics = get(address, "/metrics").await.unwrap();
    assert_eq!(metrics.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert!(metrics.text().contains("events_total 1\n"));

    let config = get(address, "/config").await.unwrap().json();
    let rows = config.as_array().unwrap();
    let row = rows.iter().find(|row| row["key"] == "server.request_timeout").unwrap();
    assert_eq!(row["value"], "3s");
    assert!(row["origin"].as_str().unwrap().contains("server.request_timeout=3s"));
    assert!(!row["doc"].as_str().unwrap().is_empty());
    assert!(row.get("decided").is_none());
    decided.set("server.request_timeout", "3s: as set".to_owned());
    let config = get(address, "/config").await.unwrap().text();
    assert_eq!(config.matches("\"decided\": \"3s: as set\"").count(), 1, "{config}");

    let build = get(address, "/buildinfo").await.unwrap().json();
    assert_eq!((&build["name"], &build["version"]), (&"store".into(), &"1.2.3".into()));

    assert!(get(address, "/").await.unwrap().text().contains("/readyz"));
    assert_eq!(get(address, "/nowhere").await.unwrap().status, 404);
    let written = request(address, "POST", "/livez", &[], b"x").await.unwrap();
    assert_eq!((written.status, written.header("allow")), (405, Some("GET, HEAD")));
}

#[tokio::test]
async fn it_answers_while_every_shard_is_blocked() {
    let (release, blocked) = std::sync::mpsc::sync_channel::<()>(0);
    let blocked = std::sync::Arc::new(std::sync::Mutex::new(blocked));
    let block = move || {
        let blocked = blocked.clone();
        async move {
            // Exactly what a handler must not do.
            let _ = blocked.lock().unwrap().recv();
        }
    };
    let server = start(Router::new().route("/block", on_get(block)));
    let mut client = Client::connect(server.address).await.unwrap();
    client.send("GET /block HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    server.until("tenfold_http_in_flight", 1.0).await;

    let readiness = Readiness::starting();
    let admin = admin(&server.registry, &readiness, &Decided::default());
    let address = admin.local_address();
    for path in ["/livez", "/metrics", "/config", "/buildinfo"] {
        assert_eq!(get(address, path).await.unwrap().status, 200, "{path}");
    }
    drop(release);
    assert_eq!(client.read_response().await.unwrap().status, 200);
}

#[tokio::test]
async fn those_who_only_connect_do_not_keep_others_out() {
    let admin = admin(&Registry::new(), &Readiness::starting(), &Decided::default());
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(Client::connect(admin.local_address()).await.unwrap());
    }
    assert_eq!(get(admin.local_address(), "/livez").await.unwrap().status, 200);
}

#[tokio::test]
async fn a_taken_port_is_named_with_its_setting() {
    let first = admin(&Registry::new(), &Readiness::starting(), &Decided::default());
    let pages = AdminPages {
        registry: Registry::new(),
        readiness: Readiness::starting(),
        config: Vec::new(),
        decided: Decided::default(),
        build: BuildInfo::new("store", "1"),
    };
    let settings = AdminSettings { listen: first.local_address() };
    let said = Admin::start(&settings, pages).unwrap_err().to_string();
    assert!(said.contains("is in use") && said.contains("`admin.listen`"), "{said}");
}
