//! Offers load with `oha`: as a closed loop, and by the clock.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::Error;
use crate::bench::{LOAD_CORE, Load, pinned};
use crate::shell::read;

/// What it calls the requests that were under way when the time was over.
const CUT: &str = "aborted due to deadline";

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Said {
    pub(super) load: Load,
    /// From the moment at which each request was intended, where the clock decides about that.
    pub(super) latency_p50_ms: f64,
}

/// Offers load from one thread for a while: at a rate, or as much as the connections take.
///
/// # Errors
/// When oha fails, or when anything but answers of success came.
pub(super) fn oha(
    oha: &Path,
    rate: Option<f64>,
    connections: usize,
    duration: Duration,
    url: &str,
) -> Result<Said, Error> {
    let (connections, duration) = (connections.to_string(), format!("{}ms", duration.as_millis()));
    let arguments = ["--no-tui", "--output-format", "json", "--worker-threads", "1"];
    let mut program = pinned(&[LOAD_CORE], &oha.display().to_string(), &arguments);
    if let Some(rate) = rate {
        program.args(["--latency-correction", "-q", &format!("{rate:.0}")]);
    }
    program.args(["-z", &duration, "-c", &connections, url]);
    parse(&read(program)?)
}

fn parse(said: &str) -> Result<Said, Error> {
    let figures: Value = serde_json::from_str(said)?;
    let counts = |name: &str| {
        let counts = figures[name].as_object().ok_or_else(|| format!("oha told no {name}"))?;
        let counts = counts.iter().map(|(what, count)| (what.clone(), count.as_f64()));
        Ok::<_, Error>(counts.collect::<Vec<_>>())
    };
    let (answers, errors) = (counts("statusCodeDistribution")?, counts("errorDistribution")?);
    let bad = answers.iter().map(|(status, _)| status).filter(|status| !status.starts_with('2'));
    let failed = errors.iter().map(|(error, _)| error).filter(|error| *error != CUT);
    if let Some(what) = bad.chain(failed).next() {
        return Err(format!("the load was not answered well: {what}").into());
    }
    let requests = answers.iter().filter_map(|(_, count)| *count).sum();
    let seconds = figures["summary"]["total"].as_f64().ok_or("oha told no time")?;
    let mean = figures["summary"]["average"].as_f64().ok_or("oha told no latency")?;
    let p50 = figures["latencyPercentiles"]["p50"].as_f64().ok_or("oha told no median")?;
    let load = Load { requests, seconds, latency_mean_ms: mean * 1e3 };
    Ok(Said { load, latency_p50_ms: p50 * 1e3 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(statuses: &str, errors: &str) -> String {
        format!(
            r#"{{"summary": {{"successRate": 1.0, "total": 1.25, "average": 0.005}},
                "latencyPercentiles": {{"p50": 0.004, "p99": 0.0125}},
                "statusCodeDistribution": {{{statuses}}}, "errorDistribution": {{{errors}}}}}"#
        )
    }

    #[test]
    fn reads_what_it_says() {
        let load = Load { requests: 2650.0, seconds: 1.25, latency_mean_ms: 5.0 };
        let cut = r#""aborted due to deadline": 16"#;
        let expected = Said { load, latency_p50_ms: 4.0 };
        assert_eq!(parse(&said(r#""200": 2650"#, cut)).unwrap(), expected);
    }

    #[test]
    fn failures_are_no_load() {
        for (statuses, errors, what) in [
            (r#""200": 5, "503": 1"#, "", "503"),
            (r#""200": 5"#, r#""connection refused": 1"#, "connection refused"),
        ] {
            let error = parse(&said(statuses, errors)).unwrap_err().to_string();
            assert_eq!(error, format!("the load was not answered well: {what}"));
        }
        assert!(parse("{}").is_err() && parse("error").is_err());
    }
}
