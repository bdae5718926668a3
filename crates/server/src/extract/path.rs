//! The variable parts of a path, with the name of the part that does not fit.

use axum::extract::path::ErrorKind;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, RawPathParams};
use http::request::Parts;
use serde::de::DeserializeOwned;

use crate::respond::{Error, Failure};

/// The variable parts of the path: one value, a tuple, or a struct with their names. A part
/// that does not fit is 422 and named.
#[derive(Clone, Copy, Debug)]
pub struct Path<T>(pub T);

impl<T, S> FromRequestParts<S> for Path<T>
where
    T: DeserializeOwned + Send,
    S: Send + Sync,
{
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Path<T>, Error> {
        match axum::extract::Path::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => Ok(Path(value)),
            Err(PathRejection::FailedToDeserializePathParams(error)) => {
                let names = RawPathParams::from_request_parts(parts, state).await;
                let name = |index| nth_name(names.as_ref().ok(), index);
                Err(failure(error.into_kind(), name).into())
            }
            Err(_) => {
                Err(Failure::Misbuilt("a handler asks for path parts its route has not").into())
            }
        }
    }
}

fn failure(kind: ErrorKind, name: impl Fn(usize) -> String) -> Failure {
    let invalid = |field, why| Failure::Invalid { field, why };
    match kind {
        ErrorKind::ParseErrorAtKey { key, value, expected_type } => {
            invalid(key, must_be(&value, expected_type))
        }
        ErrorKind::ParseErrorAtIndex { index, value, expected_type } => {
            invalid(name(index), must_be(&value, expected_type))
        }
        ErrorKind::ParseError { value, expected_type } => {
            invalid(name(0), must_be(&value, expected_type))
        }
        ErrorKind::DeserializeError { key, message, .. } => invalid(key, message),
        ErrorKind::Message(message) => invalid(name(0), message),
        ErrorKind::InvalidUtf8InPathParam { key } => {
            Failure::Malformed(format!("{key} in the path is not UTF-8"))
        }
        _ => Failure::Misbuilt("a handler's path type does not fit its route"),
    }
}

fn must_be(value: &str, expected_type: &str) -> String {
    let kind = match expected_type.as_bytes().first() {
        Some(b'i' | b'u') => "a whole number",
        Some(b'f') => "a number",
        _ if expected_type == "bool" => "true or false",
        _ => expected_type,
    };
    format!("{value:?} is not {kind} that fits")
}

fn nth_name(names: Option<&RawPathParams>, index: usize) -> String {
    let name = names.and_then(|names| names.iter().nth(index));
    name.map_or_else(|| "path".to_owned(), |(name, _)| name.to_owned())
}
