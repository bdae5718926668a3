//! Offers load with `wrk`: a closed loop of a few dozen connections from a core of its own.

use std::time::Duration;

use super::pin::pinned;
use crate::Error;
use crate::shell::read;

/// What came of a load.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Load {
    /// Answers that came.
    pub requests: f64,
    /// How long it took.
    pub seconds: f64,
    /// How long an answer took on the average.
    pub latency_mean_ms: f64,
}

/// Keeps `connections` busy from one core for a while, with requests for one address, or those
/// that a script makes.
///
/// # Errors
/// When wrk fails, or when anything but answers of success came.
pub fn wrk(
    core: usize,
    connections: usize,
    duration: Duration,
    script: Option<&str>,
    url: &str,
) -> Result<Load, Error> {
    let connections = format!("-c{connections}");
    let duration = format!("-d{}s", duration.as_secs());
    let mut program = pinned(&[core], "wrk", &["-t1", &connections, &duration]);
    program.args(script.map(|script| ["-s", script]).into_iter().flatten()).arg(url);
    parse(&read(program)?)
}

fn parse(said: &str) -> Result<Load, Error> {
    let lines = || said.lines().map(str::trim);
    let complaints = ["Socket errors:", "Non-2xx"];
    if let Some(line) = lines().find(|line| complaints.iter().any(|it| line.starts_with(it))) {
        return Err(format!("the load was not answered well: {line}").into());
    }
    // `Latency     2.44ms    3.35ms  37.17ms   91.91%`: mean, deviation, most
    let latency =
        lines().find_map(|line| seconds(line.strip_prefix("Latency ")?.split_whitespace().next()?));
    // `93788 requests in 4.02s, 37.99MB read`
    let load = lines().find_map(|line| {
        let (requests, rest) = line.split_once(" requests in ")?;
        let (time, _) = rest.split_once(',')?;
        Some(Load {
            requests: requests.parse().ok()?,
            seconds: seconds(time)?,
            latency_mean_ms: latency? * 1e3,
        })
    });
    load.ok_or_else(|| format!("wrk counted nothing:\n{said}").into())
}

/// Units of wrk and h2load: `85us`, `912.30ms`, `4.02s`, `1.00m`.
pub(super) fn seconds(text: &str) -> Option<f64> {
    let (number, factor) = if let Some(number) = text.strip_suffix("ms") {
        (number, 1e-3)
    } else if let Some(number) = text.strip_suffix("us") {
        (number, 1e-6)
    } else if let Some(number) = text.strip_suffix('s') {
        (number, 1.0)
    } else {
        (text.strip_suffix('m')?, 60.0)
    };
    number.parse::<f64>().ok().map(|number| number * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_wrk_says() {
        let said = "Running 4s test @ http://127.0.0.1:7801\n  1 threads and 64 connections\n  \
                    Thread Stats   Avg      Stdev     Max   +/- Stdev\n    \
                    Latency     2.44ms    3.35ms  37.17ms   91.91%\n  \
                    93788 requests in 4.02s, 37.99MB read\nRequests/sec:  23332.50\n";
        let load = Load { requests: 93788.0, seconds: 4.02, latency_mean_ms: 2.44 };
        assert_eq!(parse(said).unwrap(), load);
    }

    #[test]
    fn failures_are_no_load() {
        let said = "  7 requests in 912.30ms, 1.00MB read\n  Non-2xx or 3xx responses: 7\n";
        let error = parse(said).unwrap_err().to_string();
        assert_eq!(error, "the load was not answered well: Non-2xx or 3xx responses: 7");
        assert!(parse("unable to connect").unwrap_err().to_string().contains("unable to connect"));
    }

    #[test]
    fn knows_its_units() {
        let read = ["500.00ms", "250us", "4.02s", "1.50m", "4"].map(seconds);
        assert_eq!(read, [Some(0.5), Some(0.00025), Some(4.02), Some(90.0), None]);
    }
}
