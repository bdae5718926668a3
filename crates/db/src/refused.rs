//! Why a server could not be connected to, told so that whoever reads it knows which setting, or
//! whose certificate, to look at.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::time::Duration;

use rustls::{AlertDescription, CertificateError, Error as RustlsError};
use tokio_postgres::error::SqlState;

use crate::error::Cause;
use crate::tls::Tls;

/// No server was as wanted.
#[derive(Debug)]
pub(crate) struct ConnectError {
    /// Each with the reason.
    pub(crate) tried: Vec<(String, Refused)>,
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (server, why)) in self.tried.iter().enumerate() {
            let comma = if index == 0 { "" } else { "; " };
            write!(f, "{comma}{server}: {why}")?;
        }
        Ok(())
    }
}

impl StdError for ConnectError {}

/// Whether a server is there and takes no more connections.
pub(crate) fn is_full(cause: &Cause) -> bool {
    let is_full = |tried: &(String, Refused)| matches!(tried.1, Refused::Full(_));
    cause.of::<ConnectError>().is_some_and(|error| error.tried.iter().any(is_full))
}

/// Why one server is out of the question.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error("its name is not known: {0}")]
    NotFound(#[source] io::Error),
    #[error("no answer within {} ms (database.connect_timeout)", limit.as_millis())]
    Silent { limit: Duration },
    #[error(
        "the server does not speak TLS, and database.sslmode={mode} asks for it: set ssl=on there, \
         or sslmode=disable if nobody else is on the way"
    )]
    NoTls { mode: &'static str },
    #[error("its certificate {0}")]
    Certificate(String),
    #[error("TLS failed (database.sslmode={mode}): {cause}")]
    Handshake { mode: &'static str, cause: RustlsError },
    #[error(
        "the server does not accept our certificate (database.sslcert and database.sslkey): {0:?}"
    )]
    OurCertificate(AlertDescription),
    #[error(
        "{0}: a pooler such as PgBouncer stands in between, so set database.pooler to \"transaction\" \
         if it lends sessions for a transaction (or let it ignore_startup_parameters = options \
         if it lends them for longer)"
    )]
    Pooler(String),
    #[error("it takes no more connections: {0}")]
    Full(String),
    #[error("is {is}, and target_session_attrs={wanted} wants another")]
    Role { is: &'static str, wanted: &'static str },
    #[error("{0}")]
    Driver(Cause),
}

impl Refused {
    pub(crate) fn of(error: tokio_postgres::Error, tls: &Tls) -> Refused {
        let mode = tls.mode.word();
        match rustls_error(&error) {
            Some(RustlsError::InvalidCertificate(why)) => {
                Refused::Certificate(certificate(why, tls))
            }
            Some(RustlsError::AlertReceived(alert)) if is_about_ours(*alert) => {
                Refused::OurCertificate(*alert)
            }
            Some(cause) => Refused::Handshake { mode, cause: cause.clone() },
            None if says_no_tls(&error) => Refused::NoTls { mode },
            None => match error.as_db_error() {
                Some(said) if said.message().contains("unsupported startup parameter") => {
                    Refused::Pooler(said.message().to_owned())
                }
                // PgBouncer has one code for all that it does not like.
                Some(said)
                    if said.code() == &SqlState::TOO_MANY_CONNECTIONS
                        || said.message().contains("no more connections allowed") =>
                {
                    Refused::Full(said.message().to_owned())
                }
                _ => Refused::Driver(Cause::new(error)),
            },
        }
    }

    /// Whether two sides that both speak TLS did not agree.
    pub(crate) fn is_handshake(error: &tokio_postgres::Error) -> bool {
        rustls_error(error).is_some()
    }

    /// Of the reasons why the addresses of one name are out of the question, the one that says
    /// most: a server that answered before one that did not.
    pub(crate) fn most_telling(all: Vec<Refused>) -> Refused {
        let none = || io::Error::new(io::ErrorKind::NotFound, "it has no address");
        all.into_iter()
            .min_by_key(|why| matches!(why, Refused::Silent { .. } | Refused::Driver(_)))
            .unwrap_or_else(|| Refused::NotFound(none()))
    }
}

/// What rustls said, under the wraps of the driver and of the socket.
fn rustls_error(error: &tokio_postgres::Error) -> Option<&RustlsError> {
    let io = error.source()?.downcast_ref::<io::Error>()?;
    io.get_ref()?.downcast_ref()
}

/// The driver keeps its kinds of errors to itself; only this text tells.
fn says_no_tls(error: &tokio_postgres::Error) -> bool {
    error.source().is_some_and(|cause| cause.to_string() == "server does not support TLS")
}

/// Whether an alert is what a server sends that does not like our certificate.
fn is_about_ours(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::DecryptError
    )
}

/// What is wrong with the server's certificate; goes on after "its certificate".
fn certificate(error: &CertificateError, tls: &Tls) -> String {
    let mode = tls.mode.word();
    let authorities = &tls.authorities;
    match error {
        CertificateError::UnknownIssuer => format!(
            "comes from an authority that is not among those of database.sslrootcert: {authorities}"
        ),
        CertificateError::NotValidForName => {
            format!("is for another name (database.sslmode={mode})")
        }
        CertificateError::NotValidForNameContext { expected, presented } => {
            let presented = if presented.is_empty() {
                "for no name at all in its alternative names, the only ones that count".to_owned()
            } else {
                format!("for {}", presented.join(", "))
            };
            format!(
                "is {presented}, and not for {:?} (database.sslmode={mode}; verify-ca does not \
                 look at the name)",
                expected.to_str()
            )
        }
        CertificateError::Expired => "has expired".to_owned(),
        CertificateError::ExpiredContext { time, not_after } => {
            let since = time.as_secs().saturating_sub(not_after.as_secs());
            format!("has expired, {} ago", span(since))
        }
        CertificateError::NotValidYet => "is not valid yet".to_owned(),
        CertificateError::NotValidYetContext { time, not_before } => {
            let until = not_before.as_secs().saturating_sub(time.as_secs());
            format!("is not valid yet, for another {}: is this machine's clock right?", span(until))
        }
        other => format!("cannot be used (database.sslmode={mode}): {other}"),
    }
}

fn span(seconds: u64) -> String {
    const DAY: u64 = 24 * 60 * 60;
    if seconds >= 2 * DAY { format!("{} days", seconds / DAY) } else { format!("{seconds} s") }
}
