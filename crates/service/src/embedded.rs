//! The private Postgres of a service that was given no other: its start, its end, and what it
//! says when it ends by itself.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tenfold_config::Secret;
use tenfold_local::{Postgres, PostgresOptions, StartError, Stopped};

use crate::settings::EmbeddedSettings;

/// How often somebody looks whether it still runs: the system gives no notice.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Whoever asks about it and whoever stops it share it.
#[derive(Clone, Debug)]
pub(crate) struct EmbeddedPostgres(Arc<Mutex<Postgres>>);

/// The private Postgres of the service ended although nobody had asked it to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the private Postgres ended ({how}){}", said.as_deref().map_or_else(String::new, |said| format!(" after it said: {said}")))]
pub struct PostgresDied {
    /// How its process ended.
    pub how: String,
    /// What it said of why, if it did.
    pub said: Option<String>,
}

impl EmbeddedPostgres {
    /// Starts it, with a database of that name; `tell` hears what takes long.
    pub(crate) fn start(
        settings: EmbeddedSettings,
        database: &str,
        tell: &dyn Fn(&str),
    ) -> Result<EmbeddedPostgres, StartError> {
        let options = PostgresOptions {
            data: settings.data,
            database: database.to_owned(),
            ..PostgresOptions::default()
        };
        let postgres = Postgres::start(&options, tell)?;
        let url = Secret::new(postgres.url());
        tracing::info!(version = %postgres.version(), %url, "private postgres started");
        Ok(EmbeddedPostgres(Arc::new(Mutex::new(postgres))))
    }

    pub(crate) fn url(&self) -> Secret {
        Secret::new(self.lock().url())
    }

    pub(crate) fn stop(&self) -> std::io::Result<Stopped> {
        self.lock().stop()
    }

    /// Waits until it is gone. Only while nobody stops it: that is an end as well.
    pub(crate) async fn died(&self) -> PostgresDied {
        let mut look = tokio::time::interval(LOOK_EVERY);
        loop {
            look.tick().await;
            let ended = self.lock().ended();
            // What cannot be seen is not reported as an end.
            if let Ok(Some(status)) = ended {
                return PostgresDied { how: status.to_string(), said: self.said() };
            }
        }
    }

    /// What it said of why it cannot go on, if it did lately.
    pub(crate) fn said(&self) -> Option<String> {
        reason(&self.lock().last_words())
    }

    fn lock(&self) -> MutexGuard<'_, Postgres> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The last words that explain an end: a panic is the cause of all that follows it, and a fatal
/// error may be one.
fn reason(words: &str) -> Option<String> {
    // Of these there are many when the end has come, each for one client that it turned away.
    let explains_nothing = |said: &str| {
        said.starts_with("FATAL:  the database system is")
            || said.contains("terminating connection")
    };
    ["PANIC:  ", "FATAL:  "].iter().find_map(|mark| {
        let mut lines =
            words.lines().rev().filter_map(|line| line.find(mark).map(|at| &line[at..]));
        lines.find(|said| !explains_nothing(said)).map(|said| said.replacen(":  ", ": ", 1))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(words: &[&str], expected: Option<&str>) {
        let words: Vec<_> =
            words.iter().map(|said| format!("2026-01-15 09:00 UTC [7] {said}")).collect();
        assert_eq!(reason(&words.join("\n")).as_deref(), expected);
    }

    #[test]
    fn a_panic_explains_what_follows_it() {
        check(
            &[
                "PANIC:  could not write to file \"pg_wal/xlogtemp.7\": No space left on device",
                "LOG:  server process (PID 7) was terminated by signal 6: Aborted",
                "FATAL:  the database system is in recovery mode",
                "FATAL:  could not load something",
            ],
            Some("PANIC: could not write to file \"pg_wal/xlogtemp.7\": No space left on device"),
        );
    }

    #[test]
    fn clients_that_were_turned_away_explain_nothing() {
        check(&["FATAL:  the database system is in recovery mode"], None);
        check(&["FATAL:  terminating connection due to administrator command"], None);
        check(&["LOG:  checkpoint complete"], None);
        check(&[], None);
        check(
            &["FATAL:  no room", "FATAL:  the database system is starting up"],
            Some("FATAL: no room"),
        );
    }
}
