//! The way past the limit in JSON.

use super::wire::{Wire, wire};
use crate::ending::Ending;
use crate::overload::{ClassReport, Latencies, PhaseReport, Recovery};
use crate::report::course::Course;
use crate::report::overload::Overload;
use crate::settle::Unloaded;

type Endings = [u64; Ending::ALL.len()];

wire! {
    Overload {
        limit_per_second: f64,
        variants: String,
        unloaded: Unloaded,
        phases: Vec<PhaseReport>,
        recovery: Recovery,
        connections_max: usize,
        gone [default]: bool,
        stopped: bool,
        validity: String,
        course: Course,
    }
    PhaseReport {
        name: String,
        times: f64,
        offered_per_second: f64,
        goodput_per_second: f64,
        goodput_to_peak: f64,
        by_class: Vec<ClassReport>,
        good: Option<Latencies>,
        refused: Option<Latencies>,
        endings: Endings,
        intended: u64,
        retries: u64,
        not_offered: u64,
        valid: bool,
    }
    ClassReport {
        name: String,
        success_share: f64,
    }
    Latencies {
        p50_ms: f64,
        p90_ms: f64,
        p99_ms: f64,
        p999_ms: f64,
    }
    Recovery {
        seconds: Option<f64>,
        why: String,
    }
}

/// Pairs of a name and a count, of what happened.
impl Wire for Endings {
    type Json = Vec<(String, u64)>;

    fn write(&self) -> Self::Json {
        let pairs = Ending::ALL.into_iter().zip(*self);
        pairs.filter(|(_, count)| *count > 0).map(|pair| pair.write()).collect()
    }

    fn read(json: Self::Json) -> Result<Endings, String> {
        let mut endings = Endings::default();
        for pair in json {
            let (ending, count) = <(Ending, u64)>::read(pair)?;
            endings[ending as usize] = count;
        }
        Ok(endings)
    }
}
