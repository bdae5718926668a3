//! A certificate that is worth nothing outside a test, as files for a server and as trust for a
//! client.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

/// A self-signed certificate for `localhost` and 127.0.0.1, with its key, in a temporary folder
/// that goes with it.
#[derive(Debug)]
pub struct SelfSigned {
    folder: TempDir,
    certificate: CertificateDer<'static>,
}

impl SelfSigned {
    /// Makes the key, signs the certificate, writes both.
    ///
    /// # Errors
    /// When the files cannot be written.
    pub fn new() -> io::Result<SelfSigned> {
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let signed = rcgen::generate_simple_self_signed(names).map_err(io::Error::other)?;
        let folder = TempDir::with_prefix("tenfold-tls-")?;
        let made = SelfSigned { folder, certificate: signed.cert.der().clone() };
        std::fs::write(made.certificate(), signed.cert.pem())?;
        std::fs::write(made.key(), signed.signing_key.serialize_pem())?;
        Ok(made)
    }

    /// The certificate chain in PEM.
    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join("certificate.pem")
    }

    /// The private key in PEM.
    pub fn key(&self) -> PathBuf {
        self.folder.path().join("key.pem")
    }

    /// The folder of both, for files that belong to them.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Settings for a client that trusts this certificate alone and offers these protocols, best
    /// first (`h2`, `http/1.1`).
    pub fn client_config(&self, protocols: &[&str]) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).expect("a certificate made by rcgen can be trusted");
        let mut config =
            ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .expect("ring speaks the versions that rustls takes for safe")
                .with_root_certificates(roots)
                .with_no_client_auth();
        config.alpn_protocols =
            protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        Arc::new(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_pem_and_go_with_it() {
        let signed = SelfSigned::new().unwrap();
        let certificate = std::fs::read_to_string(signed.certificate()).unwrap();
        let key = std::fs::read_to_string(signed.key()).unwrap();
        assert!(certificate.starts_with("-----BEGIN CERTIFICATE-----"), "{certificate}");
        assert!(key.starts_with("-----BEGIN PRIVATE KEY-----"), "a key in PKCS #8");
        let folder = signed.folder().to_owned();
        drop(signed);
        assert!(!folder.exists());
    }
}
