//! Whom a client trusts, and what it offers to speak.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::{CertificateError, ClientConfig, Error, RootCertStore};

use crate::run::StartError;
use crate::scenario::{Behaviour, Protocol, Target, read_bytes};

mod insecure;

/// What is needed to begin TLS on a connection.
pub(crate) struct Tls {
    pub(crate) connector: TlsConnector,
    pub(crate) name: ServerName<'static>,
}

impl Tls {
    pub(crate) fn new(target: &Target, behaviour: &Behaviour) -> Result<Tls, StartError> {
        let name = ServerName::try_from(target.host.clone())
            .map_err(|_| StartError::ServerName { host: target.host.clone() })?;
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .expect("ring speaks the versions that rustls takes for safe");
        let mut config = if behaviour.insecure {
            builder
                .dangerous()
                .with_custom_certificate_verifier(insecure::anybody(provider))
                .with_no_client_auth()
        } else {
            let roots = match &behaviour.ca_file {
                Some(file) => of_file(file)?,
                None => of_system()?,
            };
            builder.with_root_certificates(roots).with_no_client_auth()
        };
        let protocol: &[u8] = match behaviour.protocol {
            Protocol::Http1 => b"http/1.1",
            Protocol::Http2 => b"h2",
        };
        config.alpn_protocols = vec![protocol.to_vec()];
        Ok(Tls { connector: TlsConnector::from(Arc::new(config)), name })
    }
}

/// Why there is no agreement, in words that are the same for every connection: rustls tells how
/// many seconds ago a certificate has expired.
pub(crate) fn words(error: &io::Error) -> String {
    let why = error.get_ref().and_then(|why| why.downcast_ref());
    match why {
        Some(Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        )) => "TLS: the certificate has expired".to_owned(),
        Some(Error::InvalidCertificate(
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
        )) => "TLS: the certificate is not valid yet".to_owned(),
        _ => format!("TLS: {error}"),
    }
}

/// Whether certificates can be read from a file; if not, why, so that it is told before a load.
pub(crate) fn check_trust(file: &Path) -> Result<(), String> {
    roots(file).map(drop)
}

fn of_file(file: &Path) -> Result<RootCertStore, StartError> {
    roots(file).map_err(|why| StartError::Trust { what: file.display().to_string(), why })
}

/// All certificates that a bundle of a system has are less than half of it.
const TRUST_BYTES_MAX: u64 = 1 << 20;

fn roots(file: &Path) -> Result<RootCertStore, String> {
    let pem =
        read_bytes(file, TRUST_BYTES_MAX).map_err(|error| format!("cannot be read: {error}"))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| format!("is no PEM: {error}"))?;
        roots.add(certificate).map_err(|error| format!("holds what is no certificate: {error}"))?;
    }
    if roots.is_empty() {
        return Err("there is no certificate in it".to_owned());
    }
    Ok(roots)
}

fn of_system() -> Result<RootCertStore, StartError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let why = match found.errors.first() {
            Some(error) => error.to_string(),
            None => "there are none".to_owned(),
        };
        return Err(StartError::Trust { what: "the system's certificates".to_owned(), why });
    }
    Ok(roots)
}

/// Every provider of cryptography is handed in, none is taken from the process.
type Provider = Arc<CryptoProvider>;
