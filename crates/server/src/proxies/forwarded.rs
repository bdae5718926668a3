//! Takes apart the headers in which proxies note whom they speak for: the newest note first,
//! because only the end of the trail was written by somebody who is known.

use std::net::{IpAddr, SocketAddr};

use http::header::FORWARDED;
use http::{HeaderMap, HeaderName};

use super::ForwardedBy;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// More proxies in a row than anybody has; what lies behind them is not looked at, so that a long
/// header costs no more than a short one.
const HOPS_MAX: usize = 16;

/// Every hop of the trail, the last one first; nothing for one that is no address.
pub(super) fn hops(
    header: ForwardedBy,
    headers: &HeaderMap,
) -> impl Iterator<Item = Option<IpAddr>> {
    let (name, address): (_, fn(&str) -> Option<IpAddr>) = match header {
        ForwardedBy::Forwarded => (FORWARDED, forwarded_for),
        ForwardedBy::XForwardedFor | ForwardedBy::None => (X_FORWARDED_FOR, node),
    };
    // Several lines are one list: RFC 9110, 5.3. One that is no text is one hop of nobody.
    let lines: Vec<&str> =
        headers.get_all(name).iter().map(|line| line.to_str().unwrap_or("\u{0}")).collect();
    let mut notes = Vec::with_capacity(HOPS_MAX);
    for line in lines.iter().rev() {
        let left = HOPS_MAX - notes.len();
        notes.extend(rsplit_list(line).take(left).map(address));
    }
    notes.into_iter()
}

/// The parts of a list from its end, where commas in quotes part nothing. An unpaired quote is
/// counted from the end like the rest; what comes of it is no address.
fn rsplit_list(line: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    line.rsplit(move |character| {
        quoted ^= character == '"';
        character == ',' && !quoted
    })
    .map(str::trim)
}

/// The address behind `for=` in one note of `Forwarded`.
fn forwarded_for(note: &str) -> Option<IpAddr> {
    let mut pairs = note.split(';').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(name, _)| name.trim().eq_ignore_ascii_case("for"))?;
    let value = value.trim();
    match value.strip_prefix('"').and_then(|value| value.strip_suffix('"')) {
        Some(quoted) => node(quoted),
        // An IPv6 address or a port needs quotes, and without them the grammar has no colon.
        None => node(value).filter(|_| !value.contains(':')),
    }
}

/// An address with or without a port. `unknown` and hidden names (`_x`) are none.
fn node(text: &str) -> Option<IpAddr> {
    let bare = |text: &str| text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let address = text.parse::<IpAddr>().ok();
    let address = address.or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()));
    address.or_else(|| bare(text).map(IpAddr::V6)).map(|address| address.to_canonical())
}
