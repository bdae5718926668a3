//! Which headers a scenario may write: not those that the generator writes itself, and none that
//! the protocol forbids.

use http::HeaderName;

pub(super) fn header_name(name: &str) -> Result<String, String> {
    let name: HeaderName = name.parse().map_err(|_| "is no name of a header".to_owned())?;
    const OURS: [HeaderName; 4] = [
        http::header::HOST,
        http::header::CONTENT_LENGTH,
        http::header::TRANSFER_ENCODING,
        http::header::CONNECTION,
    ];
    if OURS.contains(&name) {
        return Err("is written by the generator itself".to_owned());
    }
    Ok(name.as_str().to_owned())
}

/// Whether HTTP/2 knows such a header: those that are about the connection itself it does not, and
/// a request with one is never sent (RFC 9113, 8.2.2).
pub(super) fn is_of_http2(name: &str, value: Option<&str>) -> bool {
    match name {
        "keep-alive" | "proxy-connection" | "upgrade" => false,
        "te" => value == Some("trailers"),
        _ => true,
    }
}
