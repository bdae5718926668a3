//! One line per request with the words of pino-http, for those requests that the settings ask for.

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
        tracing::info!(
            target: "tenfold_server::request",
            method = method.as_str(),
            url = uri.path(),
            statusCode = status.as_u16(),
            remoteAddress = self.client.map(tracing::field::display),
            // Milliseconds, as pino-http has it.
            responseTime = took.as_micros() as f64 / 1000.0,
            "{message}"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
