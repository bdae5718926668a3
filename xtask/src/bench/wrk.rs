//! Offers load with `wrk`: a closed loop of a few dozen connections from a core of its own.

use std::net::SocketAddr;
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
}

/// Keeps `connections` busy from one core for a while, with requests that a script makes.
///
/// # Errors
/// When wrk fails, or when anything but answers of success came.
pub fn wrk(
    core: usize,
    connections: usize,
    duration: Duration,
    script: &str,
    address: SocketAddr,
) -> Result<Load, Error> {
    let connections = format!("-c{connections}");
    let duration = format!("-d{}s", duration.as_secs());
    let url = format!("http://{address}");
    let said = read(pinned(&[core], "wrk", &["-t1", &connections, &duration, "-s", script, &url]))?;
    parse(&said)
}

fn parse(said: &str) -> Result<Load, Error> {
    let lines = || said.lines().map(str::trim);
    let complaints = ["Socket errors:", "Non-2xx"];
    if let Some(line) = lines().find(|line| complaints.iter().any(|it| line.starts_with(it))) {
        return Err(format!("the load was not answered well: {line}").into());
    }
    // `93788 requests in 4.02s, 37.99MB read`
    let load = lines().find_map(|line| {
        let (requests, rest) = line.split_once(" requests in ")?;
        let (time, _) = rest.split_once(',')?;
        Some(Load { requests: requests.parse().ok()?, seconds: seconds(time)? })
    });
    load.ok_or_else(|| format!("wrk counted nothing:\n{said}").into())
}

/// wrk's own units: `912.30ms`, `4.02s`, `1.00m`.
fn seconds(text: &str) -> Option<f64> {
    let (number, factor) = if let Some(number) = text.strip_suffix("ms") {
        (number, 1e-3)
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
                    93788 requests in 4.02s, 37.99MB read\nRequests/sec:  23332.50\n";
        assert_eq!(parse(said).unwrap(), Load { requests: 93788.0, seconds: 4.02 });
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
        let read = ["500.00ms", "4.02s", "1.50m", "4"].map(seconds);
        assert_eq!(read, [Some(0.5), Some(4.02), Some(90.0), None]);
    }
}
