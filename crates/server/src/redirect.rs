//! The port for those who come in cleartext: sends each request to the same place over https, but
//! only to hosts that this server's certificates hold for, so that nobody can have it send clients
//! to a host of his choice.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{HOST, LOCATION};
use http::uri::Authority;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use rustls_pki_types::ServerName;
use tenfold_telemetry::metrics::{Counter, Family, Registry};

use crate::side_port::{SideLimits, SidePort};
use crate::tls::Tls;

/// One short question each: who holds a place longer is cut off.
const LIMITS: SideLimits = SideLimits {
    connections_max: 256,
    header_timeout: Duration::from_secs(5),
    connection_timeout: Duration::from_secs(10),
    keep_alive: false,
};

/// The running redirect port. Dropping it closes the port.
#[derive(Debug)]
pub(crate) struct Redirect(SidePort);

impl Redirect {
    pub(crate) fn start(
        listener: std::net::TcpListener,
        to_port: NonZeroU16,
        tls: Arc<Tls>,
        registry: &Registry,
    ) -> std::io::Result<Redirect> {
        let answers: Family<Counter> = registry.family(
            "tenfold_http_redirects_total",
            "Requests on the cleartext port by status: 308 to https, 421 for a host without a certificate, 400 without a host.",
            &["status"],
        );
        let port = SidePort::start("redirect", listener, LIMITS, move |request| {
            let answer = answer(request, to_port, |name| tls.holds_for(name));
            answers.with(&[answer.status().as_str()]).increment();
            answer
        });
        Ok(Redirect(port?))
    }

    pub(crate) fn local_address(&self) -> SocketAddr {
        self.0.local_address()
    }
}

/// Where a request belongs, or why nowhere.
fn answer<B>(
    request: &Request<B>,
    to_port: NonZeroU16,
    is_ours: impl Fn(&ServerName<'_>) -> bool,
) -> Response<Full<Bytes>> {
    let mut hosts = request.headers().get_all(HOST).iter();
    // A target with a host of its own (as for a proxy) comes before the header: RFC 9112, 3.2.2.
    let authority = match (request.uri().authority(), hosts.next(), hosts.next()) {
        (Some(authority), Some(_), None) => Some(authority.clone()),
        (None, Some(host), None) => Authority::try_from(host.as_bytes()).ok(),
        _ => None,
    };
    let Some(authority) = authority.filter(|authority| !authority.as_str().contains('@')) else {
        return plain(StatusCode::BAD_REQUEST, "a request needs one valid host\n");
    };
    let host = authority.host();
    let name = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse().ok().map(|ip: IpAddr| ServerName::IpAddress(ip.into())),
        None => ServerName::try_from(host).ok(),
    };
    if !name.is_some_and(|name| is_ours(&name)) {
        return plain(StatusCode::MISDIRECTED_REQUEST, "this server has no such host\n");
    }
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    // "*" is the target of OPTIONS for the whole server.
    let path = if path.starts_with('/') { path } else { "/" };
    let location = match to_port.get() {
        443 => format!("https://{host}{path}"),
        port => format!("https://{host}:{port}{path}"),
    };
    let Ok(location) = HeaderValue::try_from(location) else {
        return plain(StatusCode::BAD_REQUEST, "a request needs a valid path\n");
    };
    let mut response = plain(StatusCode::PERMANENT_REDIRECT, "");
    response.headers_mut().insert(LOCATION, location);
    response
}

fn plain(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What becomes of a request: the place, or the status.
    fn sent(target: &str, hosts: &[&str], port: u16) -> String {
        let mut request = Request::get(target);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        let is_ours = |name: &ServerName<'_>| {
            ["a.example", "127.0.0.1", "::1"].contains(&name.to_str().as_ref())
        };
        let port = NonZeroU16::new(port).unwrap();
        let response = answer(&request.body(()).unwrap(), port, is_ours);
        match response.headers().get(LOCATION) {
            Some(location) => {
                assert_eq!(response.status(), 308);
                location.to_str().unwrap().to_owned()
            }
            None => response.status().as_str().to_owned(),
        }
    }

    #[test]
    fn a_request_is_sent_to_the_same_place_over_https() {
        assert_eq!(sent("/a?b=c", &["a.example"], 443), "https://a.example/a?b=c");
        assert_eq!(sent("/a", &["a.example:8080"], 8443), "https://a.example:8443/a");
        assert_eq!(sent("http://a.example/a", &["x"], 443), "https://a.example/a");
        assert_eq!(sent("/", &["127.0.0.1"], 443), "https://127.0.0.1/");
        assert_eq!(sent("/", &["[::1]:80"], 8443), "https://[::1]:8443/");
        assert_eq!(sent("*", &["a.example"], 443), "https://a.example/");
        assert_eq!(
            sent("//evil.example/", &["a.example"], 443),
            "https://a.example//evil.example/"
        );
    }

    #[test]
    fn nobody_is_sent_to_a_host_of_a_strangers_choice() {
        assert_eq!(sent("/", &["evil.example"], 443), "421");
        assert_eq!(sent("http://evil.example/", &["a.example"], 443), "421");
        assert_eq!(sent("/", &["a.example.evil.example"], 443), "421");
        assert_eq!(sent("/", &["a.example@evil.example"], 443), "400");
        assert_eq!(sent("/", &["a.example", "evil.example"], 443), "400");
        assert_eq!(sent("/", &[], 443), "400");
        assert_eq!(sent("/", &["a.example/\\evil"], 443), "400");
        assert_eq!(sent("/", &["[::2]"], 443), "421");
        assert_eq!(sent("/", &["[a.example]"], 443), "421");
    }
}
