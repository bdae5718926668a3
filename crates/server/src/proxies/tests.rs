//! Whom headers make the client, and whom they cannot.

use std::net::IpAddr;

use http::HeaderMap;

use super::checksum::crc32c;
use super::protocol::{HeaderError, SIGNATURE, parse};
use super::*;

fn proxies(header: ForwardedBy) -> Proxies {
    let trusted = ["10.0.0.0/8", "fd00::/8"].map(|network| network.parse().unwrap()).to_vec();
    Proxies { trusted, protocol: true, header }
}

/// The client of a request from `peer` with these lines of the header.
fn client(header: ForwardedBy, peer: &str, lines: &[&str]) -> String {
    let mut headers = HeaderMap::new();
    let name = if header == ForwardedBy::Forwarded { "forwarded" } else { "x-forwarded-for" };
    for line in lines {
        headers.append(name, line.parse().unwrap());
    }
    proxies(header).client(peer.parse().unwrap(), &headers).to_string()
}

fn x(peer: &str, lines: &[&str]) -> String {
    client(ForwardedBy::XForwardedFor, peer, lines)
}

fn forwarded(peer: &str, lines: &[&str]) -> String {
    client(ForwardedBy::Forwarded, peer, lines)
}

#[test]
fn a_stranger_tells_nothing() {
    assert_eq!(x("192.0.2.1", &["198.51.100.7"]), "192.0.2.1");
    assert_eq!(forwarded("192.0.2.1", &["for=198.51.100.7"]), "192.0.2.1");
    assert_eq!(client(ForwardedBy::None, "10.0.0.1", &["198.51.100.7"]), "10.0.0.1");
    assert!(!proxies(ForwardedBy::None).introduce([192, 0, 2, 1].into()));
    assert!(proxies(ForwardedBy::None).introduce([10, 0, 2, 1].into()));
}

#[test]
fn the_last_one_who_is_not_trusted_is_the_client() {
    assert_eq!(x("10.0.0.1", &["198.51.100.7"]), "198.51.100.7");
    assert_eq!(x("10.0.0.1", &["1.1.1.1, 198.51.100.7, 10.0.0.2"]), "198.51.100.7");
    assert_eq!(x("10.0.0.1", &["1.1.1.1", "198.51.100.7", "10.0.0.2"]), "198.51.100.7");
    assert_eq!(x("::ffff:10.0.0.1", &["198.51.100.7:443"]), "198.51.100.7");
    assert_eq!(x("10.0.0.1", &["10.0.0.3,10.0.0.2"]), "10.0.0.3");
    assert_eq!(x("fd00::1", &["[2001:db8::7]:443, fd00::2"]), "2001:db8::7");
    assert_eq!(x("10.0.0.1", &[]), "10.0.0.1");
}

#[test]
fn what_is_no_address_ends_the_trail() {
    assert_eq!(x("10.0.0.1", &["198.51.100.7, nonsense, 10.0.0.2"]), "10.0.0.2");
    assert_eq!(x("10.0.0.1", &["198.51.100.7, "]), "10.0.0.1");
    assert_eq!(x("10.0.0.1", &["\"198.51.100.7"]), "10.0.0.1");
    assert_eq!(x("10.0.0.1", &["\", 198.51.100.7"]), "198.51.100.7");
    assert_eq!(forwarded("10.0.0.1", &["for=unknown, for=10.0.0.2"]), "10.0.0.2");
    assert_eq!(forwarded("10.0.0.1", &["for=_hidden"]), "10.0.0.1");
    assert_eq!(forwarded("10.0.0.1", &["proto=https"]), "10.0.0.1");
    assert_eq!(forwarded("10.0.0.1", &["for=2001:db8::7"]), "10.0.0.1", "it needs quotes");
}

#[test]
fn forwarded_is_read_as_its_grammar_has_it() {
    assert_eq!(forwarded("10.0.0.1", &["For=198.51.100.7;proto=https"]), "198.51.100.7");
    assert_eq!(forwarded("10.0.0.1", &["by=10.0.0.1; for=\"198.51.100.7:80\""]), "198.51.100.7");
    assert_eq!(forwarded("10.0.0.1", &["for=\"[2001:db8::7]:80\", for=10.0.0.2"]), "2001:db8::7");
    assert_eq!(forwarded("10.0.0.1", &["for=1.1.1.1;host=\"a,b\", for=10.0.0.2"]), "1.1.1.1");
}

#[test]
fn a_long_trail_costs_no_more_than_a_short_one() {
    let long = vec!["10.0.0.9"; 1000].join(",");
    assert_eq!(x("10.0.0.1", &["198.51.100.7", &long]), "10.0.0.9");
}

/// A header with that version and command, family, stated length and rest.
fn header(command: u8, family: u8, length: u16, rest: &[u8]) -> Vec<u8> {
    let mut header = SIGNATURE.to_vec();
    header.extend([command, family]);
    header.extend(length.to_be_bytes());
    header.extend(rest);
    header
}

#[test]
fn a_proxy_header_names_its_source() {
    let v4 = [192, 0, 2, 1, 10, 0, 0, 1, 0xff, 0xff, 1, 0xbb];
    let source = Some(IpAddr::from([192, 0, 2, 1]));
    assert_eq!(parse(&header(0x21, 0x11, 12, &v4)), Ok(Some((source, 28))));
    // What follows the addresses, and what follows the header.
    let mut more = v4.to_vec();
    more.extend(b"\x04\x00\x04\0\0\0\0GET /");
    assert_eq!(parse(&header(0x21, 0x11, 19, &more)), Ok(Some((source, 35))));
    let mut v6 = [0; 36];
    v6[..16].copy_from_slice(&"2001:db8::7".parse::<std::net::Ipv6Addr>().unwrap().octets());
    let source = Some("2001:db8::7".parse().unwrap());
    assert_eq!(parse(&header(0x21, 0x21, 36, &v6)), Ok(Some((source, 52))));
    v6[..16].copy_from_slice(&"::ffff:192.0.2.1".parse::<std::net::Ipv6Addr>().unwrap().octets());
    let source = Some(IpAddr::from([192, 0, 2, 1]));
    assert_eq!(parse(&header(0x21, 0x21, 36, &v6)), Ok(Some((source, 52))));
}

/// A header of version 2 with these TLVs, and the right checksum in the place of the last four
/// bytes of the last one.
fn summed(tlvs: &[u8]) -> Vec<u8> {
    let mut rest = vec![192, 0, 2, 1, 10, 0, 0, 1, 0xff, 0xff, 1, 0xbb];
    rest.extend(tlvs);
    let mut header = header(0x21, 0x11, rest.len() as u16, &rest);
    let sum = crc32c([&header[..]]).to_be_bytes();
    let end = header.len() - 4;
    header[end..].copy_from_slice(&sum);
    header
}

#[test]
fn a_checksum_is_that_of_the_whole_header_without_itself() {
    let source = Some(IpAddr::from([192, 0, 2, 1]));
    let alone = summed(b"\x03\x00\x04\0\0\0\0");
    assert_eq!(alone[31..], [0x69, 0xe5, 0xd1, 0x45], "computed by other means");
    assert_eq!(parse(&alone), Ok(Some((source, 35))));
    assert_eq!(parse(&summed(b"\x04\x00\x01x\x03\x00\x04\0\0\0\0")), Ok(Some((source, 39))));
    // No bit of it may be another.
    for bit in 12 * 8..alone.len() * 8 {
        let mut wrong = alone.clone();
        wrong[bit / 8] ^= 1 << (bit % 8);
        let other = parse(&wrong);
        // One that says of itself that it has no checksum has none, and what it then says is left
        // to TCP's own.
        let without = wrong[28] != 0x03;
        assert!(without || !matches!(other, Ok(Some((Some(_), _)))), "bit {bit}: {other:?}");
    }
}

#[test]
fn what_follows_the_addresses_ends_with_the_header() {
    let tail = |tlvs: &[u8]| {
        let rest = [&[192, 0, 2, 1, 10, 0, 0, 1, 0xff, 0xff, 1, 0xbb], tlvs].concat();
        parse(&header(0x21, 0x11, rest.len() as u16, &rest))
    };
    assert!(tail(b"\x04\0\0\x04\0\x02ab").is_ok());
    for wrong in [&b"\x04"[..], b"\x04\0", b"\x04\0\x01", b"\x04\0\0\x04\0\x03ab"] {
        assert_eq!(tail(wrong), Err(HeaderError::Tail), "{wrong:?}");
    }
    for wrong in [&b"\x03\0\0"[..], b"\x03\0\x03abc", b"\x03\0\x05abcde", b"\x03\0\x04\0\0\0\0"] {
        assert_eq!(tail(wrong), Err(HeaderError::Checksum), "{wrong:?}");
    }
}

#[test]
fn a_proxy_that_speaks_for_itself_names_nobody() {
    assert_eq!(parse(&header(0x20, 0x00, 0, &[])), Ok(Some((None, 16))));
    assert_eq!(parse(&header(0x20, 0xff, 3, b"abc")), Ok(Some((None, 19))));
    assert_eq!(parse(&header(0x21, 0x00, 3, b"abc")), Ok(Some((None, 19))));
}

#[test]
fn what_cannot_be_believed_is_told_apart() {
    assert_eq!(parse(b"GET / HTTP/1.1\r\n\r\n"), Err(HeaderError::Signature));
    assert_eq!(parse(b"PROXY TCP4 192.0.2.1 10.0.0.1 1 2\r\n"), Err(HeaderError::Signature));
    assert_eq!(parse(b"G"), Err(HeaderError::Signature));
    assert_eq!(parse(&header(0x11, 0x11, 0, &[])), Err(HeaderError::Command(0x11)));
    assert_eq!(parse(&header(0x22, 0x11, 0, &[])), Err(HeaderError::Command(0x22)));
    assert_eq!(parse(&header(0x21, 0x12, 0, &[])), Err(HeaderError::Family(0x12)));
    assert_eq!(parse(&header(0x21, 0x31, 0, &[])), Err(HeaderError::Family(0x31)));
    assert_eq!(parse(&header(0x21, 0x11, 11, &[0; 11])), Err(HeaderError::Short(11)));
    assert_eq!(parse(&header(0x21, 0x21, 35, &[0; 35])), Err(HeaderError::Short(35)));
    assert_eq!(parse(&header(0x21, 0x11, 4097, &[])), Err(HeaderError::Length(4097)));
    for length in 0..28 {
        let whole = header(0x21, 0x11, 12, &[0; 12]);
        assert_eq!(parse(&whole[..length]), Ok(None), "{length}");
    }
}
