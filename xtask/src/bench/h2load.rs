//! Offers load with `h2load`: a closed loop over HTTP/1.1, or over the streams of HTTP/2.

use std::time::Duration;

use super::pin::pinned;
use super::wrk::{Load, seconds};
use crate::Error;
use crate::shell::read;

/// The protocol and the connections that are open at the most.
#[derive(Clone, Copy, Debug)]
pub(super) enum Connections {
    Http1(usize),
    Http2 { connections: usize, streams: usize },
}

/// Keeps every stream of every connection busy from one thread on one core for a while.
///
/// # Errors
/// When h2load fails, or when anything but answers of success came.
pub(super) fn h2load(
    core: usize,
    connections: Connections,
    duration: Duration,
    url: &str,
) -> Result<Load, Error> {
    let mut program = pinned(&[core], "h2load", &["-t1"]);
    match connections {
        Connections::Http1(connections) => {
            program.args(["--h1", &format!("-c{connections}"), "-m1"])
        }
        Connections::Http2 { connections, streams } => {
            program.args([format!("-c{connections}"), format!("-m{streams}")])
        }
    };
    program.args([&format!("-D{}", duration.as_secs()), url]);
    parse(&read(program)?, duration)
}

/// h2load counts what was answered within the duration, and says it shorter than it was.
fn parse(said: &str, duration: Duration) -> Result<Load, Error> {
    let line = |begins: &str| {
        let line = said.lines().find_map(|line| line.strip_prefix(begins));
        line.ok_or_else(|| format!("h2load counted nothing:\n{said}"))
    };
    // `2704 total, 2720 started, 2704 done, 2704 succeeded, 0 failed, 0 errored, 0 timeout`
    let count = |line: &str, what: &str| {
        line.split(", ").find_map(|part| part.trim().strip_suffix(what)?.trim().parse::<f64>().ok())
    };
    let (requests, statuses) = (line("requests:")?, line("status codes:")?);
    let (done, right) = (count(requests, "done"), count(statuses, "2xx"));
    if done.is_none() || done != right {
        return Err(format!("the load was not answered well:{requests};{statuses}").into());
    }
    // `5.05ms     12.36ms      5.84ms`: least, most, mean
    let mean = line("time for request:")?.split_whitespace().nth(2).and_then(seconds);
    let latency_mean_ms = mean.ok_or_else(|| format!("h2load told no latency:\n{said}"))? * 1e3;
    Ok(Load {
        requests: done.unwrap_or(f64::NAN),
        seconds: duration.as_secs_f64(),
        latency_mean_ms,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(right: u32) -> String {
        format!(
            "finished in 1.00s, 2704.00 req/s, 135.07KB/s\n\
             requests: 2704 total, 2720 started, 2704 done, {right} succeeded, 0 failed, 0 errored, \
             0 timeout\n\
             status codes: {right} 2xx, 0 3xx, 0 4xx, 0 5xx\n\
             traffic: 135.07KB (138308) total\n                     \
             min         max         mean         sd        +/- sd\n\
             time for request:     5.05ms     12.36ms      5.84ms      1.40ms    85.06%\n\
             time for connect:       61us       104us        87us        18us    75.00%\n"
        )
    }

    #[test]
    fn reads_what_it_says() {
        let load = parse(&said(2704), Duration::from_secs(1)).unwrap();
        assert_eq!(load, Load { requests: 2704.0, seconds: 1.0, latency_mean_ms: 5.84 });
    }

    #[test]
    fn failures_are_no_load() {
        let error = parse(&said(2700), Duration::from_secs(1)).unwrap_err().to_string();
        assert!(error.starts_with("the load was not answered well: 2704 total"), "{error}");
        let error = parse("could not connect", Duration::ZERO).unwrap_err().to_string();
        assert_eq!(error, "h2load counted nothing:\ncould not connect");
    }
}
