//! Who the client is when somebody trustworthy stands in between: a load balancer tells it in a
//! PROXY header before the first byte, or in a header of each request. From anybody else neither
//! counts, because everybody can write what he likes.

mod checksum;
mod forwarded;
#[cfg(test)]
mod fuzz;
mod introduction;
mod network;
mod protocol;
mod settings;

use std::net::IpAddr;

use http::HeaderMap;

pub(crate) use introduction::{IntroductionError, introduced};
pub use network::Network;
pub use settings::ForwardedBy;

use crate::settings::ServerSettings;

/// Whom to believe, and how he tells.
#[derive(Clone, Debug)]
pub(crate) struct Proxies {
    trusted: Vec<Network>,
    protocol: bool,
    header: ForwardedBy,
}

impl Proxies {
    pub(crate) fn new(settings: &ServerSettings) -> Proxies {
        Proxies {
            trusted: settings.proxies.clone(),
            protocol: settings.proxy_protocol,
            header: settings.proxy_header,
        }
    }

    /// Whether a connection from there begins with a PROXY header.
    pub(crate) fn introduce(&self, peer: IpAddr) -> bool {
        self.protocol && self.trust(peer)
    }

    /// The client of a request that came over a connection with `peer`: goes back from proxy to
    /// proxy as far as each is trusted. The first that is not is the client, whatever he says of
    /// others behind him.
    pub(crate) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        if self.header == ForwardedBy::None || !self.trust(peer) {
            return peer;
        }
        let mut client = peer;
        for hop in forwarded::hops(self.header, headers) {
            // What is no address ends the trail: who wrote it is the last who is known.
            let Some(address) = hop else { return client };
            client = address;
            if !self.trust(client) {
                return client;
            }
        }
        client
    }

    /// Whether it is one of them.
    pub(crate) fn trust(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(address))
    }
}

#[cfg(test)]
mod tests;
