//! What kind of Postgres is wanted, and which wishes are refused.

use std::path::PathBuf;
use std::time::Duration;

use crate::error::StartError;
use crate::machine::Machine;

/// Settings that keep the server private, or that it needs to be found: they are not for sale.
const OURS: [&str; 11] = [
    "listen_addresses",
    "port",
    "unix_socket_directories",
    "unix_socket_permissions",
    "unix_socket_group",
    "data_directory",
    "config_file",
    "hba_file",
    "ident_file",
    "log_destination",
    "logging_collector",
];

/// What kind of Postgres is wanted.
///
/// ```
/// use tenfold_local::PostgresOptions;
///
/// let options = PostgresOptions {
///     database: "store".into(),
///     settings: vec![("max_connections".into(), "40".into())],
///     ..PostgresOptions::default()
/// };
/// # assert_eq!(options.data, None);
/// ```
#[derive(Clone, Debug)]
pub struct PostgresOptions {
    /// The folder that keeps the data. Without one it is fresh, and gone with the server.
    pub data: Option<PathBuf>,
    /// The database that the address leads to; it is created if it is not there.
    pub database: String,
    /// Settings as `postgresql.conf` names them, with their values.
    pub settings: Vec<(String, String)>,
    /// The address of a running server, of the same version, that this one begins as a copy of
    /// and then follows: a standby that takes reads. `data` has to be `None`.
    pub follows: Option<String>,
    /// A port of 127.0.0.1 at which it listens too, for what goes over TCP alone, such as TLS.
    /// Then everybody on this machine can reach it, and gets in unless its `pg_hba.conf` is
    /// changed: for tests.
    pub tcp_port: Option<u16>,
    /// How long the server may take to answer; recovery after a crash is part of it.
    pub ready_time_max: Duration,
    /// Where things are looked for and kept.
    pub machine: Machine,
}

impl Default for PostgresOptions {
    /// Fresh data, the database `postgres`, no settings, no TCP, 30 s, this machine.
    fn default() -> PostgresOptions {
        PostgresOptions {
            data: None,
            database: "postgres".into(),
            settings: Vec::new(),
            follows: None,
            tcp_port: None,
            ready_time_max: Duration::from_secs(30),
            machine: Machine::this(),
        }
    }
}

/// An error for the first wish that cannot be met.
pub(crate) fn check(options: &PostgresOptions) -> Result<(), StartError> {
    let name = &options.database;
    if name.is_empty() || name.len() > 63 || name.contains('\0') {
        return Err(StartError::DatabaseName { name: name.clone() });
    }
    if let (Some(primary), Some(_kept)) = (&options.follows, &options.data) {
        return Err(StartError::Setting {
            name: "follows".to_owned(),
            value: primary.clone(),
            why: "what follows another server has fresh data, and no folder that keeps it",
        });
    }
    for (name, value) in &options.settings {
        let refuse =
            |why| Err(StartError::Setting { name: name.clone(), value: value.clone(), why });
        let well_formed =
            name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.".contains(&byte));
        if name.is_empty() || !well_formed || value.contains('\0') {
            return refuse(
                "a name has letters, digits, dots and underscores, and a value no zero byte",
            );
        }
        if OURS.iter().any(|ours| ours.eq_ignore_ascii_case(name)) {
            return refuse("it is fixed, so that nobody else can reach the server");
        }
    }
    Ok(())
}
