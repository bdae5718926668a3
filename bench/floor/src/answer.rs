//! From a request to an answer, the shortest way.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{Either, Full, StreamBody};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};

use crate::export::{Frames, export};
use crate::product::Products;

/// One product, or all of them.
type Body = Either<Full<Bytes>, StreamBody<Frames>>;

/// A product as JSON, or all of them; 404 for one that is not there, and for every other path.
pub(crate) async fn answer<B>(products: &Arc<Products>, request: &Request<B>) -> Response<Body> {
    let path = request.uri().path();
    let id = path.strip_prefix("/products/").and_then(|id| id.parse().ok());
    let Some(id) = id.filter(|_| request.method() == Method::GET) else {
        return match path {
            "/export.json" => found(Either::Right(StreamBody::new(export(products.clone())))),
            _ => empty(StatusCode::NOT_FOUND),
        };
    };
    match products.find(id).await {
        Ok(Some(product)) => match serde_json::to_vec(&product) {
            Ok(json) => found(Either::Left(Full::from(json))),
            Err(_) => empty(StatusCode::INTERNAL_SERVER_ERROR),
        },
        Ok(None) => empty(StatusCode::NOT_FOUND),
        Err(_) => empty(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

fn found(json: Body) -> Response<Body> {
    let mut response = Response::new(json);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Either::Left(Full::default()));
    *response.status_mut() = status;
    response
}
