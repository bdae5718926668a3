//! The report for machines. Whoever reads it finds its form described in
//! `docs/guides/load-report.md`; a key is the name of the field that it comes from.
//!
//! It is an object with `version` (1), `verdict` (a sentence), and the fields of
//! [`Report`]; fields may be added, and a change of what is there makes a new version.

use serde::{Deserialize, Serialize};

use crate::limit::LimitReport;
use crate::report::Report;
use crate::report::overload::Overload;
use crate::report::run::RunReport;

mod course;
mod limit;
mod overload;
mod wire;

use wire::{Wire, wire};

const VERSION: u64 = 1;

wire! {
    Report {
        tool: String,
        at: String,
        target: String,
        scenario: String,
        latency_ms_max: Option<f64>,
        crossed [default]: Vec<String>,
        run: Option<RunReport>,
        limit: Option<LimitReport>,
        overload: Option<Overload>,
    }
}

#[derive(Serialize)]
struct Document {
    version: u64,
    verdict: String,
    #[serde(flatten)]
    report: <Report as Wire>::Json,
}

/// Before anything else is read: another version has other fields.
#[derive(Deserialize)]
struct Version {
    version: u64,
}

/// Why a report cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// It is no report.
    #[error("is no report of a load: {why}")]
    Format {
        /// What is wrong with it.
        why: String,
    },
    /// It is of another version.
    #[error("is a report of version {found}, and version {VERSION} is known")]
    Version {
        /// Its version.
        found: u64,
    },
}

pub(super) fn write(report: &Report) -> String {
    let document = Document { version: VERSION, verdict: report.verdict(), report: report.write() };
    let mut text = serde_json::to_string_pretty(&document)
        .expect("keys are texts, and no number of it is infinite");
    text.push('\n');
    text
}

pub(super) fn read(text: &str) -> Result<Report, ReadError> {
    let format = |error: serde_json::Error| ReadError::Format { why: error.to_string() };
    let Version { version } = serde_json::from_str(text).map_err(format)?;
    if version != VERSION {
        return Err(ReadError::Version { found: version });
    }
    let json = serde_json::from_str(text).map_err(format)?;
    Report::read(json).map_err(|why| ReadError::Format { why })
}
