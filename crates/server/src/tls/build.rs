//! Files become what a handshake needs. Everything is read and checked here, so that a set of
//! files is taken whole or not at all.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::{CryptoProvider, ring};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ParsedCertificate, ServerSessionMemoryCache, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};

use super::expiry;
use super::names::Certificates;
use super::pem::{read, read_chain, read_key};
use super::{ClientCertificates, TlsError};
use crate::settings::ServerSettings;

/// Clients that come back with a session number instead of a ticket: only old ones on TLS 1.2.
const SESSIONS_MAX: usize = 1024;

/// Which files there are and what they are for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Files {
    /// Certificate and key; the one for unknown names first.
    pairs: Vec<(PathBuf, PathBuf)>,
    clients: ClientCertificates,
    /// Who signs certificates of clients.
    authorities: Option<PathBuf>,
}

/// What was made of the files of one moment.
pub(super) struct Built {
    pub(super) config: Arc<ServerConfig>,
    pub(super) certificates: Arc<Certificates>,
    /// What stood in each file, to tell afterwards what has changed.
    pub(super) prints: Vec<(PathBuf, u64)>,
    /// When the first of the certificates expires, as a time since 1970.
    pub(super) expires: Option<Duration>,
}

impl Files {
    /// What the settings ask for; nothing if they ask for cleartext.
    pub(super) fn of(settings: &ServerSettings) -> Result<Option<Files>, TlsError> {
        let first = match (&settings.tls_certificate, &settings.tls_key) {
            (Some(certificate), Some(key)) => (certificate.clone(), key.clone()),
            (None, None) => return nothing_needs_tls(settings),
            (Some(_), None) => {
                return Err(TlsError::Halfway { given: "tls_certificate", missing: "tls_key" });
            }
            (None, Some(_)) => {
                return Err(TlsError::Halfway { given: "tls_key", missing: "tls_certificate" });
            }
        };
        let (certificates, keys) = (&settings.tls_more_certificates, &settings.tls_more_keys);
        if certificates.len() != keys.len() {
            let (certificates, keys) = (certificates.len(), keys.len());
            return Err(TlsError::Uneven { certificates, keys });
        }
        let clients = settings.tls_clients;
        match (clients, &settings.tls_client_authorities) {
            (ClientCertificates::None, Some(_)) => return Err(TlsError::NobodyAsked),
            (ClientCertificates::Optional | ClientCertificates::Required, None) => {
                return Err(TlsError::NoAuthorities { clients: clients.word() });
            }
            _ => {}
        }
        let more = certificates.iter().cloned().zip(keys.iter().cloned());
        let pairs = std::iter::once(first).chain(more).collect();
        let authorities = settings.tls_client_authorities.clone();
        Ok(Some(Files { pairs, clients, authorities }))
    }

    /// Every file.
    pub(super) fn paths(&self) -> impl Iterator<Item = &Path> {
        let pairs = self.pairs.iter().flat_map(|(certificate, key)| [certificate, key]);
        pairs.chain(&self.authorities).map(PathBuf::as_path)
    }

    /// Reads and checks all of them. `before` is what was made of them last: a client whose
    /// session began then may go on with it.
    pub(super) fn build(&self, before: Option<&Built>) -> Result<Built, TlsError> {
        let mut reader = Reader::default();
        // The provider by name: with a second one linked in, asking for the default would panic.
        let provider = Arc::new(ring::default_provider());
        let mut pairs = Vec::new();
        let mut expires = None;
        for (certificate, key) in &self.pairs {
            let pair = pair(&mut reader, certificate, key, &provider)?;
            let until = expiry::expires(&pair);
            if until.is_some_and(expiry::is_over) {
                let path = certificate.clone();
                // What is there is better than that. At the start there is nothing else, and a
                // service with a certificate that some clients take is better than none.
                if before.is_some() {
                    return Err(TlsError::Expired { path });
                }
                tracing::warn!(certificate = %path.display(), "certificate has expired");
            }
            expires = [expires, until].into_iter().flatten().min();
            pairs.push(Arc::new(pair));
        }
        let certificates = Arc::new(Certificates::new(pairs));
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Other)?;
        let builder = match &self.authorities {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let verifier = self.verifier(&mut reader, path, provider)?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut config = builder.with_cert_resolver(certificates.clone());
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let prints = reader.prints;
        match before.filter(|before| self.trusts_the_same(&before.prints, &prints)) {
            Some(before) => {
                config.ticketer = before.config.ticketer.clone();
                config.session_storage = before.config.session_storage.clone();
            }
            // A session carries what was proved at its first handshake. So with other authorities
            // none of the old ones goes on.
            None => {
                // Sessions travel with the client, sealed with a key that changes every six hours
                // and is forgotten after twelve.
                config.ticketer = ring::Ticketer::new().map_err(TlsError::Other)?;
                config.session_storage = ServerSessionMemoryCache::new(SESSIONS_MAX);
            }
        }
        Ok(Built { config: Arc::new(config), certificates, prints, expires })
    }

    fn verifier(
        &self,
        reader: &mut Reader,
        path: &Path,
        provider: Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
        let unusable = |cause: String| TlsError::Authorities { path: path.to_owned(), cause };
        let mut roots = RootCertStore::empty();
        for authority in read_chain(path, &reader.read(path)?)? {
            roots.add(authority).map_err(|error| unusable(error.to_string()))?;
        }
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        let builder = match self.clients {
            ClientCertificates::Required => builder,
            ClientCertificates::Optional | ClientCertificates::None => {
                builder.allow_unauthenticated()
            }
        };
        builder.build().map_err(|error| unusable(error.to_string()))
    }

    fn trusts_the_same(&self, before: &[(PathBuf, u64)], now: &[(PathBuf, u64)]) -> bool {
        let print = |prints: &[(PathBuf, u64)]| {
            let authorities = self.authorities.as_ref()?;
            prints.iter().find(|(path, _)| path == authorities).map(|(_, print)| *print)
        };
        print(before) == print(now)
    }
}

/// Nothing, unless something is set that would not be done without TLS.
fn nothing_needs_tls(settings: &ServerSettings) -> Result<Option<Files>, TlsError> {
    let given = [
        ("tls_more_certificates", !settings.tls_more_certificates.is_empty()),
        ("tls_more_keys", !settings.tls_more_keys.is_empty()),
        ("tls_clients", settings.tls_clients != ClientCertificates::None),
        ("tls_client_authorities", settings.tls_client_authorities.is_some()),
        ("redirect_listen", settings.redirect_listen.is_some()),
    ];
    match given.into_iter().find(|(_, given)| *given) {
        Some((given, _)) => Err(TlsError::NoTls { given }),
        None => Ok(None),
    }
}

fn pair(
    reader: &mut Reader,
    certificate: &Path,
    key: &Path,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, TlsError> {
    let chain = read_chain(certificate, &reader.read(certificate)?)?;
    let private_key = read_key(key, &reader.read(key)?)?;
    let pair = CertifiedKey::from_der(chain, private_key, provider);
    // A certificate that rustls cannot read would hold for no name.
    let readable = pair.and_then(|pair| {
        ParsedCertificate::try_from(pair.end_entity_cert()?)?;
        Ok(pair)
    });
    readable.map_err(|cause| TlsError::Unusable {
        certificate: certificate.to_owned(),
        key: key.to_owned(),
        cause,
    })
}

/// Reads files and notes what stood in them.
#[derive(Default)]
struct Reader {
    prints: Vec<(PathBuf, u64)>,
}

impl Reader {
    fn read(&mut self, path: &Path) -> Result<Vec<u8>, TlsError> {
        let text = read(path)?;
        // Not kept as it is: a key has no business in memory twice.
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        self.prints.push((path.to_owned(), hasher.finish()));
        Ok(text)
    }
}
