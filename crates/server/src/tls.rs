//! A certificate and its key become what a handshake needs; every way in which the two files
//! can be wrong is told apart before the port opens.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::settings::ServerSettings;

/// Why the port cannot speak TLS.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// One of the two settings stands alone.
    #[error("server.{given} is set and server.{missing} is not: TLS needs both, cleartext neither")]
    Halfway {
        /// The key that is set.
        given: &'static str,
        /// The key that is not.
        missing: &'static str,
    },
    /// A file cannot be read.
    #[error("cannot read {}: {cause}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// A file is no PEM.
    #[error("{} is not PEM: {cause}", path.display())]
    NotPem {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: pem::Error,
    },
    /// A file is PEM and does not hold what it should.
    #[error("{} holds no {wanted}: a PEM section \"BEGIN {section}\" is needed", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        wanted: &'static str,
        /// The section that would hold it.
        section: &'static str,
    },
    /// The two files do not belong together, or hold something that cannot be used.
    #[error(
        "the certificate in {} and the key in {} cannot be used together: {cause}",
        certificate.display(),
        key.display()
    )]
    Unusable {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What rustls says.
        cause: rustls::Error,
    },
}

/// What the settings ask for; nothing if they ask for cleartext.
pub(crate) fn config(settings: &ServerSettings) -> Result<Option<Arc<ServerConfig>>, TlsError> {
    let (certificate, key) = match (&settings.tls_certificate, &settings.tls_key) {
        (Some(certificate), Some(key)) => (certificate, key),
        (None, None) => return Ok(None),
        (Some(_), None) => {
            return Err(TlsError::Halfway { given: "tls_certificate", missing: "tls_key" });
        }
        (None, Some(_)) => {
            return Err(TlsError::Halfway { given: "tls_key", missing: "tls_certificate" });
        }
    };
    let chain = read_chain(certificate)?;
    let private_key = read_key(key)?;
    let unusable =
        |cause| TlsError::Unusable { certificate: certificate.clone(), key: key.clone(), cause };
    // The provider by name: with a second one linked in, asking for the default would panic.
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_no_client_auth()
        .with_single_cert(chain, private_key)
        .map_err(unusable)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Some(Arc::new(config)))
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = read(path)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let chain = chain.map_err(|cause| TlsError::NotPem { path: path.to_owned(), cause })?;
    if chain.is_empty() {
        let (wanted, section) = ("certificate", "CERTIFICATE");
        return Err(TlsError::Missing { path: path.to_owned(), wanted, section });
    }
    Ok(chain)
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(&read(path)?).map_err(|cause| match cause {
        pem::Error::NoItemsFound => TlsError::Missing {
            path: path.to_owned(),
            wanted: "private key",
            section: "PRIVATE KEY",
        },
        cause => TlsError::NotPem { path: path.to_owned(), cause },
    })
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|cause| TlsError::Unreadable { path: path.to_owned(), cause })
}

#[cfg(test)]
mod tests;
