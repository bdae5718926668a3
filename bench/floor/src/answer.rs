//! From a request to an answer, the shortest way.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};

use crate::product::Products;

/// A product as JSON; 404 for one that is not there, and for every other path.
pub(crate) async fn answer<B>(products: &Products, request: &Request<B>) -> Response<Full<Bytes>> {
    let id = request.uri().path().strip_prefix("/products/").and_then(|id| id.parse().ok());
    let Some(id) = id.filter(|_| request.method() == Method::GET) else {
        return empty(StatusCode::NOT_FOUND);
    };
    match products.find(id).await {
        Ok(Some(product)) => match serde_json::to_vec(&product) {
            Ok(json) => found(json),
            Err(_) => empty(StatusCode::INTERNAL_SERVER_ERROR),
        },
        Ok(None) => empty(StatusCode::NOT_FOUND),
        Err(_) => empty(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

fn found(json: Vec<u8>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(json));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn empty(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}
