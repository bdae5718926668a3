//! What addresses of servers mean, and which are refused.

use super::*;
use tenfold_config::Secret;

fn read(url: &str, change: impl FnOnce(&mut DatabaseSettings)) -> Result<Address, String> {
    let mut settings =
        DatabaseSettings { url: Some(Secret::new(url)), ..DatabaseSettings::default() };
    change(&mut settings);
    Address::read(&settings).map_err(|error| error.to_string())
}

fn servers_of(url: &str) -> Vec<String> {
    read(url, |_| {}).unwrap().servers.iter().map(ToString::to_string).collect()
}

fn refusal(url: &str, change: impl FnOnce(&mut DatabaseSettings)) -> String {
    read(url, change).expect_err(url)
}

#[test]
fn hosts_and_ports_are_paired() {
    assert_eq!(servers_of("postgres://a,b:5433/x"), ["a:5432", "b:5433"]);
    assert_eq!(servers_of("postgres:///x?host=a,b&port=6432"), ["a:6432", "b:6432"]);
    assert_eq!(servers_of("postgres:///x?host=/run/a,b"), ["/run/a:5432", "b:5432"]);
    assert_eq!(servers_of("postgres:///x?hostaddr=127.0.0.1"), ["127.0.0.1:5432"]);
    assert!(refusal("postgres:///x", |_| {}).contains("names no host"));
    assert!(refusal("postgres:///x?host=a,b,c&port=1,2", |_| {}).contains("3 hosts and 2 ports"));
    let url = "postgres:///x?host=a&hostaddr=127.0.0.1,127.0.0.2";
    assert!(refusal(url, |_| {}).contains("1 host and 2 hostaddr"));
}

#[test]
fn what_is_ours_is_taken_out_and_the_rest_reaches_the_driver() {
    let url = "postgres://me:secret@a/x?sslmode=verify-full&application_name=it\
               &target_session_attrs=prefer-standby&sslrootcert=%2Fa%20b.pem&channel_binding=require";
    let address = read(url, |_| {}).unwrap();
    assert_eq!(address.tls.mode, SslMode::VerifyFull);
    assert_eq!(address.tls.root_certificates.as_deref(), Some("/a b.pem".as_ref()));
    assert_eq!(address.target, TargetSessionAttrs::PreferStandby);
    assert_eq!(address.session.get_application_name(), Some("it"));
    assert_eq!(address.session.get_password(), Some(&b"secret"[..]));
    assert_eq!(
        address.session.get_channel_binding(),
        tokio_postgres::config::ChannelBinding::Require
    );
    assert!(address.session.get_hosts().is_empty());
}

#[test]
fn a_question_mark_in_a_password_begins_no_parameters() {
    let address = read("postgres://me:why?sslmode=x@a/x?sslmode=require", |_| {}).unwrap();
    assert_eq!(address.session.get_password(), Some(&b"why?sslmode=x"[..]));
    assert_eq!(address.tls.mode, SslMode::Require);
    let address = read("postgres:///x?host=a&sslmode=require&user=me%40home", |_| {}).unwrap();
    assert_eq!(address.session.get_user(), Some("me@home"));
    assert_eq!(address.tls.mode, SslMode::Require);
}

#[test]
fn words_that_mean_nothing_are_refused_with_those_that_do() {
    let said = refusal("postgres://a/x?sslmode=verify", |_| {});
    assert!(said.contains("sslmode=verify") && said.contains("verify-full"), "{said}");
    let said = refusal("postgres://a/x?target_session_attrs=master", |_| {});
    assert!(said.contains("primary"), "{said}");
    let said = refusal("postgres://a/x?pgbouncer=true", |_| {});
    assert!(said.contains("database.url") && said.contains("pgbouncer"), "{said}");
    assert!(refusal("mysql://a/x", |_| {}).contains("is no Postgres URL"));
}

#[test]
fn a_refusal_never_shows_the_password() {
    let said = refusal("postgres://me:hunter2@a/x?sslmode=maybe&what=ever", |_| {});
    assert!(!said.contains("hunter2"), "{said}");
    let said = refusal("postgres://me:hunter2@a/x?what=ever", |_| {});
    assert!(!said.contains("hunter2"), "{said}");
}

#[test]
fn the_setting_and_the_url_may_not_differ() {
    let url = "postgres://a/x?sslmode=require";
    let said = refusal(url, |settings| settings.sslmode = Some(SslMode::VerifyFull));
    assert_eq!(said, "database.sslmode is \"verify-full\", while the URL says \"require\"");
    let same = read(url, |settings| settings.sslmode = Some(SslMode::Require)).unwrap();
    assert_eq!(same.tls.mode, SslMode::Require);
    let alone =
        read("postgres://a/x", |settings| settings.sslmode = Some(SslMode::Disable)).unwrap();
    assert_eq!(alone.tls.mode, SslMode::Disable);
    assert_eq!(read("postgres://a/x", |_| {}).unwrap().tls.mode, SslMode::Prefer);
}

#[test]
fn wishes_that_cannot_be_met_together_are_refused() {
    for (parameters, setting) in [
        ("sslrootcert=/ca.pem", "sslrootcert"),
        ("sslmode=disable&sslrootcert=/ca.pem", "sslrootcert"),
        ("sslmode=require&sslrootcert=system", "sslrootcert"),
        ("sslmode=verify-ca&sslrootcert=system", "sslrootcert"),
        ("sslmode=verify-ca", "sslrootcert"),
        ("sslmode=verify-full&sslcert=/me.pem", "sslkey"),
        ("sslkey=/me.key", "sslcert"),
        ("sslmode=disable&sslcert=/me.pem&sslkey=/me.key", "sslcert"),
    ] {
        let said = refusal(&format!("postgres://a/x?{parameters}"), |_| {});
        assert!(said.starts_with(&format!("database.{setting} ")), "{parameters}: {said}");
    }
    for parameters in [
        "sslmode=verify-full",
        "sslmode=verify-full&sslrootcert=system",
        "sslmode=require&sslrootcert=/ca.pem",
        "sslcert=/me.pem&sslkey=/me.key",
    ] {
        read(&format!("postgres://a/x?{parameters}"), |_| {}).expect(parameters);
    }
}
