//! A scenario made ready: everything that need not be done for each request is done once.

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use http::Method;

use crate::run::StartError;
use crate::scenario::{Behaviour, Escape, Request, Scenario, Target, Text, Values};
use crate::tls::Tls;

/// What every thread of a run shares, unchanging.
pub(crate) struct Plan {
    pub(crate) target: Target,
    /// Where the service is, and whether a connection to there has been opened yet.
    pub(crate) addresses: Vec<(SocketAddr, AtomicBool)>,
    pub(crate) tls: Option<Tls>,
    pub(crate) requests: Vec<Prepared>,
    pub(crate) behaviour: Behaviour,
    pub(crate) classes: usize,
    pub(crate) captured: usize,
    pub(crate) seed: u64,
    /// Where each phase but the last ends, in nanoseconds since the start.
    pub(crate) phase_ends: Vec<u64>,
    pub(crate) timeout_ns: u64,
    /// The sums of the weights up to each request.
    weights: Vec<f64>,
}

/// One kind of request, ready to be written.
pub(crate) struct Prepared {
    pub(crate) request: Request,
    pub(crate) headers: Vec<(String, Text)>,
    pub(crate) authority: String,
    /// The whole request of HTTP/1.1, if it is always the same.
    pub(crate) fixed: Option<Vec<u8>>,
    /// Whether somebody looks at bodies of answers.
    pub(crate) wants_body: bool,
    /// Whether it may be sent again when its connection turns out to be closed (RFC 9110, 9.2.2).
    pub(crate) idempotent: bool,
    pub(crate) latency_max_ns: u64,
}

impl Plan {
    pub(crate) fn new(
        scenario: &Scenario,
        seed: u64,
        phase_ends: Vec<u64>,
    ) -> Result<Plan, StartError> {
        let target = scenario.target.clone();
        let addresses: Vec<_> = (target.host.as_str(), target.port)
            .to_socket_addrs()
            .map_err(|error| StartError::Resolve { host: target.host.clone(), error })?
            .map(|address| (address, AtomicBool::new(false)))
            .collect();
        if addresses.is_empty() {
            let error = std::io::Error::other("the name has no address");
            return Err(StartError::Resolve { host: target.host, error });
        }
        let tls = if target.tls { Some(Tls::new(&target, &scenario.behaviour)?) } else { None };
        let mut sum = 0.0;
        let weights = scenario.requests.iter().map(|request| {
            sum += request.weight.max(0.0);
            sum
        });
        let weights: Vec<f64> = weights.collect();
        if !(sum > 0.0 && sum.is_finite()) {
            return Err(StartError::NothingToSend);
        }
        let prepare = |request: &Request| Prepared::new(request, &target, &scenario.behaviour);
        Ok(Plan {
            requests: scenario.requests.iter().map(prepare).collect(),
            addresses,
            tls,
            behaviour: scenario.behaviour.clone(),
            classes: scenario.classes.len(),
            captured: scenario.captured.len(),
            seed,
            phase_ends,
            timeout_ns: nanos(scenario.behaviour.timeout),
            weights,
            target,
        })
    }

    /// Chooses by weight.
    pub(crate) fn choose(&self, random: &mut fastrand::Rng) -> usize {
        if let [_] = self.weights.as_slice() {
            return 0;
        }
        let sum = self.weights.last().copied().unwrap_or_default();
        let chosen = random.f64() * sum;
        // Rounding can give the sum itself, which no request's share reaches.
        self.weights.partition_point(|weight| *weight <= chosen).min(self.weights.len() - 1)
    }

    pub(crate) fn phase(&self, moment: u64) -> usize {
        self.phase_ends.partition_point(|end| *end <= moment)
    }
}

impl Prepared {
    fn new(request: &Request, target: &Target, behaviour: &Behaviour) -> Prepared {
        let mut headers = request.headers.clone();
        if behaviour.clients > 1 || behaviour.flood_share > 0.0 {
            headers.push((behaviour.client_header.clone(), Text::client()));
        }
        let literal = headers.iter().all(|(_, value)| value.is_literal())
            && request.path.is_literal()
            && request.body.is_literal();
        let mut prepared = Prepared {
            headers,
            authority: target.authority(),
            fixed: None,
            wants_body: !request.captures.is_empty() || request.good.body_contains.is_some(),
            idempotent: ![Method::POST, Method::PATCH].contains(&request.method),
            latency_max_ns: nanos(request.good.latency_max),
            request: request.clone(),
        };
        if literal {
            let random = fastrand::Rng::with_seed(0);
            let mut values = Values { random, index: 0, client: 0, captured: &[] };
            let mut bytes = Vec::new();
            prepared.write_http1(&mut bytes, &mut values);
            prepared.fixed = Some(bytes);
        }
        prepared
    }

    /// Writes the whole request as HTTP/1.1.
    pub(crate) fn write_http1(&self, out: &mut Vec<u8>, values: &mut Values<'_>) {
        out.extend_from_slice(self.request.method.as_str().as_bytes());
        out.push(b' ');
        self.request.path.write(out, values, Escape::Path);
        out.extend_from_slice(b" HTTP/1.1\r\nhost: ");
        out.extend_from_slice(self.authority.as_bytes());
        for (name, value) in &self.headers {
            out.extend_from_slice(b"\r\n");
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b": ");
            value.write(out, values, Escape::Header);
        }
        if self.request.body.is_empty() {
            // A server may wait for the length of a method that usually has a body.
            if matches!(self.request.method, Method::POST | Method::PUT | Method::PATCH) {
                out.extend_from_slice(b"\r\ncontent-length: 0");
            }
            out.extend_from_slice(b"\r\n\r\n");
            return;
        }
        let mut body = Vec::new();
        self.request.body.write(&mut body, values, Escape::Nothing);
        out.extend_from_slice(format!("\r\ncontent-length: {}\r\n\r\n", body.len()).as_bytes());
        out.extend_from_slice(&body);
    }
}

/// A seed of its own for every arrival, so that what it chooses depends neither on the others nor
/// on which thread sends it (the finalizer of splitmix64).
pub(crate) fn seed_of(seed: u64, index: u64) -> u64 {
    let mut mixed = seed ^ index.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The plan of one thread's part of a run.
pub(crate) type SharedPlan = Arc<Plan>;
