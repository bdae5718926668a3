//! Offers load with our own generator, by the example that tells what came of it as JSON.

use std::time::Duration;

use serde_json::Value;

use super::h2load::Connections;
use super::pin::pinned;
use super::release::program;
use super::wrk::Load;
use crate::Error;
use crate::shell::read;

/// Who decides when a request is sent.
#[derive(Clone, Copy, Debug)]
pub(super) enum Model {
    /// The clock, so often per second.
    Open(f64),
    /// So many users, each of whom waits for the answer.
    Closed(usize),
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Said {
    pub(super) load: Load,
    /// Answers of success in time, as the scenario has it.
    pub(super) good: f64,
    /// From the moment at which each request was intended.
    pub(super) latency_p50_ms: f64,
    pub(super) latency_p99_ms: f64,
    /// Whether the generator itself could keep up.
    pub(super) valid: bool,
}

/// Offers load for a while.
///
/// # Errors
/// When the generator fails, or its words are not understood.
pub(super) fn ours(
    cores: &[usize],
    model: Model,
    connections: Connections,
    duration: Duration,
    what: &str,
) -> Result<Said, Error> {
    let (model, number) = match model {
        Model::Open(rate) => ("open", format!("{rate:.1}")),
        Model::Closed(users) => ("closed", users.to_string()),
    };
    let seconds = duration.as_secs_f64().to_string();
    let mut program =
        pinned(cores, &program("examples/figures")?, &[model, &number, &seconds, what]);
    match connections {
        Connections::Http1(connections) => program.arg(connections.to_string()),
        Connections::Http2 { connections, streams } => {
            program.args([connections.to_string(), streams.to_string()])
        }
    };
    parse(&read(program)?)
}

fn parse(said: &str) -> Result<Said, Error> {
    let figures: Value = serde_json::from_str(said)?;
    let figure = |name: &str| {
        figures[name].as_f64().ok_or_else(|| format!("our generator told no {name}:\n{said}"))
    };
    let load = Load {
        requests: figure("ended")?,
        seconds: figure("seconds")?,
        latency_mean_ms: figure("latency_mean_us")? / 1e3,
    };
    let valid = figures["valid"].as_bool().ok_or("our generator told not whether it kept up")?;
    let (p50, p99) = (figure("latency_p50_us")?, figure("latency_p99_us")?);
    let good = figure("good")?;
    Ok(Said { load, good, latency_p50_ms: p50 / 1e3, latency_p99_ms: p99 / 1e3, valid })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_says() {
        let said = r#"{"ended": 1600, "good": 1590, "intended": 1600, "seconds": 1.25, "valid": true,
            "latency_mean_us": 6363.5, "latency_p50_us": 5500, "latency_p99_us": 11839, "validity": "valid"}"#;
        let load = Load { requests: 1600.0, seconds: 1.25, latency_mean_ms: 6.3635 };
        let expected =
            Said { load, good: 1590.0, latency_p50_ms: 5.5, latency_p99_ms: 11.839, valid: true };
        assert_eq!(parse(said).unwrap(), expected);
        let error = parse(r#"{"ended": 1600}"#).unwrap_err().to_string();
        assert!(error.starts_with("our generator told no seconds"), "{error}");
        assert!(parse("wanted: open RATE").is_err());
    }
}
