//! A load and its course in JSON.

use hdrhistogram::Histogram;

use super::wire::{Wire, wire};
use crate::ending::Ending;
use crate::record::Cause;
use crate::report::course::{Attempts, ClassCourse, Course, Slice, Stretch};
use crate::report::run::RunReport;

wire! {
    RunReport {
        load: String,
        elapsed_s: f64,
        stopped: bool,
        valid: bool,
        validity: String,
        cpu_share: f64,
        course: Course,
    }
    Course {
        classes: Vec<String>,
        stretches: Vec<Stretch>,
        slice_s: f64,
        slices: Vec<Slice>,
        lag_us: Histogram<u64>,
        connection_wait_us: Histogram<u64>,
        failures: Vec<(String, u64)>,
        causes [default]: Vec<Cause>,
        statuses [default]: Vec<(u64, u64)>,
        wrong_bodies [default]: u64,
        not_offered: Vec<(String, u64)>,
        connections_opened: u64,
        connections_peak: u64,
        bytes_read: u64,
    }
    Cause {
        failure: String,
        words: String,
        count: u64,
    }
    Stretch {
        name: String,
        from_s: f64,
        until_s: f64,
        classes: Vec<ClassCourse>,
        lag_us [default]: Option<Histogram<u64>>,
        connection_wait_us [default]: Option<Histogram<u64>>,
        not_offered [default]: Vec<(String, u64)>,
        shortfalls [default]: Vec<String>,
    }
    ClassCourse {
        first: Attempts,
        retries: Attempts,
        satisfied: u64,
    }
    Attempts {
        intended: u64,
        not_offered: u64,
        spoilt [default]: u64,
        unfinished: u64,
        latencies_us: Vec<(Ending, Histogram<u64>)>,
        service_us: Option<Histogram<u64>>,
    }
    Slice {
        intended: u64,
        retries: u64,
        not_offered: u64,
        endings: Vec<(Ending, u64)>,
        classes: Vec<(u64, u64)>,
        latency_ms: Option<[f64; 4]>,
    }
}

impl Wire for [f64; 4] {
    type Json = [f64; 4];

    fn write(&self) -> [f64; 4] {
        *self
    }

    fn read(json: [f64; 4]) -> Result<[f64; 4], String> {
        Ok(json)
    }
}
