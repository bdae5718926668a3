//! Looks at a service from outside before and after a load: at what it tells Prometheus, and at
//! the machine, if it is this one. What changed in between is the evidence for a bottleneck.

use std::collections::HashMap;
use std::time::Duration;

use tenfold_context::Moment;

use crate::fetch::{Address, FetchError};
use crate::scenario::Scenario;

mod change;
mod machine;
mod text;

pub(crate) use change::Change;
#[cfg(test)]
pub(crate) use machine::Memory;
pub(crate) use machine::{Core, Machine, MachineChange};

/// Enough of a page to see what it is instead.
const BEGINS_CHARACTERS: usize = 40;

/// An exabyte, or thirty billion years.
const AMOUNT_MAX: f64 = 1e18;

/// What a service tells at one moment: values by the name of their metric.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Scrape {
    metrics: HashMap<String, Vec<Series>>,
}

/// One value with its labels.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Series {
    pub(crate) labels: Vec<(String, String)>,
    pub(crate) value: f64,
}

/// One look.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    at: Moment,
    machine: Option<Machine>,
    /// What the service told, or why it did not; nothing if nobody asked.
    told: Option<Result<Scrape, String>>,
}

/// Why a service's metrics cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MetricsError {
    /// There is no page.
    #[error("no metrics from {0}")]
    Fetch(#[from] FetchError),
    /// What is there holds no metric.
    #[error(
        "no metrics from {url}: the page has no line in Prometheus' text format ({begins:?} is how it \
         begins)"
    )]
    Other {
        /// The address that was given.
        url: String,
        /// The first characters of the page.
        begins: String,
    },
}

/// Reads a service's metrics once, so that a wrong address is told before a load and not after.
///
/// # Errors
/// When there is no page, or it is not Prometheus' text format.
pub fn check_metrics(address: &Address) -> Result<(), MetricsError> {
    read(address).map(drop)
}

fn read(address: &Address) -> Result<Scrape, MetricsError> {
    let page = address.get()?;
    let page = String::from_utf8_lossy(&page);
    let scrape = Scrape::parse(&page);
    if scrape.metrics.is_empty() {
        let begins = page.trim_start().chars().take(BEGINS_CHARACTERS).collect();
        return Err(MetricsError::Other { url: address.url(), begins });
    }
    Ok(scrape)
}

impl Sample {
    /// Looks now.
    pub(crate) fn take(scenario: &Scenario, metrics: Option<&Address>) -> Sample {
        let told = metrics.map(|address| read(address).map_err(|error| error.to_string()));
        Sample { at: Moment::now(), machine: Sample::machine(scenario), told }
    }

    /// Looks at the machine alone, if the service is on this one: quick, and without the network.
    pub(crate) fn machine(scenario: &Scenario) -> Option<Machine> {
        is_loopback(&scenario.target.host).then(Machine::now).flatten()
    }

    /// The same with the machine as it was at another moment, if it was looked at.
    pub(crate) fn on(self, machine: Option<Machine>) -> Sample {
        Sample { machine: machine.or(self.machine), ..self }
    }

    /// What has changed from this look until that one.
    pub(crate) fn until(&self, later: &Sample) -> Change {
        let (before, after, trouble) = match (&self.told, &later.told) {
            (Some(Ok(before)), Some(Ok(after))) => (before.clone(), after.clone(), None),
            (Some(Err(why)), _) | (_, Some(Err(why))) => {
                (Scrape::default(), Scrape::default(), Some(why.clone()))
            }
            _ => Default::default(),
        };
        Change {
            elapsed: later.at.since(self.at).max(Duration::from_nanos(1)),
            machine: self
                .machine
                .as_ref()
                .zip(later.machine.as_ref())
                .and_then(|(before, after)| after.since(before)),
            before,
            after,
            trouble,
        }
    }
}

impl Scrape {
    /// Reads Prometheus' text format; lines that are none are left out.
    pub(crate) fn parse(page: &str) -> Scrape {
        let mut scrape = Scrape::default();
        for (name, series) in page.lines().filter_map(text::line) {
            scrape.metrics.entry(name.to_owned()).or_default().push(series);
        }
        scrape
    }

    /// All values of a metric.
    pub(crate) fn series(&self, name: &str) -> &[Series] {
        self.metrics.get(name).map_or(&[], Vec::as_slice)
    }
}

impl Series {
    /// The value of a label.
    pub(crate) fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(label, _)| label == name).map(|(_, value)| value.as_str())
    }

    /// The value, where it can be one of what is counted here: seconds, bytes, requests. There
    /// are neither less than none of them nor endlessly many, and a page may say anything.
    pub(crate) fn amount(&self) -> Option<f64> {
        Some(self.value).filter(|value| (0.0..=AMOUNT_MAX).contains(value))
    }

    pub(crate) fn has(&self, labels: &[(&str, &str)]) -> bool {
        labels.iter().all(|(name, value)| self.label(name) == Some(value))
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn this_machine_is_looked_at_only_where_the_service_is_on_it() {
        for host in ["127.0.0.1", "127.9.9.9", "::1", "localhost"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["10.0.0.1", "shop.example", "localhost.example"] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    /// What is said of a server that answers like this.
    fn checked(answer: &'static str) -> Result<(), MetricsError> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/metrics", listener.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
        });
        let checked = check_metrics(&Address::parse(&url).unwrap());
        server.join().unwrap();
        checked
    }

    #[test]
    fn an_address_without_metrics_is_told_before_it_is_relied_on() {
        checked("HTTP/1.1 200 OK\r\n\r\n# HELP up x\nup 1\n").unwrap();
        let missing = checked("HTTP/1.1 404 Not Found\r\n\r\n").unwrap_err().to_string();
        assert!(missing.starts_with("no metrics from http://127.0.0.1:"), "{missing}");
        assert!(missing.ends_with("/metrics: status 404"), "{missing}");
        let page =
            "HTTP/1.1 200 OK\r\n\r\n<!DOCTYPE html>\n<p>Welcome to 1 of our pages of 3 000</p>";
        let other = checked(page).unwrap_err().to_string();
        assert!(other.contains("no line in Prometheus' text format (\"<!DOCTYPE html>"), "{other}");
        assert!(checked("HTTP/1.1 200 OK\r\n\r\n").is_err());
    }

    #[test]
    fn a_page_that_cannot_be_read_is_told_and_not_taken_for_idleness() {
        let at = Moment::now();
        let sample = |told| Sample { at, machine: None, told: Some(told) };
        let good = || sample(Ok(Scrape::parse("up 1")));
        assert_eq!(good().until(&good()).trouble, None);
        let bad = sample(Err("status 404".to_owned()));
        for change in [good().until(&bad), bad.until(&good())] {
            assert_eq!(change.trouble.as_deref(), Some("status 404"));
            assert_eq!(change.after, Scrape::default());
        }
    }
}
