//! The address of a service, taken apart.

use http::Uri;

/// Where a service is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Whether it speaks TLS: `https`.
    pub tls: bool,
    /// Its name or address; an IPv6 address without its brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
}

/// Why a text is no address of a service.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{url:?} {why}: an address such as http://127.0.0.1:8080/products is needed")]
pub struct TargetError {
    /// What was given.
    pub url: String,
    why: String,
}

impl Target {
    /// Takes an address apart; the second part is its path and query.
    ///
    /// # Errors
    /// When it is not an address of HTTP, or names a user.
    pub fn parse(url: &str) -> Result<(Target, String), TargetError> {
        let wrong = |why: &str| TargetError { url: url.to_owned(), why: why.to_owned() };
        let uri: Uri = url.parse().map_err(|error| wrong(&format!("is no URL ({error})")))?;
        let tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            Some(other) => return Err(wrong(&format!("has the scheme {other}"))),
            None => return Err(wrong("has no scheme")),
        };
        let authority = uri.authority().ok_or_else(|| wrong("has no host"))?;
        if authority.as_str().contains('@') {
            return Err(wrong("names a user"));
        }
        let port = match (uri.port(), tls) {
            (Some(port), _) => port.as_u16(),
            // Without this a port of 99999 would be none, and so the scheme's.
            (None, _) if authority.as_str().len() > authority.host().len() => {
                return Err(wrong("has a port that is no number from 1 to 65535"));
            }
            (None, false) => 80,
            (None, true) => 443,
        };
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() || port == 0 {
            return Err(wrong("has no host or no port"));
        }
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        Ok((Target { tls, host, port }, origin_form(path)))
    }

    /// The scheme: `http` or `https`.
    pub fn scheme(&self) -> &'static str {
        if self.tls { "https" } else { "http" }
    }

    /// Host and port as a `host` header has them: without the port that the scheme implies.
    pub fn authority(&self) -> String {
        let host = match self.host.contains(':') {
            true => format!("[{}]", self.host),
            false => self.host.clone(),
        };
        match (self.tls, self.port) {
            (false, 80) | (true, 443) => host,
            (_, port) => format!("{host}:{port}"),
        }
    }

    /// The address without a path.
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme(), self.authority())
    }
}

/// Path and query as they are sent (RFC 9112, 3.2.1): never without a path, and in ASCII.
fn origin_form(path: &str) -> String {
    let mut sent = String::with_capacity(path.len() + 1);
    if !path.starts_with('/') {
        sent.push('/');
    }
    for byte in path.bytes() {
        match byte {
            b'!'..=b'~' => sent.push(char::from(byte)),
            other => sent.push_str(&format!("%{other:02X}")),
        }
    }
    sent
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart_and_put_together() {
        let cases = [
            ("http://127.0.0.1:8080/a?b=c", "http://127.0.0.1:8080", "/a?b=c"),
            ("https://shop.example", "https://shop.example", "/"),
            ("https://shop.example:443/x", "https://shop.example", "/x"),
            ("http://[::1]:8080/", "http://[::1]:8080", "/"),
            ("http://[::1]", "http://[::1]", "/"),
            ("http://a:65535?q=1", "http://a:65535", "/?q=1"),
            ("http://a/m\u{fc}ll?q=\u{20ac}%20", "http://a", "/m%C3%BCll?q=%E2%82%AC%20"),
            ("http://a/b#c", "http://a", "/b"),
        ];
        for (url, together, path) in cases {
            let (target, found) = Target::parse(url).unwrap();
            assert_eq!((target.url().as_str(), found.as_str()), (together, path));
        }
    }

    #[test]
    fn what_is_no_address_is_told() {
        let cases = [
            ("127.0.0.1:8080", "no scheme"),
            ("ftp://a/b", "the scheme ftp"),
            ("http://", "no URL"),
            ("/path", "no scheme"),
            ("http://me@here/", "names a user"),
            ("http://a:0/", "no port"),
            ("http://127.0.0.1:99999/", "no number from 1 to 65535"),
            ("http://127.0.0.1:65536", "no number from 1 to 65535"),
            ("http://127.0.0.1:/", "no number from 1 to 65535"),
            ("http://[::1]:99999/", "no number from 1 to 65535"),
            ("", "no URL"),
        ];
        for (url, why) in cases {
            let error = Target::parse(url).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
            assert!(error.contains("http://127.0.0.1:8080/products"));
        }
    }
}
