//! Encrypted connections: each mode does what it says, and each way to fail names what is wrong.

use std::path::{Path, PathBuf};
use std::time::Duration;

use diesel::sql_types::{Bool, Integer};
use tempfile::TempDir;
use tenfold_config::Secret;
use tenfold_context::{Context, Deadline, Moment};
use tenfold_db::{Database, DatabaseSettings, Db, ShardDatabase, SslMode};
use tenfold_local::Postgres;
use tenfold_telemetry::metrics::Registry;

use crate::certificates::{Authority, Signed, self_signed_authority};
use crate::kit::{beside, postgres_on_tcp, sleep_ten_seconds};

/// Who gets in over TCP, and how: `scram` by password, `certified` by certificate.
const ACCESS: &str = "
    local all all trust
    hostssl all scram all scram-sha-256
    hostssl all certified all cert
    host all postgres all trust";

/// A Postgres that speaks TLS, and files for those who want to talk to it.
struct Secured {
    postgres: Postgres,
    port: u16,
    folder: TempDir,
}

impl Secured {
    /// With that certificate; it takes certificates of users that `authority` has signed.
    async fn start(server: &Signed, authority: &Authority) -> Secured {
        let (postgres, port) = postgres_on_tcp();
        let mut secured = Secured { postgres, port, folder: TempDir::new().unwrap() };
        secured.put("server.crt", &server.certificate);
        secured.put("server.key", &server.key);
        secured.put("users.crt", &authority.certificate);
        secured.put("pg_hba.conf", ACCESS);
        let url = secured.postgres.url();
        let (client, connection) =
            tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        for statement in [
            "CREATE ROLE scram LOGIN PASSWORD 'secret'",
            "CREATE ROLE certified LOGIN",
            "ALTER SYSTEM SET ssl = on",
            "ALTER SYSTEM SET ssl_ca_file = 'users.crt'",
        ] {
            client.batch_execute(statement).await.unwrap();
        }
        drop(client);
        secured.postgres.stop().unwrap();
        secured.postgres.start_again().unwrap();
        secured
    }

    /// A file of the server's, which must be its own and closed to others.
    fn put(&self, name: &str, content: &str) {
        use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};

        let data = self.postgres.data_directory();
        let (path, owner) = (data.join(name), std::fs::metadata(data).unwrap());
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        chown(&path, Some(owner.uid()), Some(owner.gid())).unwrap();
    }

    /// A file of ours.
    fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    fn settings(&self, user: &str, host: &str, mode: SslMode) -> DatabaseSettings {
        let url = format!("postgres://{user}@{host}:{}/bench", self.port);
        DatabaseSettings {
            url: Some(Secret::new(url)),
            sslmode: Some(mode),
            ..DatabaseSettings::default()
        }
    }

    fn verifying(&self, host: &str, mode: SslMode, roots: &Path) -> DatabaseSettings {
        let sslrootcert = Some(roots.to_owned());
        DatabaseSettings { sslrootcert, ..self.settings("postgres", host, mode) }
    }
}

/// One shard's way.
struct Way {
    db: Db,
    _shard: ShardDatabase,
}

async fn open(settings: &DatabaseSettings) -> Result<Way, String> {
    let opened = Database::open(settings, "test", &Registry::new()).await;
    let shard = opened.map_err(|error| error.to_string())?.on_this_shard();
    let deadline = Deadline::after(Duration::from_secs(20));
    let db = shard.handle(Context::new().with_deadline(deadline));
    Ok(Way { db, _shard: shard })
}

async fn refusal(settings: &DatabaseSettings) -> String {
    open(settings).await.map(|_| ()).expect_err("it connected")
}

/// Whether both lanes are encrypted.
async fn encrypted(settings: &DatabaseSettings) -> Result<bool, String> {
    let way = open(settings).await?;
    let ask = || {
        diesel::select(diesel::dsl::sql::<Bool>(
            "(SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid())",
        ))
    };
    let shared: bool = way.db.first(ask()).await.unwrap();
    let exclusive: bool = way.db.exclusive().first(ask()).await.unwrap();
    assert_eq!(shared, exclusive);
    Ok(shared)
}

#[tokio::test]
async fn each_mode_does_what_it_says() {
    let authority = Authority::new("ours");
    let secured = Secured::start(&authority.server("localhost"), &authority).await;
    let ours = secured.file("ours.pem", &authority.certificate);
    let other = secured.file("other.pem", &Authority::new("other").certificate);

    for (mode, expected) in
        [(SslMode::Disable, false), (SslMode::Prefer, true), (SslMode::Require, true)]
    {
        let settings = secured.settings("postgres", "localhost", mode);
        assert_eq!(encrypted(&settings).await, Ok(expected), "{mode:?}");
    }
    for (mode, host) in [
        (SslMode::Require, "127.0.0.1"),
        (SslMode::VerifyCa, "localhost"),
        (SslMode::VerifyCa, "127.0.0.1"),
        (SslMode::VerifyFull, "localhost"),
    ] {
        let settings = secured.verifying(host, mode, &ours);
        assert_eq!(encrypted(&settings).await, Ok(true), "{mode:?} to {host}");
    }
    for mode in [SslMode::Require, SslMode::VerifyCa, SslMode::VerifyFull] {
        let said = refusal(&secured.verifying("localhost", mode, &other)).await;
        assert!(said.contains("authority") && said.contains("other.pem"), "{mode:?}: {said}");
        assert!(said.contains("database.sslrootcert"), "{mode:?}: {said}");
    }
    let said = refusal(&secured.verifying("127.0.0.1", SslMode::VerifyFull, &ours)).await;
    assert!(said.contains("localhost") && said.contains("127.0.0.1"), "{said}");
    assert!(said.contains("database.sslmode=verify-full"), "{said}");
    // No authority of this machine has signed it.
    let system = secured.verifying("localhost", SslMode::VerifyFull, "system".as_ref());
    let said = refusal(&system).await;
    assert!(said.contains("sslrootcert"), "{said}");
}

#[tokio::test]
async fn an_expired_certificate_is_refused_where_certificates_are_looked_at() {
    let authority = Authority::new("ours");
    let secured = Secured::start(&authority.expired("localhost"), &authority).await;
    let ours = secured.file("ours.pem", &authority.certificate);
    let said = refusal(&secured.verifying("localhost", SslMode::VerifyCa, &ours)).await;
    assert!(said.contains("has expired") && said.contains("days ago"), "{said}");
    let unverified = secured.settings("postgres", "localhost", SslMode::Require);
    assert_eq!(encrypted(&unverified).await, Ok(true));
}

#[tokio::test]
async fn a_certificate_that_is_its_own_authority_is_trusted_when_it_is_the_one() {
    let own = self_signed_authority("localhost");
    let secured = Secured::start(&own, &Authority::new("users")).await;
    let file = secured.file("own.pem", &own.certificate);
    let settings = secured.verifying("localhost", SslMode::VerifyFull, &file);
    assert_eq!(encrypted(&settings).await, Ok(true));
    let said = refusal(&secured.verifying("127.0.0.1", SslMode::VerifyFull, &file)).await;
    assert!(said.contains("127.0.0.1"), "the name counts all the same: {said}");
    let other = self_signed_authority("localhost");
    let other = secured.file("other.pem", &other.certificate);
    refusal(&secured.verifying("localhost", SslMode::VerifyFull, &other)).await;
}

#[tokio::test]
async fn a_server_without_tls_is_named_where_it_is_asked_for() {
    let (postgres, port) = postgres_on_tcp();
    let plain = Secured { postgres, port, folder: TempDir::new().unwrap() };
    let said = refusal(&plain.settings("postgres", "127.0.0.1", SslMode::Require)).await;
    assert!(said.contains("does not speak TLS") && said.contains("sslmode=require"), "{said}");
    let prefers = plain.settings("postgres", "127.0.0.1", SslMode::Prefer);
    assert_eq!(encrypted(&prefers).await, Ok(false));
    // What does not leave the machine needs none.
    let socket = DatabaseSettings {
        url: Some(Secret::new(plain.postgres.url())),
        sslmode: Some(SslMode::VerifyFull),
        sslrootcert: Some(plain.file("ours.pem", &Authority::new("ours").certificate)),
        ..DatabaseSettings::default()
    };
    assert_eq!(encrypted(&socket).await, Ok(false));
}

#[tokio::test]
async fn who_does_not_agree_on_how_is_refused_and_prefer_goes_on_without() {
    let authority = Authority::new("ours");
    let mut secured = Secured::start(&authority.server("localhost"), &authority).await;
    secured.put(
        "postgresql.auto.conf",
        "ssl = on\nssl_min_protocol_version = 'TLSv1'\nssl_max_protocol_version = 'TLSv1.1'",
    );
    // Beside the event loop: a Postgres that stops waits for whoever is in a handshake with it, and
    // the shared lane may just be.
    let secured = beside(move || {
        secured.postgres.stop().unwrap();
        secured.postgres.start_again().unwrap();
        secured
    })
    .await;
    let said = refusal(&secured.settings("postgres", "localhost", SslMode::Require)).await;
    assert!(said.contains("TLS failed (database.sslmode=require)"), "{said}");
    let prefers = secured.settings("postgres", "localhost", SslMode::Prefer);
    assert_eq!(encrypted(&prefers).await, Ok(false));
}

#[tokio::test]
async fn passwords_are_bound_to_the_encrypted_connection() {
    let authority = Authority::new("ours");
    let secured = Secured::start(&authority.server("localhost"), &authority).await;
    let bound = |user: &str, mode| {
        let mut settings = secured.settings(user, "localhost", mode);
        let url = settings.url.unwrap().expose().to_owned() + "?channel_binding=require";
        settings.url = Some(Secret::new(url));
        settings
    };
    assert_eq!(encrypted(&bound("scram:secret", SslMode::Require)).await, Ok(true));
    let said = refusal(&bound("scram:wrong", SslMode::Require)).await;
    assert!(said.contains("password authentication failed"), "{said}");
    assert!(!said.contains("wrong"), "{said}");
    let said = refusal(&bound("postgres", SslMode::Require)).await;
    assert!(said.contains("channel binding"), "nobody asked for a password: {said}");
    let said = refusal(&secured.settings("scram:secret", "localhost", SslMode::Disable)).await;
    assert!(said.contains("pg_hba.conf") && said.contains("no encryption"), "{said}");
}

#[tokio::test]
async fn a_certificate_shows_who_we_are() {
    let authority = Authority::new("ours");
    let secured = Secured::start(&authority.server("localhost"), &authority).await;
    let with = |user: &Signed| DatabaseSettings {
        sslcert: Some(secured.file("user.pem", &user.certificate)),
        sslkey: Some(secured.file("user.key", &user.key)),
        ..secured.settings("certified", "localhost", SslMode::Require)
    };
    assert_eq!(encrypted(&with(&authority.user("certified"))).await, Ok(true));
    let said = refusal(&with(&authority.user("somebody"))).await;
    assert!(said.contains("certificate authentication failed"), "{said}");
    let said = refusal(&secured.settings("certified", "localhost", SslMode::Require)).await;
    assert!(said.contains("requires a valid client certificate"), "{said}");
    let said = refusal(&with(&Authority::new("other").user("certified"))).await;
    assert!(said.contains("sslcert") && said.contains("does not accept"), "{said}");
}

#[tokio::test]
async fn renewed_certificates_are_used_without_a_restart() {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let mut secured = Secured::start(&old.server("localhost"), &old).await;
    let file = secured.file("authorities.pem", &old.certificate);
    let settings = secured.verifying("localhost", SslMode::VerifyFull, &file);
    let way = open(&settings).await.unwrap();
    let fresh = || {
        let patience = Deadline::after(Duration::from_secs(20));
        way.db.exclusive().with_deadline(patience)
    };
    let one = || diesel::select(diesel::dsl::sql::<Integer>("1"));
    fresh().first::<i32>(one()).await.unwrap();

    let renewed = new.server("localhost");
    secured.put("server.crt", &renewed.certificate);
    secured.put("server.key", &renewed.key);
    // Beside the event loop: a Postgres that stops waits for whoever is in a handshake with it, and
    // the shared lane may just be.
    let secured = beside(move || {
        secured.postgres.stop().unwrap();
        secured.postgres.start_again().unwrap();
        secured
    })
    .await;
    // What is said first may be of the old connections, or of the time when it was stopped.
    let stopped = Moment::now();
    loop {
        let error = fresh().first::<i32>(one()).await.unwrap_err().to_string();
        if error.contains("sslrootcert") {
            break;
        }
        assert!(Moment::now().since(stopped) < Duration::from_secs(20), "{error}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Half written it is not taken, and what is known stays.
    secured.file("authorities.pem", "-----BEGIN CERT");
    let error = fresh().first::<i32>(one()).await.unwrap_err().to_string();
    assert!(error.contains("sslrootcert"), "{error}");
    secured.file("authorities.pem", &new.certificate);
    // The next attempt finds it, and there is one every second at least.
    let renewed = Moment::now();
    while let Err(error) = fresh().first::<i32>(one()).await {
        assert!(Moment::now().since(renewed) < Duration::from_secs(20), "{error}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named_with_their_setting() {
    let authority = Authority::new("ours");
    let folder = TempDir::new().unwrap();
    let file = |name: &str, content: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    };
    let (one, two) = (authority.user("one"), authority.user("two"));
    let wishes = |sslrootcert: Option<PathBuf>, pair: Option<(PathBuf, PathBuf)>| {
        let (sslcert, sslkey) = pair.unzip();
        let url = Some(Secret::new("postgres://postgres@localhost:1/bench?sslmode=verify-full"));
        DatabaseSettings { url, sslrootcert, sslcert, sslkey, ..DatabaseSettings::default() }
    };
    let ours = file("ours.pem", &authority.certificate);
    let cert = file("one.pem", &one.certificate);
    for (settings, setting, what) in [
        (wishes(Some("/no/such".into()), None), "sslrootcert", "cannot read /no/such"),
        (wishes(Some(file("empty.pem", "")), None), "sslrootcert", "holds no certificate"),
        (wishes(Some(file("key.pem", &one.key)), None), "sslrootcert", "holds no certificate"),
        (
            wishes(Some(ours.clone()), Some((cert.clone(), ours.clone()))),
            "sslkey",
            "holds no private key",
        ),
        (
            wishes(Some(ours), Some((cert, file("two.key", &two.key)))),
            "sslkey",
            "cannot be used together",
        ),
    ] {
        let said = refusal(&settings).await;
        assert!(said.contains(&format!("database.{setting}")) && said.contains(what), "{said}");
    }
}

#[tokio::test]
async fn a_cancellation_goes_over_tls_too() {
    let authority = Authority::new("ours");
    let secured = Secured::start(&authority.server("localhost"), &authority).await;
    let ours = secured.file("ours.pem", &authority.certificate);
    let mut settings = secured.verifying("localhost", SslMode::VerifyFull, &ours);
    settings.pool_max = 1;
    settings.streams_max = 0;
    let way = open(&settings).await.unwrap();
    let backend = || diesel::select(diesel::dsl::sql::<Integer>("pg_backend_pid()"));
    let before: i32 = way.db.exclusive().first(backend()).await.unwrap();
    let patience = Deadline::after(Duration::from_millis(300));
    let impatient = way.db.exclusive().with_deadline(patience);
    impatient.load::<bool>(sleep_ten_seconds()).await.unwrap_err();
    // The same session is there again: it was cancelled, and not given up.
    let after: i32 = way.db.exclusive().first(backend()).await.unwrap();
    assert_eq!(before, after);
}
