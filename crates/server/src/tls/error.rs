//! Why the port cannot speak TLS: every way in which the files can be wrong is told apart, before
//! the port opens and at each exchange of them.

use std::io;
use std::path::PathBuf;

use rustls_pki_types::pem;

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
    /// Certificates and keys of further names do not pair.
    #[error(
        "server.tls_more_certificates has {certificates} files and server.tls_more_keys has {keys}: \
         each certificate needs its key at the same place"
    )]
    Uneven {
        /// How many certificates there are.
        certificates: usize,
        /// How many keys there are.
        keys: usize,
    },
    /// Clients shall show certificates, and nobody says which are good.
    #[error(
        "server.tls_clients is \"{clients}\" and server.tls_client_authorities is not set: it says \
         which certificates of clients are good"
    )]
    NoAuthorities {
        /// What is asked of clients.
        clients: &'static str,
    },
    /// Authorities for certificates of clients are named, and no client is asked for one.
    #[error(
        "server.tls_client_authorities is set and server.tls_clients is \"none\": set it to \
         \"optional\" or \"required\", or nobody would be checked"
    )]
    NobodyAsked,
    /// Something that only makes sense beside TLS is set without it.
    #[error(
        "server.{given} is set and server.tls_certificate is not: it makes sense with TLS only"
    )]
    NoTls {
        /// The key that is set.
        given: &'static str,
    },
    /// The authorities of clients' certificates cannot be used.
    #[error("the authorities in {} cannot be used: {cause}", path.display())]
    Authorities {
        /// The file.
        path: PathBuf,
        /// What rustls says.
        cause: String,
    },
    /// A certificate that was put in place of another is good no longer.
    #[error("the certificate in {} has expired", path.display())]
    Expired {
        /// The file.
        path: PathBuf,
    },
    /// Something that does not depend on any file.
    #[error("TLS does not work here: {0}")]
    Other(#[source] rustls::Error),
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
