//! One line per request with the words of pino-http, for those requests that the settings ask for.

use std::fmt::{self, Write as _};
use std::net::IpAddr;
use std::time::Duration;

use http::{Method, StatusCode, Uri};
use tenfold_telemetry::log::{LogSettings, RequestLines};

use crate::metrics::Ending;

/// Which requests leave a line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AccessLog {
    requests: RequestLines,
    slow: Duration,
    /// Who asks; nobody yet for the log as a whole.
    client: Option<IpAddr>,
}

impl AccessLog {
    pub(crate) fn new(settings: &LogSettings) -> AccessLog {
        AccessLog { requests: settings.requests, slow: settings.slow_request, client: None }
    }

    /// The log as a request of that client sees it.
    pub(crate) fn of(self, client: IpAddr) -> AccessLog {
        AccessLog { client: Some(client), ..self }
    }

    pub(crate) fn wants(self, status: StatusCode, ending: Ending, took: Duration) -> bool {
        match self.requests {
            RequestLines::All => true,
            RequestLines::SlowAndFailed => {
                took >= self.slow || status.is_server_error() || ending == Ending::Failed
            }
            RequestLines::None => false,
        }
    }

    /// Always at level info: what went wrong has a line of its own, and a flood of refusals must
    /// not push that one out. The path stands without its query, which may hold secrets.
    pub(crate) fn write(
        self,
        method: &Method,
        uri: &Uri,
        status: StatusCode,
        ending: Ending,
        took: Duration,
    ) {
        let message = match ending {
            Ending::Complete => "request completed",
            Ending::Failed => "request errored",
            Ending::Abandoned => "request aborted",
        };
        let client = self.client.map(AddressText::of);
        tracing::info!(
            target: "tenfold_server::request",
            method = method.as_str(),
            url = uri.path(),
            statusCode = status.as_u16(),
            remoteAddress = client.as_ref().map(AddressText::as_str),
            // Milliseconds, as pino-http has it.
            responseTime = took.as_micros() as f64 / 1000.0,
            // As a field, and not as the format that it could be: this is said for every request.
            message,
        );
    }
}

/// An address in letters, without an allocation.
struct AddressText {
    bytes: [u8; AddressText::BYTES_MAX],
    used: usize,
}

impl AddressText {
    /// `ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255`
    const BYTES_MAX: usize = 46;

    fn of(address: IpAddr) -> AddressText {
        let mut text = AddressText { bytes: [0; AddressText::BYTES_MAX], used: 0 };
        // `Display` looks for a width in case there is one, which takes longer than all the rest.
        if let IpAddr::V4(address) = address {
            for (place, octet) in address.octets().into_iter().enumerate() {
                if place > 0 {
                    text.push(b".");
                }
                text.push(itoa::Buffer::new().format(octet).as_bytes());
            }
        } else {
            write!(text, "{address}").expect("no address is longer than the longest");
        }
        text
    }

    fn as_str(&self) -> &str {
        str::from_utf8(&self.bytes[..self.used]).expect("an address is ASCII")
    }

    fn push(&mut self, bytes: &[u8]) {
        self.bytes[self.used..][..bytes.len()].copy_from_slice(bytes);
        self.used += bytes.len();
    }
}

impl fmt::Write for AddressText {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if text.len() > self.bytes.len() - self.used {
            return Err(fmt::Error);
        }
        self.push(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_reads_as_everywhere() {
        for address in [
            "0.0.0.0",
            "127.0.0.1",
            "255.255.255.255",
            "::",
            "2001:db8::1",
            "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            "::ffff:255.255.255.255",
        ] {
            let parsed: IpAddr = address.parse().unwrap();
            assert_eq!(AddressText::of(parsed).as_str(), address);
        }
    }

    #[test]
    fn slow_and_failed_are_just_those() {
        let log = AccessLog {
            requests: RequestLines::SlowAndFailed,
            slow: Duration::from_secs(1),
            client: None,
        };
        let quick = Duration::from_millis(5);
        assert!(!log.wants(StatusCode::OK, Ending::Complete, quick));
        assert!(!log.wants(StatusCode::NOT_FOUND, Ending::Complete, quick));
        assert!(log.wants(StatusCode::OK, Ending::Complete, Duration::from_secs(1)));
        assert!(log.wants(StatusCode::OK, Ending::Failed, quick));
        assert!(log.wants(StatusCode::SERVICE_UNAVAILABLE, Ending::Complete, quick));
    }
}
