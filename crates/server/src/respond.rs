//! The one list that turns every failure into an answer: problem JSON (RFC 9457) that says
//! what went wrong and what to do about it, and nothing that strangers should not know.

mod complete;
mod rejection;

use std::any::Any;
use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use axum::{BoxError, http};
use http::header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use tenfold_context::Context;
use tenfold_db::Class;
use tenfold_overload::Refusal;
use tenfold_runtime::OffloadError;

pub(crate) use complete::complete;

use crate::wire::Fault;

/// What handlers return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Every way in which a request fails that is not a handler's own.
#[derive(Debug)]
pub(crate) enum Failure {
    NothingHere,
    MethodNotAllowed,
    MethodUnknown,
    Misdirected,
    MediaType,
    BodyTooLarge { bytes_max: u64 },
    BodyTooSlow,
    NoRoom,
    Fault(Fault),
    BodyBroken(BoxError),
    Malformed(String),
    Invalid { field: String, why: String },
    Refused(Refusal),
    DeadlinePassed { after: Duration },
    Panicked(Box<dyn Any + Send>),
    Offload(OffloadError),
    Database(tenfold_db::Error),
    Misbuilt(&'static str),
    Unserializable(BoxError),
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Error {
        use StatusCode as Status;
        match failure {
            // What the client can put right.
            Failure::NothingHere => {
                problem(Status::NOT_FOUND, "not_found", "there is nothing at this path")
            }
            Failure::MethodNotAllowed => problem(
                Status::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "this path does not take this method; the allow header lists those that it takes",
            ),
            Failure::MethodUnknown => problem(
                Status::NOT_IMPLEMENTED,
                "method_unknown",
                "no path of this service takes this method",
            ),
            Failure::Misdirected => problem(
                Status::MISDIRECTED_REQUEST,
                "misdirected",
                "this server does not answer for that host",
            ),
            Failure::MediaType => problem(
                Status::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                "the body must be JSON, with content-type: application/json",
            ),
            Failure::BodyTooLarge { bytes_max } => problem(
                Status::PAYLOAD_TOO_LARGE,
                "body_too_large",
                format!("the body may have {bytes_max} bytes"),
            ),
            Failure::BodyTooSlow => problem(
                Status::REQUEST_TIMEOUT,
                "body_too_slow",
                "the body of the request did not come in time",
            ),
            Failure::Fault(fault) => malformed(fault),
            Failure::BodyBroken(cause) => problem(
                Status::BAD_REQUEST,
                "body_broken",
                "the body broke off, or its chunks are not sound",
            )
            .because(cause, Severity::Silent),
            Failure::Malformed(detail) => {
                problem(Status::BAD_REQUEST, "malformed", clipped(detail))
            }
            Failure::Invalid { field, why } => Error::invalid(clipped(field), clipped(why)),

            // What the client can try again later. It has not been begun.
            Failure::Refused(Refusal::Closed) => {
                problem(Status::SERVICE_UNAVAILABLE, "stopping", "this instance is stopping")
                    .retry_after(Duration::ZERO)
            }
            Failure::Refused(
                refusal @ (Refusal::Full { .. } | Refusal::Displaced { .. } | Refusal::Late { .. }),
            ) => problem(
                Status::SERVICE_UNAVAILABLE,
                "overloaded",
                format!("too many requests at once: {refusal}"),
            )
            .retry_after(waited(refusal)),
            Failure::NoRoom => problem(
                Status::SERVICE_UNAVAILABLE,
                "overloaded",
                "the bodies of too many requests are on their way at once",
            )
            .retry_after(Duration::from_secs(1)),
            Failure::Offload(error) => offload(error),
            Failure::Database(error) => database(error),

            // What took too long: it may have happened or not.
            Failure::DeadlinePassed { after } => problem(
                Status::GATEWAY_TIMEOUT,
                "deadline_passed",
                format!("there was no answer within {} ms", after.as_millis()),
            ),

            // What is a mistake of ours. The cause stands in the log, with the request id.
            Failure::Panicked(message) => Error::internal(panic_message(&*message)),
            Failure::Misbuilt(what) => Error::internal(what),
            Failure::Unserializable(cause) => Error::internal(cause),
        }
    }
}

/// A request that nobody has understood, or should.
fn malformed(fault: Fault) -> Error {
    use StatusCode as Status;
    let bad = |detail| problem(Status::BAD_REQUEST, "malformed", detail);
    match fault {
        Fault::Unreadable => bad("this cannot be read as HTTP/1.1"),
        Fault::RequestLine => bad("the first line must be a method, a target and a version"),
        Fault::BareLineFeed => bad("a line ends in LF without CR"),
        Fault::FoldedLine => bad("a field goes on in a second line"),
        Fault::NoHost => bad("HTTP/1.1 needs a host field"),
        Fault::TwoHosts => bad("there may be one host field"),
        Fault::BadHost => bad("the host field must be a host and perhaps a port"),
        Fault::BadLength => bad("content-length must be one number"),
        Fault::TwoLengths => bad("there may be one content-length field"),
        Fault::LengthAndCoding => bad("content-length and transfer-encoding exclude each other"),
        Fault::TwoCodings => bad("there may be one transfer-encoding field"),
        Fault::CodingInHttp10 => bad("HTTP/1.0 has no transfer-encoding"),
        Fault::BadChunk => bad("a chunk of the body is not sound"),
        Fault::Version => problem(
            Status::HTTP_VERSION_NOT_SUPPORTED,
            "version_not_supported",
            "this port speaks HTTP/1.1 and HTTP/2",
        ),
        Fault::UriTooLong { bytes_max } => problem(
            Status::URI_TOO_LONG,
            "uri_too_long",
            format!("the target may have {bytes_max} bytes"),
        ),
        Fault::HeadTooLarge { bytes_max } => problem(
            Status::REQUEST_HEADER_FIELDS_TOO_LARGE,
            "head_too_large",
            format!("the head may have {bytes_max} bytes"),
        ),
        Fault::TooManyFields { fields_max } => problem(
            Status::REQUEST_HEADER_FIELDS_TOO_LARGE,
            "too_many_fields",
            format!("the head may have {fields_max} fields"),
        ),
        Fault::UnknownCoding => problem(
            Status::NOT_IMPLEMENTED,
            "transfer_coding_unknown",
            "the only transfer-encoding that is taken is chunked",
        ),
        Fault::NoLength => problem(
            Status::LENGTH_REQUIRED,
            "length_required",
            "in HTTP/1.0 a body needs a content-length",
        ),
        Fault::Expectation => problem(
            Status::EXPECTATION_FAILED,
            "expectation_failed",
            "the only expectation that is met is 100-continue",
        ),
        Fault::HeadTooSlow => problem(
            Status::REQUEST_TIMEOUT,
            "head_too_slow",
            "the head of the request did not come in time",
        ),
    }
}

fn database(error: tenfold_db::Error) -> Error {
    use StatusCode as Status;
    if matches!(error, tenfold_db::Error::Closed) {
        return Failure::Refused(Refusal::Closed).into();
    }
    let duplicate = error.postgres().is_some_and(tenfold_db::PostgresError::is_duplicate);
    let repeated = error.postgres().is_some_and(tenfold_db::PostgresError::is_repeated);
    match error.class() {
        Class::NotFound => problem(Status::NOT_FOUND, "not_found", "there is no such thing")
            .because(error, Severity::Silent),
        Class::Constraint if duplicate => problem(
            Status::CONFLICT,
            "already_exists",
            "there is one already that must not be there twice",
        )
        .because(error, Severity::Silent),
        Class::Constraint if repeated => problem(
            Status::UNPROCESSABLE_ENTITY,
            "repeated",
            "the same key is in it twice, and only one of the two can be kept",
        )
        .because(error, Severity::Silent),
        // 422 and not 409: the same request fails again whatever others do.
        Class::Constraint => problem(
            Status::UNPROCESSABLE_ENTITY,
            "constraint_violated",
            "a value refers to what is not there, or is outside of what is allowed",
        )
        .because(error, Severity::Silent),
        // Not logged one by one: it comes in floods, and the lane's metrics count it.
        Class::Saturated => problem(
            Status::SERVICE_UNAVAILABLE,
            "database_busy",
            "too many requests want the database at once",
        )
        .retry_after(Duration::from_secs(1))
        .because(error, Severity::Silent),
        Class::Unreachable => problem(
            Status::SERVICE_UNAVAILABLE,
            "database_unreachable",
            "the database cannot be reached",
        )
        .retry_after(Duration::from_secs(2))
        .because(error, Severity::Warn),
        Class::Conflict => problem(
            Status::SERVICE_UNAVAILABLE,
            "conflict",
            "it lost against another request that changed the same; try again",
        )
        .retry_after(Duration::ZERO)
        .because(error, Severity::Silent),
        Class::TooSlow => problem(
            Status::GATEWAY_TIMEOUT,
            "database_too_slow",
            "the database did not answer in time",
        )
        .because(error, Severity::Warn),
        Class::Unknown => problem(
            Status::INTERNAL_SERVER_ERROR,
            "outcome_unknown",
            "it may have happened or not: look before you try again",
        )
        .because(error, Severity::Error),
        Class::Mistake => Error::internal(error),
    }
}

fn offload(error: OffloadError) -> Error {
    use StatusCode as Status;
    match error {
        OffloadError::Full { .. } | OffloadError::Displaced { .. } => problem(
            Status::SERVICE_UNAVAILABLE,
            "overloaded",
            format!("too much to compute at once: {error}"),
        )
        .retry_after(Duration::from_secs(1)),
        OffloadError::Stopped => Failure::Refused(Refusal::Closed).into(),
        OffloadError::Deadline => problem(
            Status::GATEWAY_TIMEOUT,
            "deadline_passed",
            "the computation did not end in time",
        ),
        OffloadError::Panicked(_) => Error::internal(error),
    }
}

fn problem(status: StatusCode, code: &'static str, detail: impl Into<Cow<'static, str>>) -> Error {
    Error::problem(status, code, detail)
}

/// What a client is told may quote what it sent, and that may be megabytes: so much of it will do.
const QUOTED_BYTES_MAX: usize = 256;

fn clipped(mut text: String) -> String {
    if text.len() > QUOTED_BYTES_MAX {
        text.truncate(text.floor_char_boundary(QUOTED_BYTES_MAX));
        text.push('…');
    }
    text
}

/// How long somebody had waited before the door turned it away.
fn waited(refusal: Refusal) -> Duration {
    match refusal {
        Refusal::Displaced { waited } | Refusal::Late { waited } => waited,
        Refusal::Full { .. } | Refusal::Closed => Duration::ZERO,
    }
}

/// An answer that says what went wrong, as problem JSON (RFC 9457).
///
/// ```
/// # use tenfold_server::Error;
/// use http::StatusCode;
///
/// let sold_out = Error::problem(StatusCode::CONFLICT, "sold_out", "all pieces are sold");
/// let invalid = Error::invalid("quantity", "must be at least 1").field("sku", "is not known");
/// ```
#[derive(Debug)]
pub struct Error(Box<Problem>);

#[derive(Debug)]
struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: Cow<'static, str>,
    fields: Vec<Field>,
    retry_after_seconds: Option<u64>,
    cause: Option<BoxError>,
    severity: Severity,
}

/// A part of the input, and what is wrong with it.
#[derive(Debug, Serialize)]
struct Field {
    field: Cow<'static, str>,
    detail: Cow<'static, str>,
}

/// How loudly the cause is logged when the answer is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Severity {
    Silent,
    Warn,
    Error,
}

impl Error {
    /// A problem of this status. `code` is a word that clients can tell problems apart by, such
    /// as `sold_out`; `detail` is for people.
    pub fn problem(
        status: StatusCode,
        code: &'static str,
        detail: impl Into<Cow<'static, str>>,
    ) -> Error {
        Error(Box::new(Problem {
            status,
            code,
            detail: detail.into(),
            fields: Vec::new(),
            retry_after_seconds: None,
            cause: None,
            severity: Severity::Silent,
        }))
    }

    /// 422: a field of the input is wrong. More are added with [`Error::field`].
    pub fn invalid(
        field: impl Into<Cow<'static, str>>,
        why: impl Into<Cow<'static, str>>,
    ) -> Error {
        let detail = "the input is not valid";
        Error::problem(StatusCode::UNPROCESSABLE_ENTITY, "invalid", detail).field(field, why)
    }

    /// 500: a mistake of ours. The cause is logged with the request's id, and the client is told
    /// that id and nothing else.
    pub fn internal(cause: impl Into<BoxError>) -> Error {
        let detail = "it failed by our own fault; the request id finds it in the log";
        Error::problem(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
            .because(cause, Severity::Error)
    }

    /// Names one more field of the input and what is wrong with it.
    #[must_use]
    pub fn field(
        mut self,
        field: impl Into<Cow<'static, str>>,
        why: impl Into<Cow<'static, str>>,
    ) -> Error {
        self.0.fields.push(Field { field: field.into(), detail: why.into() });
        self
    }

    /// Asks the client to wait about this long: `Retry-After` is a random whole number of
    /// seconds between it and twice it plus two, so that those who were turned away together do
    /// not come back together.
    #[must_use]
    pub fn retry_after(mut self, about: Duration) -> Error {
        self.0.retry_after_seconds = Some(again_after_seconds(about));
        self
    }

    /// Its HTTP status.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The word that tells problems apart.
    pub fn code(&self) -> &'static str {
        self.0.code
    }

    fn because(mut self, cause: impl Into<BoxError>, severity: Severity) -> Error {
        self.0.cause = Some(cause.into());
        self.0.severity = severity;
        self
    }

    fn log(&self) {
        let Problem { code, cause: Some(cause), .. } = &*self.0 else { return };
        let error = &**cause as &(dyn std::error::Error + 'static);
        match self.0.severity {
            Severity::Silent => {}
            Severity::Warn => tracing::warn!(code, error, "request failed"),
            Severity::Error => tracing::error!(code, error, "request failed"),
        }
    }
}

/// What a problem looks like on the wire.
#[derive(Serialize)]
struct Wire<'a> {
    r#type: String,
    title: String,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "<[Field]>::is_empty")]
    errors: &'a [Field],
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
}

impl Error {
    /// Status and body, as they go over the wire.
    pub(crate) fn to_wire(&self, context: Option<&Context>) -> (StatusCode, Vec<u8>) {
        let Problem { status, code, detail, fields, .. } = &*self.0;
        let wire = Wire {
            // RFC 9457 §3.1.1 asks for an absolute path where there is no whole URI: a service
            // may explain its problems there, or not.
            r#type: format!("/problems/{code}"),
            title: title(code),
            status: status.as_u16(),
            detail,
            errors: fields,
            request_id: context.map(|context| context.request_id().to_string()),
        };
        (*status, serde_json::to_vec(&wire).expect("texts and numbers are always JSON"))
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        self.log();
        let (status, json) = self.to_wire(Context::current().as_ref());
        let mut response = Response::new(Body::from(json));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.0.retry_after_seconds {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        if status == StatusCode::REQUEST_TIMEOUT {
            // Whatever comes still is not waited for (RFC 9110 §15.5.9). HTTP/2 leaves it out.
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// A random whole number of seconds between `about` and twice it plus two.
fn again_after_seconds(about: Duration) -> u64 {
    let least = about.as_secs().clamp(1, 60);
    fastrand::u64(least..=2 * least + 1)
}

/// The code as a title: `sold_out` is "Sold out".
fn title(code: &str) -> String {
    let mut title = code.replace('_', " ");
    if let Some(first) = title.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    title
}

fn panic_message(message: &(dyn Any + Send)) -> String {
    let text = message.downcast_ref::<&str>().copied();
    let text = text.or_else(|| message.downcast_ref::<String>().map(String::as_str));
    format!("the handler panicked: {}", text.unwrap_or("(no message)"))
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.0.status.as_u16(), self.0.code, self.0.detail)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.cause.as_deref().map(|cause| cause as &(dyn std::error::Error + 'static))
    }
}

impl From<tenfold_db::Error> for Error {
    fn from(error: tenfold_db::Error) -> Error {
        Failure::Database(error).into()
    }
}

impl From<OffloadError> for Error {
    fn from(error: OffloadError) -> Error {
        Failure::Offload(error).into()
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Error {
        Failure::Refused(refusal).into()
    }
}

#[cfg(test)]
mod tests;
