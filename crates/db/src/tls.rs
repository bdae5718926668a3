//! How a connection to Postgres is encrypted, and whom it takes for Postgres: libpq's five
//! modes, on rustls.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::{ClientConfig, Error as RustlsError, RootCertStore};
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_postgres_rustls::MakeRustlsConnect;

mod kept;
mod verify;

pub(crate) use kept::KeptTls;
use verify::{Trust, Verifier};

tenfold_config::words! {
    /// How much a connection to Postgres asks of TLS, in libpq's words.
    pub enum SslMode {
        /// None of it: everybody on the way reads along.
        Disable = "disable",
        /// If Postgres offers it; whoever is on the way can talk both sides out of it.
        Prefer = "prefer",
        /// Encrypted, to whoever answers.
        Require = "require",
        /// Encrypted, to a certificate of an authority that one trusts.
        VerifyCa = "verify-ca",
        /// Encrypted, to a certificate of such an authority for the host's very name.
        VerifyFull = "verify-full",
    }
}

/// The word that stands for the authorities which the machine trusts.
const SYSTEM: &str = "system";

/// What the protocol is called where a server has several: Postgres 17 asks for it.
const PROTOCOL: &[u8] = b"postgresql";

/// What was asked for, before any file has been read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TlsWishes {
    pub(crate) mode: SslMode,
    pub(crate) root_certificates: Option<PathBuf>,
    pub(crate) certificate: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
}

/// Why connections cannot be encrypted as the settings say.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    #[error("database.{setting}: cannot read {}: {cause}", path.display())]
    Unreadable { setting: &'static str, path: PathBuf, cause: std::io::Error },
    #[error("database.{setting}: {} is not PEM: {cause}", path.display())]
    NotPem { setting: &'static str, path: PathBuf, cause: pem::Error },
    #[error(
        "database.{setting}: {} holds no {wanted}: a PEM section \"BEGIN {section}\" is needed",
        path.display()
    )]
    Missing { setting: &'static str, path: PathBuf, wanted: &'static str, section: &'static str },
    #[error("database.sslrootcert: {} holds a certificate that is none: {cause}", path.display())]
    NotCertificate { path: PathBuf, cause: RustlsError },
    #[error(
        "database.sslrootcert: this machine names no authorities that it trusts ({why}): install \
         its package of CA certificates, or name a file"
    )]
    NoAuthorities { why: String },
    #[error(
        "database.sslcert and database.sslkey: the certificate in {} and the key in {} cannot be \
         used together: {cause}",
        certificate.display(),
        key.display()
    )]
    Unusable { certificate: PathBuf, key: PathBuf, cause: RustlsError },
}

/// Everything that a handshake needs.
#[derive(Clone)]
pub(crate) struct Tls {
    pub(crate) mode: SslMode,
    pub(crate) connect: MakeRustlsConnect,
    /// Whom the certificate has to come from, for messages.
    pub(crate) authorities: String,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("mode", &self.mode).finish_non_exhaustive()
    }
}

impl TlsWishes {
    /// The setting that contradicts the others, and how its message goes on after its name.
    pub(crate) fn contradiction(&self) -> Option<(&'static str, String)> {
        let mode = self.mode.word();
        match (self.root_certificates.as_deref(), self.mode) {
            (Some(_), SslMode::Disable | SslMode::Prefer) => {
                let message = format!(
                    "would not be looked at with sslmode={mode}: choose verify-full, or verify-ca \
                     where the host's name is not in the certificate"
                );
                return Some(("sslrootcert", message));
            }
            (Some(roots), SslMode::Require | SslMode::VerifyCa) if is_system(roots) => {
                let message = format!(
                    "is `system` with sslmode={mode}: anybody has a certificate of one of these \
                     authorities, so that only verify-full, which looks at the name, means anything"
                );
                return Some(("sslrootcert", message));
            }
            (None, SslMode::VerifyCa) => {
                let message = "is missing: sslmode=verify-ca needs the file of an authority";
                return Some(("sslrootcert", message.to_owned()));
            }
            _ => {}
        }
        match (&self.certificate, &self.key) {
            (Some(_), None) => Some(("sslkey", "is missing: sslcert is set".to_owned())),
            (None, Some(_)) => Some(("sslcert", "is missing: sslkey is set".to_owned())),
            (Some(_), Some(_)) if self.mode == SslMode::Disable => {
                Some(("sslcert", "is of no use with sslmode=disable".to_owned()))
            }
            _ => None,
        }
    }

    /// Reads the files.
    pub(crate) fn read(&self) -> Result<Tls, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let (trust, authorities) = self.trust()?;
        let verifier = Verifier {
            trust,
            checks_name: self.mode == SslMode::VerifyFull,
            provider: Arc::clone(&provider),
        };
        // The provider by name: with a second one linked in, asking for the default would panic.
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring speaks the versions that rustls takes for safe")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => config
                .with_client_auth_cert(
                    certificates("sslcert", certificate)?,
                    private_key("sslkey", key)?,
                )
                .map_err(|cause| TlsError::Unusable {
                    certificate: certificate.clone(),
                    key: key.clone(),
                    cause,
                })?,
            _ => config.with_no_client_auth(),
        };
        config.alpn_protocols = vec![PROTOCOL.to_vec()];
        Ok(Tls { mode: self.mode, connect: MakeRustlsConnect::new(config), authorities })
    }

    /// Whom to take for Postgres, and how a message names that.
    fn trust(&self) -> Result<(Trust, String), TlsError> {
        match (self.root_certificates.as_deref(), self.mode) {
            (_, SslMode::Disable | SslMode::Prefer) | (None, SslMode::Require) => {
                Ok((Trust::Anybody, String::new()))
            }
            (Some(file), _) if !is_system(file) => {
                let known = certificates("sslrootcert", file)?;
                let mut roots = RootCertStore::empty();
                for certificate in &known {
                    roots.add(certificate.clone()).map_err(|cause| TlsError::NotCertificate {
                        path: file.to_owned(),
                        cause,
                    })?;
                }
                Ok((Trust::Authorities { roots, known }, file.display().to_string()))
            }
            _ => {
                let found = rustls_native_certs::load_native_certs();
                let mut roots = RootCertStore::empty();
                roots.add_parsable_certificates(found.certs);
                if roots.is_empty() {
                    let why = found.errors.first().map(ToString::to_string);
                    let why = why.unwrap_or_else(|| "it has none".to_owned());
                    return Err(TlsError::NoAuthorities { why });
                }
                let known = Vec::new();
                let authorities = "the authorities that this machine trusts".to_owned();
                Ok((Trust::Authorities { roots, known }, authorities))
            }
        }
    }
}

fn is_system(roots: &Path) -> bool {
    roots.as_os_str() == SYSTEM
}

fn certificates(
    setting: &'static str,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = read(setting, path)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let chain =
        chain.map_err(|cause| TlsError::NotPem { setting, path: path.to_owned(), cause })?;
    if chain.is_empty() {
        let (wanted, section) = ("certificate", "CERTIFICATE");
        return Err(TlsError::Missing { setting, path: path.to_owned(), wanted, section });
    }
    Ok(chain)
}

fn private_key(setting: &'static str, path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let text = read(setting, path)?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|cause| match cause {
        pem::Error::NoItemsFound => TlsError::Missing {
            setting,
            path: path.to_owned(),
            wanted: "private key",
            section: "PRIVATE KEY",
        },
        cause => TlsError::NotPem { setting, path: path.to_owned(), cause },
    })
}

fn read(setting: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    let unreadable = |cause| TlsError::Unreadable { setting, path: path.to_owned(), cause };
    std::fs::read(path).map_err(unreadable)
}
