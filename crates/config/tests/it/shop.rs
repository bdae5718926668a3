//! The settings that all tests share: one key of each kind, and a rule between two.

use std::fs;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;
use tenfold_config::{
    ByteSize, Config, ConfigErrors, Environment, Known, Layers, Secret, at_least, between,
};

tenfold_config::settings! {
    /// Who gets in.
    pub(crate) struct DoorSettings in "door" {
        /// Address and port on which requests come in.
        pub listen: SocketAddr = SocketAddr::from(([127, 0, 0, 1], 8080)),
        /// Time a whole request may take.
        ///
        /// From its first byte to the last of its answer.
        #[check(at_least(Duration::from_millis(1)))]
        pub request_timeout: Duration = Duration::from_secs(10),
        /// Certificate chain in PEM; with it (and `tls_key`) TLS is on.
        pub tls_certificate: Option<PathBuf> = None,
        /// Its private key in PEM.
        pub tls_key: Option<PathBuf> = None,
        /// Largest body that is read.
        pub body_max: ByteSize = ByteSize::mib(1),
        /// Names that the service answers to; empty: all.
        pub hosts: Vec<String> = vec!["localhost".to_owned(), "shop.example".to_owned()],
        /// Whether strangers get in.
        pub open: bool = true,
    }
    check(settings, problems) {
        if settings.tls_certificate.is_some() && settings.tls_key.is_none() {
            problems.missing("tls_key", "tls_certificate");
        }
        if !settings.open && settings.hosts.is_empty() {
            problems.add("hosts", "is empty: while `door.open` is false nobody could get in");
        }
    }
}

tenfold_config::settings! {
    /// Where the goods are kept.
    pub(crate) struct DatabaseSettings in "database" {
        /// Postgres to use; if it is not set, the embedded one.
        #[environment("DATABASE_URL")]
        pub url: Option<Secret> = None,
        /// Most connections.
        #[check(between(1, 10_000))]
        pub pool_max: usize = 20,
        /// Part of the pool that reads may take.
        #[check(between(0.0, 1.0))]
        pub read_share: f64 = 0.5,
        /// Tries before giving up.
        pub tries: NonZeroUsize = NonZeroUsize::MIN,
        /// Signs what is handed out.
        pub signing: Secret = Secret::new("change me"),
    }
}

tenfold_config::words! {
    /// Which requests leave a line.
    pub(crate) enum Requests {
        /// Every one.
        All = "all",
        /// Those that were slow or failed.
        SlowAndFailed = "slow_and_failed",
        /// None.
        None = "none",
    }
}

tenfold_config::settings! {
    /// What is written down.
    pub(crate) struct LogSettings in "log" {
        /// Which requests leave a line.
        pub requests: Requests = Requests::SlowAndFailed,
        /// Where it goes: a text with "quotes", \ and two
        /// lines.
        pub prefix: String = "\"\\\t".to_owned(),
    }
}

/// Everything that the shop can be set by.
pub(crate) fn known() -> Known {
    let mut known = Known::new();
    known.section::<DoorSettings>().section::<DatabaseSettings>().section::<LogSettings>();
    known
}

/// The shop's configuration out of these layers.
pub(crate) fn load(layers: &Layers) -> Result<Config, ConfigErrors> {
    known().load(layers)
}

/// An environment of these variables alone.
pub(crate) fn environment(pairs: &[(&str, &str)]) -> Environment {
    Environment::from_pairs(pairs.iter().copied())
}

/// A folder with a `tenfold.toml`.
pub(crate) struct Folder {
    folder: TempDir,
}

impl Folder {
    /// With this text in the file.
    pub(crate) fn with(text: impl AsRef<[u8]>) -> Folder {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("tenfold.toml"), text).unwrap();
        Folder { folder }
    }

    /// The file.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("tenfold.toml")
    }

    /// A text without the folder's name, which is another one each time.
    pub(crate) fn without_name(&self, text: &str) -> String {
        text.replace(&format!("{}/", self.folder.path().display()), "")
    }
}

/// The values of a section if the file holds this text.
pub(crate) fn from_file<S: tenfold_config::Section>(text: &str) -> S {
    let folder = Folder::with(text);
    load(&Layers::new().file(folder.file())).unwrap().get()
}

/// What is wrong if the file holds this text.
pub(crate) fn wrong_file(text: impl AsRef<[u8]>) -> String {
    let folder = Folder::with(text);
    folder.without_name(&load(&Layers::new().file(folder.file())).unwrap_err().to_string())
}

/// What is wrong with one flag.
pub(crate) fn wrong_flag(flag: &str) -> String {
    load(&Layers::new().flags([flag])).unwrap_err().to_string()
}

/// What is wrong with one variable.
pub(crate) fn wrong_variable(name: &str, value: &str) -> String {
    let layers = Layers::new().environment(&environment(&[(name, value)]));
    load(&layers).unwrap_err().to_string()
}
