//! What systemd hears of the service, if it started it: that it is ready, that it stops, and that
//! it is not stuck (`sd_notify(3)`: <https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html>).
//!
//! Three words over a datagram socket that a variable names: so it is written here, and the
//! variables are read where all are.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use tenfold_config::Environment;
use tenfold_runtime::ShardHandle;

/// The way to systemd; nothing goes along it where there is none.
#[derive(Debug)]
pub(crate) struct Systemd {
    to: Option<(UnixDatagram, SocketAddr)>,
    /// How long it may hear nothing.
    watchdog: Option<Duration>,
}

/// A variable of systemd's that makes no sense.
#[derive(Debug, thiserror::Error)]
#[error("{variable}={value} makes no sense: {why}")]
pub(crate) struct SystemdError {
    variable: &'static str,
    value: String,
    why: String,
}

impl From<SystemdError> for io::Error {
    fn from(error: SystemdError) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidInput, error)
    }
}

impl Systemd {
    /// What the variables say of it.
    pub(crate) fn of(environment: &Environment) -> Result<Systemd, SystemdError> {
        let to = text(environment, "NOTIFY_SOCKET")
            .map(|path| {
                let wrong = |error: io::Error| SystemdError {
                    variable: "NOTIFY_SOCKET",
                    value: path.clone(),
                    why: error.to_string(),
                };
                // An @ stands for a name that no file has.
                let address = match path.strip_prefix('@') {
                    Some(name) => SocketAddr::from_abstract_name(name),
                    None => SocketAddr::from_pathname(&path),
                };
                let socket = UnixDatagram::unbound().and_then(|socket| {
                    // A word that systemd has no room for must not hold up the service.
                    socket.set_nonblocking(true)?;
                    Ok(socket)
                });
                Ok((socket.map_err(wrong)?, address.map_err(wrong)?))
            })
            .transpose()?;
        // The variables are inherited: they may be meant for the process that started this one.
        let own = std::process::id().to_string();
        let is_ours = text(environment, "WATCHDOG_PID").is_none_or(|process| process == own);
        let watchdog = text(environment, "WATCHDOG_USEC").filter(|_| is_ours);
        let watchdog = watchdog
            .map(|value| match value.parse() {
                Ok(0) | Err(_) => Err(SystemdError {
                    variable: "WATCHDOG_USEC",
                    value,
                    why: "a number of microseconds is needed".to_owned(),
                }),
                Ok(micros) => Ok(Duration::from_micros(micros)),
            })
            .transpose()?;
        Ok(Systemd { to, watchdog })
    }

    /// The service wants traffic.
    pub(crate) fn ready(&self) {
        self.say("READY=1");
    }

    /// It has begun to stop.
    pub(crate) fn stopping(&self) {
        self.say("STOPPING=1");
    }

    /// Says twice in each interval that no shard is stuck, for as long as that is so. systemd
    /// ends a service of which it has not heard for an interval, and starts it again.
    pub(crate) async fn watch(self: std::sync::Arc<Systemd>, shards: Vec<ShardHandle>) {
        let Some(interval) = self.watchdog else { return };
        loop {
            let stuck = shards.iter().find(|shard| shard.lag() >= interval);
            match stuck {
                None => self.say("WATCHDOG=1"),
                Some(shard) => {
                    let lag_ms = shard.lag().as_millis() as u64;
                    tracing::error!(
                        shard = shard.index(),
                        lag_ms,
                        "shard is stuck: systemd is not told"
                    );
                }
            }
            tokio::time::sleep(interval / 2).await;
        }
    }

    fn say(&self, word: &str) {
        let Some((socket, address)) = &self.to else { return };
        if let Err(error) = socket.send_to_addr(word.as_bytes(), address) {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(word, error, "systemd does not hear");
        }
    }
}

fn text(environment: &Environment, name: &str) -> Option<String> {
    environment.get(name).map(|value| value.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use tenfold_runtime::{RuntimeSettings, Shards};
    use tenfold_telemetry::metrics::Registry;

    use super::*;

    fn of(variables: &[(&str, &str)]) -> Result<Systemd, String> {
        let environment = Environment::from_pairs(variables.iter().copied());
        Systemd::of(&environment).map_err(|error| error.to_string())
    }

    #[test]
    fn without_systemd_nothing_is_said() {
        let systemd = of(&[]).unwrap();
        systemd.ready();
        systemd.stopping();
        assert!(systemd.watchdog.is_none());
    }

    #[test]
    fn a_watchdog_of_another_process_is_not_ours() {
        let own = std::process::id().to_string();
        let mine = of(&[("WATCHDOG_USEC", "20000"), ("WATCHDOG_PID", &own)]).unwrap();
        assert_eq!(mine.watchdog, Some(Duration::from_millis(20)));
        let others = of(&[("WATCHDOG_USEC", "20000"), ("WATCHDOG_PID", "1")]).unwrap();
        assert_eq!(others.watchdog, None);
        let wrong = of(&[("WATCHDOG_USEC", "soon")]).unwrap_err();
        assert_eq!(wrong, "WATCHDOG_USEC=soon makes no sense: a number of microseconds is needed");
    }

    #[tokio::test]
    async fn words_go_to_a_path_and_to_an_abstract_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let name = format!("tenfold-test-{}", std::process::id());
        let abstract_name = SocketAddr::from_abstract_name(&name).unwrap();
        for (listens, variable) in [
            (UnixDatagram::bind(&path).unwrap(), path.to_str().unwrap().to_owned()),
            (UnixDatagram::bind_addr(&abstract_name).unwrap(), format!("@{name}")),
        ] {
            let systemd = of(&[("NOTIFY_SOCKET", &variable), ("WATCHDOG_USEC", "20000")]).unwrap();
            let systemd = std::sync::Arc::new(systemd);
            systemd.ready();
            let settings = RuntimeSettings { shards: 1, ..RuntimeSettings::default() };
            let shards = Shards::start(&settings, &Registry::new()).unwrap();
            let watch = tokio::spawn(systemd.clone().watch(shards.handles().to_vec()));
            let heard = tokio::task::spawn(async move {
                let mut heard = Vec::new();
                let mut word = [0; 64];
                listens.set_nonblocking(true).unwrap();
                while heard.len() < 3 {
                    match listens.recv(&mut word) {
                        Ok(length) => {
                            heard.push(String::from_utf8_lossy(&word[..length]).into_owned());
                        }
                        Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
                    }
                }
                heard
            });
            let heard = tokio::time::timeout(Duration::from_secs(20), heard).await.unwrap();
            assert_eq!(heard.unwrap(), ["READY=1", "WATCHDOG=1", "WATCHDOG=1"]);
            watch.abort();
        }
    }
}
