//! Every metric of the HTTP port, declared once; each shard has handles of its own, so that
//! no two cores write the same cache line.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{Method, StatusCode};
use tenfold_overload::{Entrance, Refusal};
use tenfold_telemetry::metrics::{Counter, Family, Gauge, Histogram, Registry};

use crate::bytes_in_flight::BytesInFlight;
use crate::proxies::IntroductionError;
use crate::wire::Fault;

/// The metrics of one shard.
pub(crate) struct ShardMetrics {
    registry: Registry,
    /// Requests between their head and the end of their answer.
    pub(crate) in_flight: Gauge,
    /// Connections that are open.
    pub(crate) connections: Gauge,
    introductions: Family<Counter>,
    refused: [(&'static str, Counter); Refusal::REASONS.len()],
    /// Everything that was refused or ended because of a limit, by its reason.
    limited: Vec<(&'static str, Counter)>,
    /// By route, method and status. Bounded: routes are those of the program, methods a closed
    /// set, and statuses three digits.
    routes: Mutex<HashMap<Arc<str>, Vec<Series>>>,
}

/// Why a connection was ended before its client wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// A trusted proxy did not introduce its client.
    Proxy,
    /// Whom a proxy introduced had all the connections that one address may have.
    Address,
    /// TLS did not come about.
    Handshake,
    /// It did not send a whole request in time.
    Silent,
    /// It took nothing of an answer for too long.
    Stalled,
    /// It had nothing to ask for too long.
    Idle,
    /// Nothing moved on it for too long, once it was something else than HTTP.
    UpgradedIdle,
    /// It was as old as those get that are something else than HTTP.
    UpgradedAge,
    /// It broke the protocol.
    Protocol,
    /// It opened, reset or sent more on HTTP/2 than anybody has a use for.
    Flood,
    /// It sent too many frames on HTTP/2 that go with no work.
    ControlFrames,
    /// It was as old as connections get.
    Age,
    /// It had as many requests as connections have.
    Requests,
    /// It was still busy when the drain's time was over.
    Drain,
}

impl Cut {
    const ALL: [Cut; 14] = [
        Cut::Proxy,
        Cut::Address,
        Cut::Handshake,
        Cut::Silent,
        Cut::Stalled,
        Cut::Idle,
        Cut::UpgradedIdle,
        Cut::UpgradedAge,
        Cut::Protocol,
        Cut::Flood,
        Cut::ControlFrames,
        Cut::Age,
        Cut::Requests,
        Cut::Drain,
    ];

    pub(crate) const fn reason(self) -> &'static str {
        match self {
            Cut::Proxy => "proxy",
            Cut::Address => "connections_per_address_max",
            Cut::Handshake => "handshake",
            Cut::Silent => "silent",
            Cut::Stalled => "stalled",
            Cut::Idle => "idle",
            Cut::UpgradedIdle => "upgraded_idle_timeout",
            Cut::UpgradedAge => "upgraded_age_max",
            Cut::Protocol => "protocol",
            Cut::Flood => "flood",
            Cut::ControlFrames => "http2_control_frames_max",
            Cut::Age => "connection_age_max",
            Cut::Requests => "connection_requests_max",
            Cut::Drain => "drain",
        }
    }
}

/// The series of one method and status on a route.
struct Series {
    method: &'static str,
    status: StatusCode,
    requests: Counter,
    seconds: Histogram,
    abandoned: Counter,
    failed: Counter,
}

/// How an exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The client has the whole answer, as far as this side can tell.
    Complete,
    /// The answer's body failed after its head had been sent.
    Failed,
    /// The client left before the end.
    Abandoned,
}

impl ShardMetrics {
    pub(crate) fn new(registry: &Registry) -> ShardMetrics {
        let counter =
            |name, help, reason| (reason, registry.counter(name, help, &[("reason", reason)]));
        ShardMetrics {
            registry: registry.clone(),
            in_flight: registry.gauge(
                "tenfold_http_in_flight",
                "Requests between their head and the last byte of their answer.",
                &[],
            ),
            connections: registry.gauge(
                "tenfold_http_connections",
                "Connections that are open.",
                &[],
            ),
            introductions: registry.family(
                "tenfold_proxy_headers_total",
                "Connections of server.proxies by what their PROXY header said: of a client, of the proxy itself, or wrong, late or ended.",
                &["outcome"],
            ),
            refused: Refusal::REASONS.map(|reason| {
                counter(
                    "tenfold_http_refused_total",
                    "Requests that the door turned away, by reason.",
                    reason,
                )
            }),
            limited: limits().map(|reason| (reason, limited(registry, reason))).collect(),
            routes: Mutex::default(),
        }
    }

    pub(crate) fn refused(&self, refusal: Refusal) {
        count(&self.refused, refusal.reason());
        count(&self.limited, refusal.reason());
    }

    /// A connection of a trusted proxy began.
    pub(crate) fn introduced(&self, introduced: &Result<Option<IpAddr>, IntroductionError>) {
        let outcome = match introduced {
            Ok(Some(_)) => "client",
            Ok(None) => "itself",
            Err(error) => error.outcome(),
        };
        self.introductions.with(&[outcome]).increment();
    }

    pub(crate) fn cut(&self, cut: Cut) {
        count(&self.limited, cut.reason());
    }

    /// Something was refused by the limit, or for the reason, of that name.
    pub(crate) fn limited(&self, reason: &'static str) {
        count(&self.limited, reason);
    }

    /// Records one exchange. Allocates only the first time it meets a route, method and status.
    pub(crate) fn exchanged(
        &self,
        route: &str,
        method: &Method,
        status: StatusCode,
        ending: Ending,
        took: Duration,
    ) {
        let method = method_label(method);
        // Nothing under the lock panics, and only threads of this shard take it.
        let mut routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        if !routes.contains_key(route) {
            routes.insert(route.into(), Vec::new());
        }
        let Some(known) = routes.get_mut(route) else { return };
        let same = |series: &Series| series.status == status && series.method == method;
        let index = known.iter().position(same).unwrap_or_else(|| {
            known.push(self.series(route, method, status));
            known.len() - 1
        });
        let series = &known[index];
        series.requests.increment();
        series.seconds.record(took);
        match ending {
            Ending::Complete => {}
            Ending::Failed => series.failed.increment(),
            Ending::Abandoned => series.abandoned.increment(),
        }
    }

    fn series(&self, route: &str, method: &'static str, status: StatusCode) -> Series {
        let registry = &self.registry;
        Series {
            method,
            status,
            requests: registry.counter(
                "tenfold_http_requests_total",
                "Requests by route, method and status; 499 for a client that left before its answer began.",
                &[("route", route), ("method", method), ("status", status.as_str())],
            ),
            seconds: registry.histogram(
                "tenfold_http_request_seconds",
                "Time from a request's head to the last byte of its answer.",
                &[("route", route), ("method", method)],
            ),
            abandoned: registry.counter(
                "tenfold_http_abandoned_total",
                "Requests whose client left before the end of the answer.",
                &[("route", route)],
            ),
            failed: registry.counter(
                "tenfold_http_bodies_failed_total",
                "Answers that failed after their head had been sent.",
                &[("route", route)],
            ),
        }
    }
}

/// Every reason for which something is refused or ended. Where it is a limit of the settings, it
/// has that one's name.
fn limits() -> impl Iterator<Item = &'static str> {
    let requests =
        ["allowed_hosts", "request_timeout", "body_max", "body_timeout", "source_stall_timeout"];
    let connections = ["bytes_in_flight_max"];
    (Cut::ALL.into_iter().map(Cut::reason))
        .chain(Fault::REASONS)
        .chain(Refusal::REASONS)
        .chain(requests)
        .chain(connections)
}

fn limited(registry: &Registry, reason: &'static str) -> Counter {
    registry.counter(
        "tenfold_http_limited_total",
        "Requests refused, and requests and connections ended before their client wanted, by reason.",
        &[("reason", reason)],
    )
}

/// Shows how full the door is and can be, read when somebody looks.
pub(crate) fn watch_door(registry: &Registry, door: &Entrance) {
    type Read = fn(&Entrance) -> usize;
    let gauge = |name: &str, help: &str, read: Read| {
        let door = door.clone();
        registry.gauge_with(name, help, &[], move || read(&door) as f64);
    };
    gauge("tenfold_http_door_inside", "Requests that the door has let in.", |door| {
        door.occupancy().inside
    });
    gauge("tenfold_http_door_inside_max", "How many requests the door lets in at once.", |door| {
        door.limits().places
    });
    gauge("tenfold_http_door_waiting", "Requests that wait at the door.", |door| {
        door.occupancy().waiting
    });
    gauge("tenfold_http_door_waiting_max", "How many requests may wait at the door.", |door| {
        door.limits().waiting_max
    });
}

/// Shows how many bytes are in flight and can be, read when somebody looks.
pub(crate) fn watch_bytes(registry: &Registry, bytes: &BytesInFlight) {
    let (used, max) = (bytes.clone(), bytes.max());
    registry.gauge_with(
        "tenfold_http_bytes_in_flight",
        "Memory that the bodies of requests and the buffers of answers occupy.",
        &[],
        move || used.used() as f64,
    );
    registry.gauge_with(
        "tenfold_http_bytes_in_flight_max",
        "Memory that they may occupy.",
        &[],
        move || max as f64,
    );
}

/// Why the port accepts nobody for a while.
pub(crate) struct AcceptMetrics {
    /// `connections_max` were open.
    pub(crate) full: Counter,
    /// The system said no: no file descriptors, no memory.
    pub(crate) failed: Counter,
    /// Its address had all the connections that one may have. Nobody else has to wait for that.
    pub(crate) address: Counter,
    /// A shard stalled before it had begun with a connection, and another one took it.
    pub(crate) moved: Counter,
}

impl AcceptMetrics {
    pub(crate) fn new(registry: &Registry) -> AcceptMetrics {
        let paused = |reason| {
            registry.counter(
                "tenfold_http_accept_paused_total",
                "How often nobody was accepted for a while, by reason.",
                &[("reason", reason)],
            )
        };
        AcceptMetrics {
            full: paused("connections_max"),
            failed: paused("system"),
            address: limited(registry, "connections_per_address_max"),
            moved: registry.counter(
                "tenfold_http_connections_moved_total",
                "Connections that another shard took, because theirs stalled before it began with them.",
                &[],
            ),
        }
    }
}

/// A client may invent methods; a label may not.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        Method::CONNECT => "CONNECT",
        Method::TRACE => "TRACE",
        _ => "other",
    }
}

fn count(counters: &[(&'static str, Counter)], reason: &str) {
    if let Some((_, counter)) = counters.iter().find(|(known, _)| *known == reason) {
        counter.increment();
    }
}

#[cfg(test)]
mod tests {
    use tenfold_context::Context;
    use tenfold_overload::Limits;

    use super::*;

    #[test]
    fn an_invented_method_is_other() {
        let invented = Method::from_bytes(b"BREW").unwrap();
        assert_eq!(method_label(&invented), "other");
    }

    #[test]
    fn the_door_tells_how_full_it_is_and_can_be() {
        let registry = Registry::new();
        let door = Entrance::new(Limits { places: 1, waiting_max: 5 });
        watch_door(&registry, &door);
        let context = Context::new();
        let _inside = door.arrive(&context).unwrap();
        let _waits = door.arrive(&context).unwrap();
        let text = registry.encode();
        for (what, count) in [("inside", 1), ("inside_max", 1), ("waiting", 1), ("waiting_max", 5)]
        {
            let line = format!("\ntenfold_http_door_{what} {count}\n");
            assert!(text.contains(&line), "{line} {text}");
        }
        assert!(registry.check().is_ok());
    }

    #[test]
    fn shards_share_a_series_and_count_apart() {
        let registry = Registry::new();
        let shards = [ShardMetrics::new(&registry), ShardMetrics::new(&registry)];
        for shard in &shards {
            let took = Duration::from_millis(1);
            shard.exchanged("/a", &Method::GET, StatusCode::OK, Ending::Complete, took);
            shard.exchanged("/a", &Method::GET, StatusCode::OK, Ending::Abandoned, took);
        }
        let text = registry.encode();
        let expected = r#"tenfold_http_requests_total{method="GET",route="/a",status="200"} 4"#;
        assert!(text.contains(expected), "{text}");
        assert!(text.contains(r#"tenfold_http_abandoned_total{route="/a"} 2"#), "{text}");
        assert!(registry.check().is_ok());
    }
}
