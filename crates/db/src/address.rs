//! Where Postgres is and what has to be true of it, read from the URL and the settings beside it:
//! libpq's words, of which the driver knows only a part.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use tenfold_config::Setting;
use tokio_postgres::config::{Config, Host, LoadBalanceHosts};

use crate::error::Cause;
use crate::settings::DatabaseSettings;
use crate::tls::{SslMode, TlsWishes};

/// How long Postgres' machine may leave what was sent without a word: after that the network
/// between has swallowed the connection, and waiting on does not bring it back.
const SILENCE_MAX: Duration = Duration::from_secs(10);

/// Where a URL or a server says nothing else.
const PORT: u16 = 5432;

tenfold_config::words! {
    /// Which of several servers may be connected to, in libpq's words.
    pub enum TargetSessionAttrs {
        /// The first that answers.
        Any = "any",
        /// One that takes writes.
        ReadWrite = "read-write",
        /// One that takes none.
        ReadOnly = "read-only",
        /// One that is no standby, whether it takes writes or not.
        Primary = "primary",
        /// One that follows a primary.
        Standby = "standby",
        /// A standby, and if there is none, the first that answers.
        PreferStandby = "prefer-standby",
    }
}

/// Where Postgres is.
#[derive(Clone, Debug)]
pub(crate) struct Address {
    /// In the order in which they are tried; at least one.
    pub(crate) servers: Vec<Server>,
    pub(crate) in_random_order: bool,
    pub(crate) target: TargetSessionAttrs,
    pub(crate) tls: TlsWishes,
    /// Everything else that the driver has to know; names no server.
    pub(crate) session: Config,
}

/// One of the places at which Postgres may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Server {
    /// The name is also what its certificate has to be for.
    Tcp { name: String, address: Option<IpAddr>, port: u16 },
    /// A folder, and the port that the socket in it is named after.
    Unix { folder: PathBuf, port: u16 },
}

impl std::fmt::Display for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Server::Tcp { name, port, .. } => write!(f, "{name}:{port}"),
            Server::Unix { folder, port } => write!(f, "{}:{port}", folder.display()),
        }
    }
}

/// What is wrong with an address: the setting, and how a message goes on after its name. The URL
/// itself is not shown: it may hold a password.
#[derive(Debug, thiserror::Error)]
#[error("database.{setting} {message}")]
pub(crate) struct UnusableAddress {
    pub(crate) setting: &'static str,
    pub(crate) message: String,
}

fn unusable(setting: &'static str, message: impl Into<String>) -> UnusableAddress {
    UnusableAddress { setting, message: message.into() }
}

impl Address {
    pub(crate) fn read(settings: &DatabaseSettings) -> Result<Address, UnusableAddress> {
        let url = settings.url.as_ref().ok_or_else(|| {
            unusable("url", "is not set, and neither is the variable DATABASE_URL")
        })?;
        let (rest, said) = Said::take_from(url.expose())?;
        let parsed: Config = rest.parse().map_err(|error| {
            let needed = "postgres://user:password@host:port/database is needed";
            unusable("url", format!("is no Postgres URL ({}): {needed}", Cause::new(error)))
        })?;
        let tls = TlsWishes {
            mode: said.once("sslmode", settings.sslmode)?.unwrap_or(SslMode::Prefer),
            root_certificates: said.once("sslrootcert", settings.sslrootcert.clone())?,
            certificate: said.once("sslcert", settings.sslcert.clone())?,
            key: said.once("sslkey", settings.sslkey.clone())?,
        };
        if let Some((setting, message)) = tls.contradiction() {
            return Err(unusable(setting, message));
        }
        Ok(Address {
            servers: servers(&parsed)?,
            in_random_order: parsed.get_load_balance_hosts() == LoadBalanceHosts::Random,
            target: said
                .once("target_session_attrs", settings.target_session_attrs)?
                .unwrap_or(TargetSessionAttrs::Any),
            tls,
            session: session(&parsed),
        })
    }
}

/// The parameters of a URL that are ours to read.
#[derive(Debug, Default)]
struct Said(Vec<(&'static str, String)>);

/// Those that the driver does not know, or knows only a part of.
const OURS: [&str; 5] = ["sslmode", "sslrootcert", "sslcert", "sslkey", "target_session_attrs"];

impl Said {
    /// Splits a URL into what the driver reads and what is read here.
    fn take_from(url: &str) -> Result<(String, Said), UnusableAddress> {
        let Some(query) = query_start(url) else { return Ok((url.to_owned(), Said::default())) };
        let (mut rest, mut said) = (url[..query].to_owned(), Said::default());
        let mut separator = '?';
        for parameter in url[query + 1..].split('&') {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            match OURS.into_iter().find(|ours| *ours == name) {
                Some(name) => {
                    let value = percent_decode_str(value).decode_utf8();
                    let value = value.map_err(|_| unusable("url", format!("{name} is no text")))?;
                    said.0.push((name, value.into_owned()));
                }
                None => {
                    rest.push(separator);
                    rest.push_str(parameter);
                    separator = '&';
                }
            }
        }
        Ok((rest, said))
    }

    /// What the URL or the setting of the same name says; an error if they differ, since one of
    /// them would be believed in vain.
    fn once<T: Setting>(
        &self,
        name: &'static str,
        setting: Option<T>,
    ) -> Result<Option<T>, UnusableAddress> {
        let Some((_, text)) = self.0.iter().find(|(said, _)| *said == name) else {
            return Ok(setting);
        };
        let in_url = T::from_text(text).ok_or_else(|| {
            unusable("url", format!("says {name}={text}: {} is needed", T::noun()))
        })?;
        match setting {
            Some(setting) if setting != in_url => {
                let message = format!("is {:?}, while the URL says {text:?}", setting.show());
                Err(unusable(name, message))
            }
            _ => Ok(Some(in_url)),
        }
    }
}

/// Where the parameters begin. A password may hold a question mark, as long as it comes before
/// the `@`; a name or a path in front of the first one shows that there is no password.
fn query_start(url: &str) -> Option<usize> {
    let start = ["postgres://", "postgresql://"].iter().find(|scheme| url.starts_with(**scheme));
    let start = start?.len();
    let first = start + url[start..].find('?')?;
    match url[first..].find('@') {
        Some(at) if !url[start..first].contains(['/', '@']) => {
            let host = first + at;
            url[host..].find('?').map(|question_mark| host + question_mark)
        }
        _ => Some(first),
    }
}

fn servers(parsed: &Config) -> Result<Vec<Server>, UnusableAddress> {
    let hosts: Vec<Host> = parsed.get_hosts().iter().flat_map(each_host).collect();
    let (addresses, ports) = (parsed.get_hostaddrs(), parsed.get_ports());
    let count = hosts.len().max(addresses.len());
    if count == 0 {
        return Err(unusable("url", "names no host"));
    }
    if !hosts.is_empty() && !addresses.is_empty() && hosts.len() != addresses.len() {
        let message = format!("has {} host and {} hostaddr", hosts.len(), addresses.len());
        return Err(unusable("url", message + ": as many of one as of the other are needed"));
    }
    if ports.len() > 1 && ports.len() != count {
        let message = format!("names {count} hosts and {} ports", ports.len());
        return Err(unusable("url", message + ": one for all, or one for each is needed"));
    }
    let server = |index: usize| {
        let port = ports.get(index).or(ports.first()).copied().unwrap_or(PORT);
        let address = addresses.get(index).copied();
        match (hosts.get(index), address) {
            (Some(Host::Unix(folder)), None) => Server::Unix { folder: folder.clone(), port },
            (Some(Host::Tcp(name)), address) => Server::Tcp { name: name.clone(), address, port },
            // A folder with an address beside it: libpq, too, goes to the address.
            (Some(Host::Unix(_)) | None, address) => {
                let name = address.map(|address| address.to_string()).unwrap_or_default();
                Server::Tcp { name, address, port }
            }
        }
    };
    Ok((0..count).map(server).collect())
}

/// The driver takes a list in the parameter `host` for one name.
fn each_host(host: &Host) -> Vec<Host> {
    let list = match host {
        Host::Tcp(name) => name.clone(),
        Host::Unix(folder) => folder.to_string_lossy().into_owned(),
    };
    let each = list.split(',').map(|host| match host.strip_prefix('/') {
        Some(_) => Host::Unix(host.into()),
        None => Host::Tcp(host.to_owned()),
    });
    each.collect()
}

/// The same without its servers, which the driver has no way to take back.
fn session(parsed: &Config) -> Config {
    let mut session = Config::new();
    if let Some(user) = parsed.get_user() {
        session.user(user);
    }
    if let Some(password) = parsed.get_password() {
        session.password(password);
    }
    if let Some(database) = parsed.get_dbname() {
        session.dbname(database);
    }
    if let Some(options) = parsed.get_options() {
        session.options(options);
    }
    if let Some(name) = parsed.get_application_name() {
        session.application_name(name);
    }
    session
        .ssl_negotiation(parsed.get_ssl_negotiation())
        .channel_binding(parsed.get_channel_binding())
        .tcp_user_timeout(parsed.get_tcp_user_timeout().copied().unwrap_or(SILENCE_MAX))
        .keepalives(parsed.get_keepalives())
        .keepalives_idle(SILENCE_MAX)
        .keepalives_interval(SILENCE_MAX / 5);
    session
}

#[cfg(test)]
mod tests;
