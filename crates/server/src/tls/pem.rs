//! Takes certificates and keys out of PEM files.

use std::path::Path;

use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::TlsError;

/// The certificates of a file, the server's own first.
pub(super) fn read_chain(
    path: &Path,
    text: &[u8],
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    let chain = chain.map_err(|cause| TlsError::NotPem { path: path.to_owned(), cause })?;
    if chain.is_empty() {
        let (wanted, section) = ("certificate", "CERTIFICATE");
        return Err(TlsError::Missing { path: path.to_owned(), wanted, section });
    }
    Ok(chain)
}

/// The private key of a file.
pub(super) fn read_key(path: &Path, text: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(text).map_err(|cause| match cause {
        pem::Error::NoItemsFound => TlsError::Missing {
            path: path.to_owned(),
            wanted: "private key",
            section: "PRIVATE KEY",
        },
        cause => TlsError::NotPem { path: path.to_owned(), cause },
    })
}

/// A whole file.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|cause| TlsError::Unreadable { path: path.to_owned(), cause })
}
