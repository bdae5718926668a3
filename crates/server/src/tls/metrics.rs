//! What is counted of handshakes and of exchanged certificates.

use std::time::Duration;

use rustls::HandshakeKind;
use tenfold_telemetry::metrics::{Counter, Family, Histogram, Registry};

/// How a handshake ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It began a session.
    Full,
    /// It went on with a session.
    Resumed,
    /// One side refused: no common language, no good certificate, no TLS at all.
    Failed,
    /// It was not done in time.
    Late,
    /// It waited longest for its client when there were too many.
    Displaced,
}

impl Outcome {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Outcome::Full => "full",
            Outcome::Resumed => "resumed",
            Outcome::Failed => "failed",
            Outcome::Late => "late",
            Outcome::Displaced => "displaced",
        }
    }
}

impl From<Option<HandshakeKind>> for Outcome {
    fn from(kind: Option<HandshakeKind>) -> Outcome {
        match kind {
            Some(HandshakeKind::Resumed) => Outcome::Resumed,
            _ => Outcome::Full,
        }
    }
}

/// All of it.
#[derive(Clone, Debug)]
pub(super) struct TlsMetrics {
    handshakes: Family<Counter>,
    seconds: Histogram,
    pub(super) changed: Counter,
    pub(super) unchanged: Counter,
    pub(super) failed: Counter,
}

impl TlsMetrics {
    pub(super) fn new(registry: &Registry) -> TlsMetrics {
        let reloads = |outcome| {
            registry.counter(
                "tenfold_tls_reloads_total",
                "Looks into the certificates' files after a change or a SIGHUP, by outcome; after a failed one the old certificates stay.",
                &[("outcome", outcome)],
            )
        };
        TlsMetrics {
            handshakes: registry.family(
                "tenfold_tls_handshakes_total",
                "TLS handshakes by outcome: full, resumed, failed, late (server.first_request_timeout), displaced (server.tls_handshakes_max).",
                &["outcome"],
            ),
            seconds: registry.histogram(
                "tenfold_tls_handshake_seconds",
                "Time that a TLS handshake which came about took from the client's first message.",
                &[],
            ),
            changed: reloads("changed"),
            unchanged: reloads("unchanged"),
            failed: reloads("failed"),
        }
    }

    pub(super) fn ended(&self, outcome: Outcome) {
        self.handshakes.with(&[outcome.word()]).increment();
    }

    pub(super) fn took(&self, took: Duration) {
        self.seconds.record(took);
    }
}
