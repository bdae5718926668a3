//! Which hosts the service answers for. A name that somebody points at our address, or that stands
//! in a header that somebody made up, must not become a link in an answer or a key in a cache.

use std::net::IpAddr;
use std::str::FromStr;

use http::header::HOST;
use http::uri::Authority;
use http::{HeaderValue, Request};
use tenfold_config::Setting;

/// The longest name that DNS knows, and the longest part of one (RFC 1035 §2.3.4).
const NAME_BYTES_MAX: usize = 253;
const LABEL_BYTES_MAX: usize = 63;

/// A host that the service answers for: `example.org`, an IP address, or `*.example.org` for all
/// names below one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host(Pattern);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Pattern {
    /// In small letters.
    Name(String),
    /// What a name below it ends with, in small letters: `.example.org`.
    Below(String),
    Address(IpAddr),
}

impl Host {
    /// Whether the host of a request, without its port, is this one.
    fn holds(&self, host: &str) -> bool {
        let name = host.strip_suffix('.').unwrap_or(host).as_bytes();
        match &self.0 {
            Pattern::Name(own) => name.eq_ignore_ascii_case(own.as_bytes()),
            Pattern::Below(end) => match name.len().checked_sub(end.len()) {
                None | Some(0) => false,
                Some(below) => name[below..].eq_ignore_ascii_case(end.as_bytes()),
            },
            Pattern::Address(own) => address(host) == Some(*own),
        }
    }
}

/// An address as it stands in a request, where one of IPv6 has brackets.
fn address(host: &str) -> Option<IpAddr> {
    match host.strip_prefix('[') {
        Some(host) => host.strip_suffix(']')?.parse().ok().map(IpAddr::V6),
        None => host.parse().ok().map(IpAddr::V4),
    }
}

/// The text is no host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a host such as example.org, without a port")]
pub struct ParseHostError;

impl FromStr for Host {
    type Err = ParseHostError;

    fn from_str(text: &str) -> Result<Host, ParseHostError> {
        let without_brackets = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
        if let Ok(address) = without_brackets.unwrap_or(text).parse() {
            return Ok(Host(Pattern::Address(address)));
        }
        let (is_below, name) = match text.strip_prefix("*.") {
            Some(name) => (true, name),
            None => (false, text),
        };
        let is_label = |label: &str| {
            (1..=LABEL_BYTES_MAX).contains(&label.len())
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        };
        // One that ends in a number would be an address, and is not one (RFC 3986 §3.2.2).
        let ends_in_number = |name: &str| {
            name.rsplit('.')
                .next()
                .is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()))
        };
        if name.len() > NAME_BYTES_MAX || !name.split('.').all(is_label) || ends_in_number(name) {
            return Err(ParseHostError);
        }
        let name = name.to_ascii_lowercase();
        Ok(Host(if is_below { Pattern::Below(format!(".{name}")) } else { Pattern::Name(name) }))
    }
}

impl Setting for Host {
    fn noun() -> String {
        "a host without its port".to_owned()
    }

    fn example() -> &'static str {
        "example.org, *.example.org or 192.0.2.7"
    }

    fn from_text(text: &str) -> Option<Host> {
        text.parse().ok()
    }

    fn show(&self) -> String {
        match &self.0 {
            Pattern::Name(name) => name.clone(),
            Pattern::Below(end) => format!("*{end}"),
            Pattern::Address(address) => address.to_string(),
        }
    }
}

/// The hosts that the service answers for; all, if none is named.
#[derive(Clone, Debug)]
pub(crate) struct Hosts(Vec<Host>);

impl Hosts {
    pub(crate) fn new(hosts: &[Host]) -> Hosts {
        Hosts(hosts.to_vec())
    }

    /// Whether the request is for one of them. Both places where it may name its host must:
    /// handlers and what stands before us may look at either.
    pub(crate) fn are_asked<B>(&self, request: &Request<B>) -> bool {
        if self.0.is_empty() {
            return true;
        }
        let target = request.uri().authority();
        let fields = request.headers().get_all(HOST);
        let field = |field: &HeaderValue| {
            Authority::try_from(field.as_bytes()).is_ok_and(|authority| self.hold(&authority))
        };
        (target.is_some() || fields.iter().next().is_some())
            && target.is_none_or(|authority| self.hold(authority))
            && fields.iter().all(field)
    }

    fn hold(&self, authority: &Authority) -> bool {
        !authority.as_str().contains('@') && self.0.iter().any(|host| host.holds(authority.host()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(hosts: &[&str]) -> Hosts {
        Hosts(hosts.iter().map(|host| host.parse().unwrap()).collect())
    }

    fn ours(target: &str, fields: &[&str]) -> bool {
        let mut request = Request::get(target);
        for field in fields {
            request = request.header(HOST, *field);
        }
        let known = [
            "Example.org",
            "*.example.net",
            "192.0.2.7",
            "[2001:db8::7]",
            "*.xn--bcher-kva.example",
        ];
        hosts(&known).are_asked(&request.body(()).unwrap())
    }

    #[test]
    fn a_name_is_that_name_whatever_its_port_and_letters() {
        for host in ["example.org", "EXAMPLE.ORG:8080", "example.org.", "192.0.2.7:80"] {
            assert!(ours("/", &[host]), "{host}");
        }
        for host in ["[2001:db8::7]", "[2001:DB8:0::7]:443", "a.xn--bcher-kva.example"] {
            assert!(ours("/", &[host]), "{host}");
        }
        let others =
            ["", "example.com", "www.example.org", "example.org.example.com", "xexample.org"];
        for host in others.into_iter().chain(["192.0.2.8", "2001:db8::7", "[2001:db8::8]", "*"]) {
            assert!(!ours("/", &[host]), "{host}");
        }
    }

    #[test]
    fn a_star_is_every_name_below_and_not_the_name_itself() {
        for host in ["a.example.net", "B.A.EXAMPLE.NET:1", "a.example.net."] {
            assert!(ours("/", &[host]), "{host}");
        }
        for host in ["example.net", ".example.net", "aexample.net", "net", "a.example.net.evil.org"]
        {
            assert!(!ours("/", &[host]), "{host}");
        }
    }

    #[test]
    fn the_target_and_the_field_must_both_be_ours() {
        assert!(ours("http://example.org/", &[]));
        assert!(ours("http://example.org/", &["a.example.net"]));
        assert!(!ours("http://example.org/", &["evil.example"]));
        assert!(!ours("http://evil.example/", &["example.org"]));
        assert!(!ours("/", &["example.org", "evil.example"]));
        assert!(!ours("http://example.org@evil.example/", &["example.org"]));
        assert!(!ours("/", &["evil@example.org"]));
        // HTTP/1.0 needs no host. A service that asks for one does.
        assert!(!ours("/", &[]));
        assert!(hosts(&[]).are_asked(&Request::get("/").body(()).unwrap()));
    }

    #[test]
    fn what_is_no_host_is_no_setting() {
        let long = format!("{}.example", "a".repeat(64));
        let wrong = ["", "*", "*.", "a.*", "*a.b", "a..b", ".a", "a.", "a:80", "http://a", "a/b"];
        for text in
            wrong.into_iter().chain(["a b", "bücher.example", "1.2.3", "[::1", "::1]", &long])
        {
            assert!(text.parse::<Host>().is_err(), "{text}");
        }
        for (text, shown) in
            [("A.b", "a.b"), ("*.A", "*.a"), ("[::1]", "::1"), ("127.0.0.1", "127.0.0.1")]
        {
            let host = Host::from_text(text).unwrap();
            assert_eq!((host.show().as_str(), Host::from_text(&host.show())), (shown, Some(host)));
        }
    }
}
