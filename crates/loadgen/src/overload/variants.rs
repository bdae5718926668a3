//! What else is done to a service that has too much to do.

use crate::overload::{Cold, Pause};
use crate::scenario::{Retries, Scenario, SlowReaders, Text};

/// Hardships on top of the load; none by default.
#[derive(Clone, Debug, Default)]
pub struct Variants {
    /// Clients that ask again.
    pub retries: Option<Retries>,
    /// One client among many that sends most of it.
    pub flood: Option<Flood>,
    /// Clients that read slowly.
    pub slow_readers: Option<SlowReaders>,
    /// A process, such as the database, that stops for a while.
    pub pause: Option<Pause>,
    /// What empties the caches before.
    pub cold: Option<Cold>,
}

/// One client among many that sends most of the load. What becomes of it is told apart, in
/// classes of its own whose names end in `(flood)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Flood {
    /// How many clients there are, told apart by the scenario's `client_header`; two at least.
    pub clients: u32,
    /// The share of all requests that comes from one of them, between 0 and 1.
    pub share: f64,
}

impl Default for Flood {
    fn default() -> Flood {
        Flood { clients: 100, share: 0.9 }
    }
}

impl Variants {
    /// The scenario with what the clients do changed.
    pub(super) fn applied_to(&self, scenario: &Scenario) -> Scenario {
        let mut scenario = scenario.clone();
        if let Some(retries) = self.retries {
            scenario.behaviour.retries = retries;
        }
        if let Some(slow_readers) = self.slow_readers {
            scenario.behaviour.slow_readers = slow_readers;
        }
        if let Some(flood) = self.flood {
            flood.join(&mut scenario);
        }
        scenario
    }
}

impl Flood {
    /// Splits each request into that of the many and that of the one.
    fn join(self, scenario: &mut Scenario) {
        let share = self.share.clamp(0.0, 1.0);
        let others = self.clients.max(2) - 1;
        let header = scenario.behaviour.client_header.clone();
        // The clients are told apart here, so that the engine need not.
        scenario.behaviour.clients = 1;
        scenario.behaviour.flood_share = 0.0;
        let client =
            Text::parse(&format!("client-{{{{uniform 1 {others}}}}}"), &Default::default())
                .expect("a uniform number from 1 to at least 1 is a right text");
        let classes = scenario.classes.len();
        let flooding = scenario.classes.iter().map(|name| format!("{name} (flood)"));
        scenario.classes = scenario.classes.iter().cloned().chain(flooding).collect();
        let mut flood = scenario.requests.clone();
        for request in &mut scenario.requests {
            request.weight *= 1.0 - share;
            set(&mut request.headers, &header, client.clone());
        }
        for request in &mut flood {
            request.weight *= share;
            request.class += classes;
            request.name += " (flood)";
            set(&mut request.headers, &header, Text::literal("client-0"));
        }
        scenario.requests.append(&mut flood);
    }
}

fn set(headers: &mut Vec<(String, Text)>, name: &str, value: Text) {
    headers.retain(|(other, _)| !other.eq_ignore_ascii_case(name));
    headers.push((name.to_owned(), value));
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::scenario::Share;

    fn scenario() -> Scenario {
        Scenario::get("http://127.0.0.1/").unwrap()
    }

    #[test]
    fn without_a_variant_nothing_changes() {
        let applied = Variants::default().applied_to(&scenario());
        assert_eq!(applied.behaviour, scenario().behaviour);
        assert_eq!(applied.requests.len(), 1);
    }

    #[test]
    fn a_flood_has_classes_and_a_client_of_its_own() {
        let flood = Some(Flood { clients: 10, share: 0.75 });
        let applied = Variants { flood, ..Variants::default() }.applied_to(&scenario());
        assert_eq!(applied.classes, ["all", "all (flood)"]);
        let [many, one] = applied.requests.as_slice() else { panic!("{applied:?}") };
        assert_eq!((many.weight, many.class, one.weight, one.class), (0.25, 0, 0.75, 1));
        assert_eq!(one.headers, [("x-client".to_owned(), Text::literal("client-0"))]);
        assert!(!many.headers[0].1.is_literal(), "one of nine others");
    }

    #[test]
    fn clients_are_as_stubborn_and_as_slow_as_is_asked_for() {
        let retries = Retries { max: 3, backoff: Duration::ZERO, honour_retry_after: false };
        let slow_readers = Share { share: 0.1, what: 1000 };
        let variants = Variants {
            retries: Some(retries),
            slow_readers: Some(slow_readers),
            ..Variants::default()
        };
        let behaviour = variants.applied_to(&scenario()).behaviour;
        assert_eq!((behaviour.retries, behaviour.slow_readers), (retries, slow_readers));
    }
}
