//! Which certificate a client gets: the first that holds for the name it asks for and whose key
//! signs in a way that the client understands.

use std::sync::Arc;

use rustls::SignatureScheme;
use rustls::client::verify_server_name;
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::ServerName;

/// Every certificate of the server with its key, the one for those who ask for none of their
/// names first. At least one.
#[derive(Debug)]
pub(crate) struct Certificates(Vec<Arc<CertifiedKey>>);

impl Certificates {
    pub(super) fn new(pairs: Vec<Arc<CertifiedKey>>) -> Certificates {
        Certificates(pairs)
    }

    /// Whether any of them holds for the name.
    pub(crate) fn hold_for(&self, name: &ServerName<'_>) -> bool {
        self.0.iter().any(|pair| holds_for(pair, name))
    }

    fn choose(&self, name: Option<&str>, schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let can_sign = |pair: &&Arc<CertifiedKey>| pair.key.choose_scheme(schemes).is_some();
        let name = name.and_then(|name| ServerName::try_from(name).ok());
        let named = name
            .and_then(|name| self.0.iter().filter(can_sign).find(|pair| holds_for(pair, &name)));
        // Whoever asks for another name gets a certificate that is not for it, and says so to its
        // user: that tells more than a handshake that ends without a word. The same certificate
        // may exist with two kinds of keys, so the first that works is taken and not the first.
        named.or_else(|| self.0.iter().find(can_sign)).cloned()
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.choose(hello.server_name(), hello.signature_schemes())
    }
}

/// Asks the certificate itself, with the rules by which a client asks it (RFC 6125): so wildcards
/// mean here what they mean there. It takes a microsecond or two.
fn holds_for(pair: &CertifiedKey, name: &ServerName<'_>) -> bool {
    let certificate = pair.end_entity_cert().and_then(ParsedCertificate::try_from);
    certificate.is_ok_and(|certificate| verify_server_name(&certificate, name).is_ok())
}

#[cfg(test)]
mod tests {
    use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, SignatureAlgorithm};
    use rustls::crypto::ring;
    use rustls_pki_types::PrivateKeyDer;

    use super::*;

    const ALL: &[SignatureScheme] =
        &[SignatureScheme::ECDSA_NISTP256_SHA256, SignatureScheme::ED25519];

    fn pair(names: &[&str], algorithm: &'static SignatureAlgorithm) -> Arc<CertifiedKey> {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let signed = rcgen::CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
        let private = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let chain = vec![signed.der().clone()];
        let provider = ring::default_provider();
        Arc::new(CertifiedKey::from_der(chain, private, &provider).unwrap())
    }

    /// Which of the certificates that is.
    fn chosen(pairs: &Certificates, name: Option<&str>, schemes: &[SignatureScheme]) -> usize {
        let chosen = pairs.choose(name, schemes).unwrap();
        pairs.0.iter().position(|pair| Arc::ptr_eq(pair, &chosen)).unwrap()
    }

    #[test]
    fn the_name_chooses_and_wildcards_mean_one_label() {
        let pairs = Certificates::new(vec![
            pair(&["a.example"], &PKCS_ECDSA_P256_SHA256),
            pair(&["b.example", "*.b.example"], &PKCS_ECDSA_P256_SHA256),
        ]);
        assert_eq!(chosen(&pairs, Some("a.example"), ALL), 0);
        assert_eq!(chosen(&pairs, Some("b.example"), ALL), 1);
        assert_eq!(chosen(&pairs, Some("WWW.b.example"), ALL), 1);
        assert_eq!(chosen(&pairs, Some("x.www.b.example"), ALL), 0, "a wildcard is one label");
        assert_eq!(chosen(&pairs, Some("elsewhere.example"), ALL), 0);
        assert_eq!(chosen(&pairs, None, ALL), 0);
        let holds = |name: &str| pairs.hold_for(&ServerName::try_from(name.to_owned()).unwrap());
        assert!(holds("b.example") && holds("www.b.example"));
        assert!(!holds("elsewhere.example") && !holds("127.0.0.1"));
    }

    #[test]
    fn of_two_for_a_name_the_first_that_the_client_understands_is_taken() {
        let pairs = Certificates::new(vec![
            pair(&["a.example"], &PKCS_ED25519),
            pair(&["a.example"], &PKCS_ECDSA_P256_SHA256),
        ]);
        assert_eq!(chosen(&pairs, Some("a.example"), ALL), 0);
        let old = &[SignatureScheme::ECDSA_NISTP256_SHA256];
        assert_eq!(chosen(&pairs, Some("a.example"), old), 1);
        assert_eq!(chosen(&pairs, None, old), 1);
        assert!(pairs.choose(None, &[SignatureScheme::RSA_PKCS1_SHA256]).is_none());
    }
}
