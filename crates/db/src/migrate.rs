//! Migrations in diesel's folder format and table, so that diesel's own command works on the
//! same database, run under a lock so that ten replicas that start at once do not race.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use diesel::connection::{BoxableConnection, SimpleConnection};
use diesel::migration::{CREATE_MIGRATIONS_TABLE, Migration, MigrationSource};
use diesel::pg::Pg;
use tenfold_context::{Deadline, Moment};
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use crate::connection::Connection;
use crate::database::Database;
use crate::error::Error;
use crate::settings::Pooler;

/// The advisory lock that all Tenfold services take to migrate: "tenfold" in ASCII.
const LOCK_KEY: i64 = 0x0074_656e_666f_6c64;

/// The pause between attempts to get the lock.
const LOCK_PAUSE: Duration = Duration::from_millis(100);

/// One migration and whether it has run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MigrationStatus {
    /// Its version: the digits at the head of the folder's name.
    pub version: String,
    /// The folder's name, or the version alone if there is no such folder.
    pub name: String,
    /// Whether it has run on this database.
    pub state: MigrationState,
}

/// Whether a migration has run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MigrationState {
    /// It has.
    Applied,
    /// It has not yet.
    Pending,
    /// It has, but this program does not know it: a newer one was here.
    Unknown,
}

/// Why migrating failed, and where.
#[derive(Clone, Debug)]
pub enum MigrateError {
    /// The migrations themselves cannot be read.
    Source(String),
    /// Another process held the lock for too long.
    Locked {
        /// How long this one waited.
        waited: Duration,
    },
    /// One of them failed and was rolled back, unless its metadata says that it runs outside
    /// of a transaction. Those before it stay.
    Failed {
        /// The folder's name.
        migration: String,
        /// What Postgres said.
        cause: Error,
    },
    /// There is nothing to revert.
    NothingToRevert,
    /// Talking to Postgres around the migrations failed.
    Database(Error),
}

impl fmt::Display for MigrateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MigrateError::Source(problem) => write!(f, "cannot read the migrations: {problem}"),
            MigrateError::Locked { waited } => write!(
                f,
                "another process has been migrating this database for {} s: wait for it, or \
                 look for its advisory lock in pg_locks",
                waited.as_secs()
            ),
            MigrateError::Failed { migration, cause } => {
                write!(f, "migration {migration} failed: {cause}")
            }
            MigrateError::NothingToRevert => f.write_str("no migration has been applied yet"),
            MigrateError::Database(cause) => cause.fmt(f),
        }
    }
}

impl std::error::Error for MigrateError {}

impl From<Error> for MigrateError {
    fn from(error: Error) -> MigrateError {
        MigrateError::Database(error)
    }
}

impl From<tokio_postgres::Error> for MigrateError {
    fn from(error: tokio_postgres::Error) -> MigrateError {
        MigrateError::Database(Error::of_statement(error))
    }
}

impl Database {
    /// Runs what is pending, in order; the names of what ran. Waits for another process that
    /// migrates the same database, at most until `deadline`.
    ///
    /// # Errors
    /// See [`MigrateError`].
    pub async fn migrate(
        &self,
        source: &impl MigrationSource<Pg>,
        deadline: Deadline,
    ) -> Result<Vec<String>, MigrateError> {
        let known = Known::read(source)?;
        let session = Session::open(self, deadline).await?;
        let applied = session.applied().await?;
        let mut ran = Vec::new();
        for migration in known.0.iter().filter(|known| !applied.contains(&known.version)) {
            session.run(migration).await?;
            ran.push(migration.name.clone());
        }
        Ok(ran)
    }

    /// Undoes the last one that ran; its name.
    ///
    /// # Errors
    /// See [`MigrateError`].
    pub async fn revert_migration(
        &self,
        source: &impl MigrationSource<Pg>,
        deadline: Deadline,
    ) -> Result<String, MigrateError> {
        let known = Known::read(source)?;
        let session = Session::open(self, deadline).await?;
        let applied = session.applied().await?;
        let last = applied.last().ok_or(MigrateError::NothingToRevert)?;
        let migration = known.0.iter().find(|known| known.version == *last).ok_or_else(|| {
            MigrateError::Source(format!("version {last} was applied last, but is not among them"))
        })?;
        session.revert(migration).await?;
        Ok(migration.name.clone())
    }

    /// All migrations, known or applied, in order of their versions.
    ///
    /// # Errors
    /// See [`MigrateError`].
    pub async fn migration_status(
        &self,
        source: &impl MigrationSource<Pg>,
        deadline: Deadline,
    ) -> Result<Vec<MigrationStatus>, MigrateError> {
        let known = Known::read(source)?;
        let session = Session::open(self, deadline).await?;
        let applied = session.applied().await?;
        let mut all: Vec<_> = known.0.iter().map(|known| known.status(&applied)).collect();
        for version in applied {
            if all.iter().all(|status| status.version != version) {
                let name = version.clone();
                all.push(MigrationStatus { version, name, state: MigrationState::Unknown });
            }
        }
        all.sort_by(|a, b| a.version.cmp(&b.version));
        Ok(all)
    }
}

/// The migrations of the program, in order.
struct Known(Vec<KnownMigration>);

/// One of them as text: this is all that travels, so that nothing of diesel's blocks a thread.
struct KnownMigration {
    version: String,
    name: String,
    in_transaction: bool,
    up: String,
    down: Option<String>,
}

impl Known {
    fn read(source: &impl MigrationSource<Pg>) -> Result<Known, MigrateError> {
        let unreadable = |error: Box<dyn std::error::Error + Send + Sync>| {
            MigrateError::Source(error.to_string())
        };
        let mut known = Vec::new();
        for migration in source.migrations().map_err(unreadable)? {
            let name = migration.name();
            known.push(KnownMigration {
                version: name.version().to_string(),
                name: name.to_string(),
                in_transaction: migration.metadata().run_in_transaction(),
                up: Recorder::record(|recorder| migration.run(recorder)).map_err(unreadable)?,
                // Without a down.sql it cannot be reverted, which is allowed.
                down: Recorder::record(|recorder| migration.revert(recorder)).ok(),
            });
        }
        known.sort_by(|a, b| a.version.cmp(&b.version));
        Ok(Known(known))
    }
}

impl KnownMigration {
    fn status(&self, applied: &BTreeSet<String>) -> MigrationStatus {
        let state = if applied.contains(&self.version) {
            MigrationState::Applied
        } else {
            MigrationState::Pending
        };
        MigrationStatus { version: self.version.clone(), name: self.name.clone(), state }
    }
}

/// Stands in for a connection and writes down the SQL that a migration would run: diesel's
/// migrations want a blocking connection, which has no place on an event loop.
struct Recorder(String);

impl Recorder {
    fn record(
        migration: impl FnOnce(&mut dyn BoxableConnection<Pg>) -> diesel::migration::Result<()>,
    ) -> diesel::migration::Result<String> {
        let mut recorder = Recorder(String::new());
        migration(&mut recorder)?;
        Ok(recorder.0)
    }
}

impl SimpleConnection for Recorder {
    fn batch_execute(&mut self, sql: &str) -> diesel::QueryResult<()> {
        self.0.push_str(sql);
        Ok(())
    }
}

impl BoxableConnection<Pg> for Recorder {
    fn as_any(&self) -> &dyn std::any::Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn std::any::Any {
        self
    }
}

/// A connection under the lock, which ends when it is dropped.
struct Session {
    connection: Arc<Connection>,
    /// Holds the lock in an open transaction, where a pooler would give the session, and with it
    /// a lock that a session holds, to somebody else.
    _guard: Option<Arc<Connection>>,
}

impl Session {
    async fn open(database: &Database, deadline: Deadline) -> Result<Session, MigrateError> {
        let connector = database.connector();
        let open = || Connection::open(connector, database.settings().statements_max());
        let (connection, _driver) = open().await?;
        let (guard, lock) = if connector.pooler() == Pooler::None {
            (None, "SELECT pg_try_advisory_lock($1)")
        } else {
            let (guard, _driver) = open().await?;
            guard.client().batch_execute("BEGIN").await?;
            (Some(guard), "SELECT pg_try_advisory_xact_lock($1)")
        };
        let client = guard.as_ref().unwrap_or(&connection).client();
        let asked = Moment::now();
        let key = [(&LOCK_KEY as _, Type::INT8)];
        while !client.query_typed_one(lock, &key).await?.get::<_, bool>(0) {
            if deadline.remaining() < LOCK_PAUSE {
                return Err(MigrateError::Locked { waited: Moment::now().since(asked) });
            }
            tokio::time::sleep(LOCK_PAUSE).await;
        }
        connection.client().batch_execute(CREATE_MIGRATIONS_TABLE).await?;
        Ok(Session { connection, _guard: guard })
    }

    async fn applied(&self) -> Result<BTreeSet<String>, tokio_postgres::Error> {
        let rows = self
            .client()
            .query_typed("SELECT version FROM __diesel_schema_migrations", &[])
            .await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    async fn run(&self, migration: &KnownMigration) -> Result<(), MigrateError> {
        const NOTE: &str = "INSERT INTO __diesel_schema_migrations (version) VALUES ($1)";
        self.apply(migration, &migration.up, NOTE).await
    }

    async fn revert(&self, migration: &KnownMigration) -> Result<(), MigrateError> {
        const NOTE: &str = "DELETE FROM __diesel_schema_migrations WHERE version = $1";
        let down = migration
            .down
            .as_ref()
            .ok_or_else(|| MigrateError::Source(format!("{} has no down.sql", migration.name)))?;
        self.apply(migration, down, NOTE).await
    }

    /// Runs the text and notes that it ran, both or neither if the migration allows for it.
    async fn apply(
        &self,
        migration: &KnownMigration,
        sql: &str,
        note: &str,
    ) -> Result<(), MigrateError> {
        let applied = async {
            if migration.in_transaction {
                self.client().batch_execute("BEGIN").await?;
            }
            self.client().batch_execute(sql).await?;
            let version = [(&migration.version as _, Type::VARCHAR)];
            self.client().execute_typed(note, &version).await?;
            if migration.in_transaction {
                self.client().batch_execute("COMMIT").await?;
            }
            Ok(())
        };
        // On an error the session ends, and with it whatever was open.
        applied.await.map_err(|error| MigrateError::Failed {
            migration: migration.name.clone(),
            cause: Error::of_statement(error),
        })
    }

    fn client(&self) -> &Client {
        self.connection.client()
    }
}
