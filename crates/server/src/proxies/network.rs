//! A range of addresses, as settings name those whom they trust.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use tenfold_config::Setting;

/// Addresses that have their first bits in common: `10.0.0.0/8`, `fd00::/8`, or a single one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// Its first address.
    first: IpAddr,
    /// How many bits all of them share.
    prefix: u8,
}

impl Network {
    /// Whether the address is one of them. An IPv4 address in IPv6 clothes is that IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.first, address.to_canonical()) {
            (IpAddr::V4(first), IpAddr::V4(address)) => {
                let shift = 32 - u32::from(self.prefix);
                let differ = first.to_bits() ^ address.to_bits();
                differ.checked_shr(shift).unwrap_or(0) == 0
            }
            (IpAddr::V6(first), IpAddr::V6(address)) => {
                let shift = 128 - u32::from(self.prefix);
                let differ = first.to_bits() ^ address.to_bits();
                differ.checked_shr(shift).unwrap_or(0) == 0
            }
            _ => false,
        }
    }

    /// Whether nothing is set after the prefix: `10.1.0.0/8` is more likely a slip than a wish.
    fn is_exact(&self) -> bool {
        match self.first {
            IpAddr::V4(first) => {
                first.to_bits().checked_shl(u32::from(self.prefix)).unwrap_or(0) == 0
            }
            IpAddr::V6(first) => {
                first.to_bits().checked_shl(u32::from(self.prefix)).unwrap_or(0) == 0
            }
        }
    }
}

/// The text is no range of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a network such as 10.0.0.0/8")]
pub struct ParseNetworkError;

impl FromStr for Network {
    type Err = ParseNetworkError;

    fn from_str(text: &str) -> Result<Network, ParseNetworkError> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let first: IpAddr = address.parse().map_err(|_| ParseNetworkError)?;
        let bits = if first.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            // The digits alone: "+8" is a number to Rust.
            Some(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => {
                text.parse().map_err(|_| ParseNetworkError)?
            }
            Some(_) => return Err(ParseNetworkError),
            None => bits,
        };
        let network = Network { first, prefix };
        if prefix <= bits && network.is_exact() { Ok(network) } else { Err(ParseNetworkError) }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.prefix)
    }
}

impl Setting for Network {
    fn noun() -> String {
        "a network with nothing after its prefix, or an IP address".to_owned()
    }

    fn example() -> &'static str {
        "10.0.0.0/8, fd00::/8 or 192.0.2.7"
    }

    fn from_text(text: &str) -> Option<Network> {
        text.parse().ok()
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(network: &str, address: &str) -> bool {
        network.parse::<Network>().unwrap().contains(address.parse().unwrap())
    }

    #[test]
    fn the_prefix_decides() {
        assert!(holds("10.0.0.0/8", "10.255.255.255"));
        assert!(!holds("10.0.0.0/8", "11.0.0.0"));
        assert!(holds("192.0.2.128/25", "192.0.2.129"));
        assert!(!holds("192.0.2.128/25", "192.0.2.127"));
        assert!(holds("192.0.2.7", "192.0.2.7"));
        assert!(!holds("192.0.2.7", "192.0.2.6"));
        assert!(holds("0.0.0.0/0", "255.0.0.1"));
        assert!(holds("::/0", "ffff::1") && !holds("::/0", "10.0.0.1"));
        assert!(holds("fd00::/8", "fdff::1") && !holds("fd00::/8", "fe00::1"));
        assert!(holds("::1", "::1") && !holds("::1", "::2"));
    }

    #[test]
    fn an_ipv4_address_in_ipv6_clothes_is_that_address() {
        assert!(holds("10.0.0.0/8", "::ffff:10.1.2.3"));
        assert!(!holds("::/0", "::ffff:10.1.2.3"));
    }

    #[test]
    fn what_is_no_network_is_not_taken() {
        for wrong in
            ["", "10", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/+8", "a/8"]
        {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
        for slip in ["10.1.0.0/8", "192.0.2.129/25", "fd00::1/64"] {
            assert!(slip.parse::<Network>().is_err(), "{slip}");
        }
        let shown = Network::from_text("10.0.0.0/8").unwrap().show();
        assert_eq!(shown, "10.0.0.0/8");
        assert_eq!(Network::from_text("192.0.2.7").unwrap().show(), "192.0.2.7/32");
    }
}
