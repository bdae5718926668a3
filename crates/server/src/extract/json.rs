//! JSON in and out: what cannot be read says where, what does not fit says which field.

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::response::{IntoResponse, Response};
use bytes::{BufMut, Bytes, BytesMut};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use super::field;
use crate::respond::{Error, Failure};

/// A request's body from JSON, or an answer's body to JSON.
///
/// A body that is no JSON is 400 and says where; JSON that does not fit is 422 and names the
/// field; another content type is 415; a body above `server.body_max` is 413.
#[derive(Clone, Copy, Debug, Default)]
pub struct Json<T>(pub T);

impl<T, S> FromRequest<S> for Json<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Json<T>, Error> {
        if !is_json(request.headers()) {
            return Err(Failure::MediaType.into());
        }
        let bytes = Bytes::from_request(request, state).await;
        parse(&bytes.map_err(Failure::unread)?).map(Json)
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        let mut writer = BytesMut::with_capacity(128).writer();
        if let Err(cause) = serde_json::to_writer(&mut writer, &self.0) {
            return Error::from(Failure::Unserializable(cause.into())).into_response();
        }
        let mut response = Response::new(Body::from(writer.into_inner().freeze()));
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(CONTENT_TYPE, json);
        response
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(Ok(value)) = headers.get(CONTENT_TYPE).map(HeaderValue::to_str) else { return false };
    let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json"
        || (essence.starts_with("application/") && essence.ends_with("+json"))
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    let malformed = |error: &serde_json::Error| -> Error {
        Failure::Malformed(format!("the body is not JSON: {error}")).into()
    };
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        if error.inner().classify() != Category::Data {
            return malformed(error.inner());
        }
        let message = error.inner().to_string();
        // The field says where; line and column would say it again.
        let why = message.rsplit_once(" at line ").map_or(&*message, |(why, _)| why).to_owned();
        Failure::Invalid { field: field(&error.path().to_string(), &why), why }.into()
    })?;
    deserializer.end().map_err(|error| malformed(&error))?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its shape matters")]
    struct Order {
        product: i64,
        lines: Vec<Line>,
    }

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only its shape matters")]
    struct Line {
        quantity: u8,
    }

    fn check(text: &str) -> String {
        let error = parse::<Order>(text.as_bytes()).unwrap_err();
        format!("{error:?}")
    }

    #[test]
    fn what_does_not_fit_names_its_field() {
        let cases = [
            (r#"{"product": "a", "lines": []}"#, r#"field: "product""#),
            (r#"{"lines": []}"#, r#"field: "product""#),
            (r#"{"product": 1, "lines": [{"quantity": 300}]}"#, r#"field: "lines[0].quantity""#),
            (r#"{"product": 1, "lines": [{}]}"#, r#"field: "lines[0].quantity""#),
            (r#"{"product": 1, "lines": [], "more": 1}"#, r#"field: "more""#),
            ("7", r#"field: "body""#),
        ];
        for (text, expected) in cases {
            let said = check(text);
            assert!(said.contains(expected) && said.contains("422"), "{text}: {said}");
            assert!(!said.contains("at line"), "{said}");
        }
    }

    #[test]
    fn what_is_quoted_is_short() {
        let name = "é".repeat(1_000_000);
        let said = check(&format!(r#"{{"product": 1, "lines": [], "{name}": 1}}"#));
        assert!(said.contains("unknown field `é") && said.len() < 2_000, "{}", said.len());
    }

    #[test]
    fn what_is_no_json_says_where() {
        for text in ["", "{", r#"{"product": 1"#, r#"{"product": 1, "lines": []} x"#] {
            let said = check(text);
            assert!(said.contains("400") && said.contains("at line 1 column"), "{text}: {said}");
        }
    }

    #[test]
    fn json_is_known_by_its_content_type() {
        let says = |value: &'static str| {
            is_json(&HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(value))]))
        };
        assert!(says("application/json"));
        assert!(says("Application/JSON; charset=utf-8"));
        assert!(says("application/problem+json"));
        assert!(!says("text/json"));
        assert!(!says("application/x-www-form-urlencoded"));
        assert!(!is_json(&HeaderMap::new()));
    }
}
