//! Looks at a service from outside before and after a load: at what it tells Prometheus, and at
//! the machine, if it is this one. What changed in between is the evidence for a bottleneck.

use std::collections::HashMap;
use std::time::Duration;

use tenfold_context::Moment;

use crate::fetch::Address;
use crate::scenario::Scenario;

mod change;
mod machine;
mod text;

pub(crate) use change::Change;
pub(crate) use machine::Machine;

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

impl Sample {
    /// Looks now.
    pub(crate) fn take(scenario: &Scenario, metrics: Option<&Address>) -> Sample {
        let told = metrics.map(|address| {
            let page = address.get().map_err(|error| error.to_string())?;
            Ok(Scrape::parse(&String::from_utf8_lossy(&page)))
        });
        let machine = is_loopback(&scenario.target.host).then(Machine::now).flatten();
        Sample { at: Moment::now(), machine, told }
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
                .zip(later.machine)
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

    pub(crate) fn has(&self, labels: &[(&str, &str)]) -> bool {
        labels.iter().all(|(name, value)| self.label(name) == Some(value))
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}

#[cfg(test)]
mod tests {
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
