//! The query string, with the name of the parameter that does not fit.

use std::error::Error as _;

use axum::extract::FromRequestParts;
use axum::extract::rejection::QueryRejection;
use http::request::Parts;
use serde::de::DeserializeOwned;

use super::field;
use crate::respond::{Error, Failure};

/// The parameters of the query string as a struct. One that does not fit is 422 and named.
#[derive(Clone, Copy, Debug, Default)]
pub struct Query<T>(pub T);

impl<T, S> FromRequestParts<S> for Query<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Query<T>, Error> {
        let query = axum::extract::Query::try_from_uri(&parts.uri);
        query.map(|query| Query(query.0)).map_err(|rejection| failure(&rejection).into())
    }
}

/// What axum wraps twice: the path to the parameter, and what serde said of it.
type Cause = serde_path_to_error::Error<serde::de::value::Error>;

fn failure(rejection: &QueryRejection) -> Failure {
    let mut source = rejection.source();
    while let Some(error) = source {
        if let Some(cause) = error.downcast_ref::<Cause>() {
            let why = cause.inner().to_string();
            return Failure::Invalid { field: field(&cause.path().to_string(), &why), why };
        }
        source = error.source();
    }
    Failure::Malformed(rejection.body_text())
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only its shape matters")]
    struct Page {
        limit: u16,
        after: Option<i64>,
    }

    fn check(query: &str) -> String {
        let uri = format!("/products?{query}").parse().unwrap();
        let rejection = axum::extract::Query::<Page>::try_from_uri(&uri).unwrap_err();
        format!("{:?}", failure(&rejection))
    }

    #[test]
    fn a_parameter_that_does_not_fit_is_named() {
        assert!(check("limit=many").contains(r#"field: "limit""#), "{}", check("limit=many"));
        assert!(check("limit=1&after=x").contains(r#"field: "after""#));
        assert!(check("after=1").contains(r#"field: "limit""#));
    }
}
