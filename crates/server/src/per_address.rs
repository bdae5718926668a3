//! How many connections each address has: one client must not take the places of all.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Counts connections by address. A clone is the same. There are no more addresses in it than
/// connections are open.
#[derive(Clone, Debug)]
pub(crate) struct PerAddress {
    max: usize,
    open: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// One of the connections of an address. Dropping it makes room for another.
#[derive(Debug)]
pub(crate) struct OneOfAddress {
    address: IpAddr,
    of: PerAddress,
}

impl PerAddress {
    pub(crate) fn new(max: usize) -> PerAddress {
        PerAddress { max, open: Arc::default() }
    }

    /// Counts a connection from `address`; nothing if that has as many as it may have.
    pub(crate) fn connect(&self, address: IpAddr) -> Option<OneOfAddress> {
        let address = network(address);
        let mut open = self.open();
        let connections = open.entry(address).or_default();
        if *connections >= self.max {
            return None;
        }
        *connections += 1;
        Some(OneOfAddress { address, of: self.clone() })
    }

    fn open(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        // Nothing under the lock panics half-way, so a poisoned one is sound still.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for OneOfAddress {
    fn drop(&mut self) {
        let mut open = self.of.open();
        if let Some(connections) = open.get_mut(&self.address) {
            *connections -= 1;
            if *connections == 0 {
                open.remove(&self.address);
            }
        }
    }
}

/// Who has one address of IPv6 has 2⁶⁴ of them: a /64 is what one customer gets.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn each_address_has_its_own_places() {
        let connections = PerAddress::new(2);
        let first = connections.connect(address("192.0.2.1")).unwrap();
        let _second = connections.connect(address("192.0.2.1")).unwrap();
        assert!(connections.connect(address("192.0.2.1")).is_none());
        assert!(connections.connect(address("::ffff:192.0.2.1")).is_none(), "the same one");
        let _other = connections.connect(address("192.0.2.2")).unwrap();
        drop(first);
        assert!(connections.connect(address("192.0.2.1")).is_some());
    }

    #[test]
    fn a_network_of_ipv6_is_one_client() {
        let connections = PerAddress::new(1);
        let _one = connections.connect(address("2001:db8:0:1::1")).unwrap();
        assert!(connections.connect(address("2001:db8:0:1:ffff::2")).is_none());
        assert!(connections.connect(address("2001:db8:0:2::1")).is_some());
    }

    #[test]
    fn who_has_left_is_forgotten() {
        let connections = PerAddress::new(1);
        for number in 0..1_000_u32 {
            drop(connections.connect(std::net::Ipv4Addr::from(number).into()));
        }
        assert!(connections.open().is_empty());
        assert!(PerAddress::new(0).connect(address("192.0.2.1")).is_none());
    }
}
