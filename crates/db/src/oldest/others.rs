//! Open transactions of others on the same server, oldest first: asked for, and told of once.

use std::collections::HashSet;
use std::time::Duration;

use tokio_postgres::SimpleQueryRow;

use crate::error::{Error, Result};
use crate::observer::Observer;

/// How many are looked at: who has more of them than that has seen enough.
const OTHERS_MAX: usize = 10;

/// A transaction of somebody else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Other {
    /// The process that has it open, or the name under which it was prepared to be committed and
    /// then left.
    pub(super) id: String,
    pub(super) age: Duration,
    user: String,
    application: String,
    database: String,
    /// As Postgres calls it, or `prepared`.
    state: String,
}

impl Other {
    fn read(row: &SimpleQueryRow) -> Result<Other> {
        let text = |index| {
            let text = row.try_get(index).map_err(Error::of_statement)?;
            Ok::<_, Error>(text.unwrap_or_default().to_owned())
        };
        let age: f64 = text(1)?.parse().map_err(Error::mistranslated)?;
        Ok(Other {
            id: text(0)?,
            // The server's clock may have been set back meanwhile.
            age: Duration::try_from_secs_f64(age).unwrap_or_default(),
            user: text(2)?,
            application: text(3)?,
            database: text(4)?,
            state: text(5)?,
        })
    }

    /// Its statement is not shown: that may quote values.
    pub(super) fn complain(&self) {
        let Other { id, age, user, application, database, state } = self;
        tracing::warn!(
            backend = id,
            age_ms = age.as_millis(),
            user,
            application,
            database,
            state,
            "somebody keeps a transaction open for long: dead rows cannot be removed meanwhile"
        );
    }
}

/// The oldest open transactions of all that is not ours. Who is no member of `pg_monitor` sees
/// only those of the own role.
pub(super) async fn others(observer: &Observer, ours: &[i32]) -> Result<Vec<Other>> {
    let ours: Vec<String> = ours.iter().map(i32::to_string).collect();
    let sql = format!(
        "SELECT id, extract(epoch FROM pg_catalog.clock_timestamp() - since), usename, application, \
                datname, state \
         FROM (SELECT pid::text AS id, xact_start AS since, usename, \
                      application_name AS application, datname, state \
               FROM pg_catalog.pg_stat_activity \
               WHERE xact_start IS NOT NULL AND backend_type = 'client backend' \
                 AND pid <> pg_catalog.pg_backend_pid() AND pid <> ALL ('{{{}}}') \
               UNION ALL \
               SELECT gid, prepared, owner, '', database, 'prepared' \
               FROM pg_catalog.pg_prepared_xacts) AS transactions \
         ORDER BY since LIMIT {OTHERS_MAX}",
        ours.join(",")
    );
    observer.ask(&sql).await?.iter().map(Other::read).collect()
}

/// Those that have been told of.
#[derive(Debug, Default)]
pub(super) struct Known(HashSet<String>);

impl Known {
    /// Those that are older than the limit and have not been told of.
    pub(super) fn news(&mut self, others: Vec<Other>, limit: Duration) -> Vec<Other> {
        let old: Vec<_> = others.into_iter().filter(|other| other.age > limit).collect();
        self.0.retain(|id| old.iter().any(|other| other.id == *id));
        old.into_iter().filter(|other| self.0.insert(other.id.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn other(id: &str, seconds: u64) -> Other {
        let word = || "x".to_owned();
        Other {
            id: id.to_owned(),
            age: Duration::from_secs(seconds),
            user: word(),
            application: word(),
            database: word(),
            state: word(),
        }
    }

    #[test]
    fn each_is_told_of_once_for_as_long_as_it_lasts() {
        let mut known = Known::default();
        let limit = Duration::from_secs(10);
        let mut news = |others: &[(&str, u64)]| {
            let others = others.iter().map(|(id, seconds)| other(id, *seconds)).collect();
            known.news(others, limit).into_iter().map(|other| other.id).collect::<Vec<_>>()
        };
        assert!(news(&[("1", 9), ("2", 10)]).is_empty());
        assert_eq!(news(&[("1", 12), ("2", 11)]), ["1", "2"]);
        assert!(news(&[("1", 13), ("2", 12)]).is_empty());
        assert_eq!(news(&[("2", 13), ("3", 13)]), ["3"]);
        assert!(news(&[("1", 1), ("2", 14)]).is_empty(), "the process has another one now");
        assert_eq!(news(&[("1", 11), ("2", 15)]), ["1"], "which has become as old");
    }
}
