//! What the admin port shows: alive, ready, numbers, settings, build.

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Method, Response, StatusCode};
use http_body_util::Full;
use serde::Serialize;
use tenfold_config::Explained;
use tenfold_telemetry::metrics::{self, Registry};

use super::decided::Decided;
use crate::drain::Readiness;

/// What the pages are made from.
#[derive(Debug)]
pub struct AdminPages {
    /// The metrics that `/metrics` shows.
    pub registry: Registry,
    /// What `/readyz` says.
    pub readiness: Readiness,
    /// The settings that `/config` shows, with secrets masked as
    /// [`Config::explain`](tenfold_config::Config::explain) gives them.
    pub config: Vec<Explained>,
    /// What it shows beside those that left the program a choice.
    pub decided: Decided,
    /// What `/buildinfo` says.
    pub build: BuildInfo,
}

/// Which program this is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BuildInfo {
    /// The service's name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// `release` or `debug`.
    pub profile: &'static str,
}

impl BuildInfo {
    /// A service of this name and version, built as this crate was.
    pub fn new(name: &str, version: &str) -> BuildInfo {
        let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
        BuildInfo { name: name.to_owned(), version: version.to_owned(), profile }
    }
}

const INDEX: &str = "\
/livez      200 as long as the process runs
/readyz     200 if it wants traffic, else 503 and why not
/metrics    numbers for Prometheus
/config     every setting, its value and where it came from
/buildinfo  which program this is
";

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
const PROBLEM: &str = "application/problem+json";

/// One setting on `/config`.
#[derive(Serialize)]
struct Row<'a> {
    key: &'a str,
    value: &'a str,
    origin: String,
    /// What the program has decided, where the setting left it the choice.
    #[serde(skip_serializing_if = "Option::is_none")]
    decided: Option<String>,
    doc: String,
}

/// Why it is not ready, as problem JSON.
#[derive(Serialize)]
struct NotReady<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: &'a str,
}

impl AdminPages {
    pub(super) fn answer(&self, method: &Method, path: &str) -> Response<Full<Bytes>> {
        let (status, content_type, text) = match path {
            _ if method != Method::GET && method != Method::HEAD => {
                let read_only = "the admin port is read-only: use GET or HEAD\n";
                (StatusCode::METHOD_NOT_ALLOWED, TEXT, read_only.to_owned())
            }
            "/" => (StatusCode::OK, TEXT, INDEX.to_owned()),
            "/livez" => (StatusCode::OK, TEXT, "alive\n".to_owned()),
            "/readyz" => self.readyz(),
            "/metrics" => (StatusCode::OK, metrics::CONTENT_TYPE, self.registry.encode()),
            "/config" => (StatusCode::OK, JSON, self.config()),
            "/buildinfo" => (StatusCode::OK, JSON, json(&self.build)),
            _ => {
                (StatusCode::NOT_FOUND, TEXT, format!("there is no such page; there are:\n{INDEX}"))
            }
        };
        let mut response = Response::new(Full::from(text));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        if status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        response
    }

    fn readyz(&self) -> (StatusCode, &'static str, String) {
        let Some(reason) = self.readiness.not_ready_because() else {
            return (StatusCode::OK, TEXT, "ready\n".to_owned());
        };
        let status = StatusCode::SERVICE_UNAVAILABLE;
        let problem = NotReady {
            r#type: "/problems/not_ready",
            title: "Not ready",
            status: status.as_u16(),
            detail: &reason,
        };
        (status, PROBLEM, json(&problem))
    }

    fn config(&self) -> String {
        let rows = self.config.iter().map(|setting| Row {
            key: &setting.key,
            value: &setting.value,
            origin: setting.origin.to_string(),
            decided: self.decided.get(&setting.key),
            doc: setting.doc.join(" "),
        });
        json(&rows.collect::<Vec<_>>())
    }
}

fn json(value: &impl Serialize) -> String {
    let mut text = serde_json::to_string_pretty(value).expect("texts and numbers are always JSON");
    text.push('\n');
    text
}
