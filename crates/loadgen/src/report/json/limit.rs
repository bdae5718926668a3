//! The search for the limit in JSON.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use std::time::Duration;

use super::wire::{Wire, wire};
use crate::bottleneck::{Bottleneck, Resource, Saturation};
use crate::limit::{LimitReport, Unrecovered};
use crate::probe::{ProbeReport, Trend};
use crate::search::{Found, Verdict};
use crate::settle::Unloaded;
use crate::usl::{Law, Term};

wire! {
    LimitReport {
        found: Found,
        limit_per_second: f64,
        interval: (f64, Option<f64>),
        unloaded: Unloaded,
        probes: Vec<ProbeReport>,
        law: Option<Law>,
        bottleneck: Option<Bottleneck>,
        unrecovered: Option<Unrecovered>,
        stopped: bool,
        elapsed "elapsed_s": Duration,
    }
    Unloaded {
        p50_ms: f64,
        p99_ms: f64,
    }
    ProbeReport {
        rate: f64,
        offered_per_second: f64,
        good_share: f64,
        goodput_per_second: f64,
        p50_ms: Option<f64>,
        p99_ms: Option<f64>,
        latencies_us [default]: Option<Histogram<u64>>,
        concurrency: f64,
        throughput_per_second: f64,
        trend: Option<Trend>,
        verdict: Verdict,
        why: String,
        validity: String,
        cpu_share: f64,
    }
    Trend {
        good_share: f64,
        p50_ms: f64,
        slope: f64,
    }
    Law {
        alone: Term,
        contention: Term,
        coherency: Term,
        explained: f64,
    }
    Term {
        value: f64,
        error: f64,
    }
    Bottleneck {
        rate: f64,
        ranked: Vec<Saturation>,
        unknown: Option<String>,
    }
    Saturation {
        resource: Resource,
        share: f64,
        evidence: String,
    }
    Unrecovered {
        after_rate: f64,
        waited "waited_s": Duration,
        why: String,
        gone [default]: bool,
    }
}

/// How a search ended.
#[derive(Serialize, Deserialize)]
#[serde(tag = "how", rename_all = "snake_case")]
pub(super) enum FoundJson {
    Limit { held: f64, not_held: f64 },
    NoLimit { held: f64 },
    NothingHeld,
    Unfinished { held: f64 },
    GeneratorFirst { held: f64 },
}

impl Wire for Found {
    type Json = FoundJson;

    fn write(&self) -> FoundJson {
        match *self {
            Found::Limit { held, not_held } => FoundJson::Limit { held, not_held },
            Found::NoLimit { held } => FoundJson::NoLimit { held },
            Found::NothingHeld => FoundJson::NothingHeld,
            Found::Unfinished { held } => FoundJson::Unfinished { held },
            Found::GeneratorFirst { held } => FoundJson::GeneratorFirst { held },
        }
    }

    fn read(json: FoundJson) -> Result<Found, String> {
        Ok(match json {
            FoundJson::Limit { held, not_held } => Found::Limit { held, not_held },
            FoundJson::NoLimit { held } => Found::NoLimit { held },
            FoundJson::NothingHeld => Found::NothingHeld,
            FoundJson::Unfinished { held } => Found::Unfinished { held },
            FoundJson::GeneratorFirst { held } => Found::GeneratorFirst { held },
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum VerdictJson {
    Held,
    NotHeld,
    Invalid,
}

impl Wire for Verdict {
    type Json = VerdictJson;

    fn write(&self) -> VerdictJson {
        match self {
            Verdict::Held => VerdictJson::Held,
            Verdict::NotHeld => VerdictJson::NotHeld,
            Verdict::Invalid => VerdictJson::Invalid,
        }
    }

    fn read(json: VerdictJson) -> Result<Verdict, String> {
        Ok(match json {
            VerdictJson::Held => Verdict::Held,
            VerdictJson::NotHeld => Verdict::NotHeld,
            VerdictJson::Invalid => Verdict::Invalid,
        })
    }
}

const RESOURCES: [Resource; 8] = [
    Resource::ProcessCpu,
    Resource::MachineCpu,
    Resource::EventLoop,
    Resource::Pool,
    Resource::SharedLane,
    Resource::Offload,
    Resource::Door,
    Resource::Memory,
];

/// By its name.
impl Wire for Resource {
    type Json = String;

    fn write(&self) -> String {
        self.name().to_owned()
    }

    fn read(json: String) -> Result<Resource, String> {
        RESOURCES
            .into_iter()
            .find(|resource| resource.name() == json)
            .ok_or_else(|| format!("{json:?} is no resource"))
    }
}
