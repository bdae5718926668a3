//! Until when certificates are good: the one thing about them that goes wrong by itself.

use std::time::{Duration, SystemTime};

use rustls::sign::CertifiedKey;
use x509_cert::Certificate;
use x509_cert::der::Decode;

/// Until when a certificate is good, as a time since 1970; nothing if it does not say so in a way
/// that can be read, which no client could read either.
pub(super) fn expires(pair: &CertifiedKey) -> Option<Duration> {
    let certificate = Certificate::from_der(pair.end_entity_cert().ok()?).ok()?;
    Some(certificate.tbs_certificate.validity.not_after.to_unix_duration())
}

/// Whether that is over.
pub(super) fn is_over(expires: Duration) -> bool {
    SystemTime::UNIX_EPOCH.elapsed().is_ok_and(|now| now > expires)
}
