//! Who asks: the address that limits and logs go by, and the certificate that was shown.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::request::Parts;
use rustls_pki_types::CertificateDer;

use crate::extract::Within;
use crate::respond::Error;

/// What is known of the other end of a connection.
#[derive(Debug)]
pub(crate) struct Peer {
    /// Who connected, or whom a trusted proxy introduced.
    pub(crate) address: IpAddr,
    /// The certificate that it showed, if it was asked for one.
    pub(crate) certificate: Option<CertificateDer<'static>>,
}

/// Who asks. Handlers may have it as an argument.
#[derive(Clone, Debug)]
pub struct Caller {
    pub(crate) address: IpAddr,
    pub(crate) peer: Arc<Peer>,
}

impl Caller {
    /// Its address: that of the connection, unless a proxy of `server.proxies` tells another.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// The certificate that the other end of the connection showed and that an authority of
    /// `server.tls_client_authorities` signed; nothing where none was asked for or shown.
    pub fn certificate(&self) -> Option<&CertificateDer<'static>> {
        self.peer.certificate.as_ref()
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Caller, Error> {
        Within::of(parts).map(|within| within.caller.clone())
    }
}
