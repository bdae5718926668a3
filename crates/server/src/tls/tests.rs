//! Each way in which the two files can be wrong says which file and what is wrong with it.

use std::path::PathBuf;

use rcgen::CertifiedKey;
use tempfile::TempDir;

use tenfold_telemetry::metrics::Registry;

use super::*;
use crate::settings::ServerSettings;

struct Files {
    folder: TempDir,
    certificate: String,
    key: String,
}

fn files() -> Files {
    let CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    Files { folder, certificate: cert.pem(), key: signing_key.serialize_pem() }
}

/// What is said of these two texts; empty if it takes them.
fn check(files: &Files, certificate: Option<&str>, key: Option<&str>) -> String {
    let write = |name: &str, text: Option<&str>| -> Option<PathBuf> {
        let path = files.folder.path().join(name);
        std::fs::write(&path, text?).unwrap();
        Some(path)
    };
    let settings = ServerSettings {
        tls_certificate: write("certificate.pem", certificate),
        tls_key: write("key.pem", key),
        ..ServerSettings::default()
    };
    Tls::load(&settings, &Registry::new()).err().map(|error| error.to_string()).unwrap_or_default()
}

#[test]
fn a_pair_is_taken_and_neither_is_cleartext() {
    let files = files();
    assert_eq!(check(&files, Some(&files.certificate), Some(&files.key)), "");
    assert!(Tls::load(&ServerSettings::default(), &Registry::new()).unwrap().is_none());
}

#[test]
fn one_alone_names_the_other() {
    let files = files();
    let said = check(&files, Some(&files.certificate), None);
    assert!(said.contains("server.tls_certificate is set and server.tls_key is not"), "{said}");
    let said = check(&files, None, Some(&files.key));
    assert!(said.contains("server.tls_key is set and server.tls_certificate is not"), "{said}");
}

#[test]
fn swapped_files_name_what_is_missing() {
    let files = files();
    let said = check(&files, Some(&files.key), Some(&files.certificate));
    assert!(said.contains("certificate.pem holds no certificate"), "{said}");
    let said = check(&files, Some(&files.certificate), Some(&files.certificate));
    assert!(said.contains("key.pem holds no private key"), "{said}");
}

#[test]
fn a_key_of_another_certificate_is_refused() {
    let (ours, other) = (files(), files());
    let said = check(&ours, Some(&ours.certificate), Some(&other.key));
    assert!(said.contains("cannot be used together"), "{said}");
}

#[test]
fn half_a_file_is_no_pem() {
    let files = files();
    let half = &files.certificate[..files.certificate.len() / 2];
    let said = check(&files, Some(half), Some(&files.key));
    assert!(said.contains("certificate.pem is not PEM"), "{said}");
}

#[test]
fn a_missing_file_is_named() {
    let settings = ServerSettings {
        tls_certificate: Some("/nowhere/certificate.pem".into()),
        tls_key: Some("/nowhere/key.pem".into()),
        ..ServerSettings::default()
    };
    let said = Tls::load(&settings, &Registry::new()).err().unwrap().to_string();
    assert!(said.starts_with("cannot read /nowhere/certificate.pem: "), "{said}");
}
