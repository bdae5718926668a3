//! What handlers ask for in their arguments; whatever cannot be had is answered as a problem
//! that names the field.

mod json;
mod path;
mod query;

use std::ops::Deref;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::request::Parts;
use tenfold_context::{Context, Deadline, Priority};
use tenfold_db::ShardDatabase;
use tenfold_runtime::OffloadError;

pub use json::Json;
pub use path::Path;
pub use query::Query;

use crate::caller::Caller;
use crate::event_stream::Draining;
use crate::respond::{Error, Failure};

/// What the handlers on one shard can ask for.
#[derive(Clone, Debug)]
pub struct Resources {
    /// The database as this shard sees it, if the service has one.
    pub database: Option<ShardDatabase>,
    /// The threads for what would hold up the shard.
    pub offload: tenfold_runtime::Offload,
}

/// What the pipeline hands to the extractors: one extension, because each one is a place in a
/// map of the request.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) resources: Resources,
    pub(crate) draining: Draining,
}

/// What the pipeline puts into a request: the shard's part and the request's own.
#[derive(Clone, Debug)]
pub(crate) struct Within {
    pub(crate) shared: Arc<Shared>,
    pub(crate) caller: Caller,
}

impl Within {
    pub(crate) fn of(parts: &Parts) -> Result<&Within, Error> {
        let within = parts.extensions.get::<Within>();
        let outside = "an extractor of tenfold-server ran outside of its pipeline";
        within.ok_or_else(|| Failure::Misbuilt(outside).into())
    }
}

impl Shared {
    fn of(parts: &Parts) -> Result<&Shared, Error> {
        Within::of(parts).map(|within| &*within.shared)
    }
}

/// The database in the hands of this request: every wait ends at the request's deadline.
#[derive(Clone, Debug)]
pub struct Db(tenfold_db::Db);

impl Deref for Db {
    type Target = tenfold_db::Db;

    fn deref(&self) -> &tenfold_db::Db {
        &self.0
    }
}

impl<S: Sync> FromRequestParts<S> for Db {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Db, Error> {
        let database = Shared::of(parts)?.resources.database.as_ref();
        let none = "a handler asks for `Db` and the service has no database";
        let database = database.ok_or_else(|| Error::from(Failure::Misbuilt(none)))?;
        Ok(Db(database.handle(current())))
    }
}

impl<S: Sync> FromRequestParts<S> for Draining {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Draining, Error> {
        Shared::of(parts).map(|shared| shared.draining.clone())
    }
}

/// The offload pool in the hands of this request: what is not begun by its deadline never is.
#[derive(Clone, Debug)]
pub struct Offload {
    offload: tenfold_runtime::Offload,
    context: Context,
}

impl Offload {
    /// The same with another class in the line: a report that can wait gives way to what cannot.
    #[must_use]
    pub fn with_priority(self, priority: Priority) -> Offload {
        let Offload { offload, context } = self;
        Offload { offload, context: context.with_priority(priority) }
    }

    /// The same with less time: what is not begun by then never is. The request's own deadline
    /// stays where it is.
    #[must_use]
    pub fn with_deadline(self, deadline: Deadline) -> Offload {
        let Offload { offload, context } = self;
        let sooner = deadline.earlier(context.deadline());
        Offload { offload, context: context.with_deadline(sooner) }
    }

    /// Fails if there is no room for another job now, without waiting: first of all in a handler
    /// that has to ask the database before there is a job. What is refused then has cost next to
    /// nothing.
    ///
    /// # Errors
    /// See [`OffloadError`]; it answers by itself with `?`.
    pub fn check_room(&self) -> Result<(), OffloadError> {
        self.offload.check_room(&self.context)
    }

    /// Runs `job` on a thread where it may take its time, and waits for it.
    ///
    /// # Errors
    /// See [`OffloadError`]; it answers by itself with `?`.
    pub async fn run<T, F>(&self, job: F) -> Result<T, OffloadError>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.offload.run(&self.context, job).await
    }
}

impl<S: Sync> FromRequestParts<S> for Offload {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Offload, Error> {
        let offload = Shared::of(parts)?.resources.offload.clone();
        Ok(Offload { offload, context: current() })
    }
}

/// The request's context; a fresh one where a handler runs without the pipeline, as in a test.
fn current() -> Context {
    Context::current().unwrap_or_default()
}

/// The field that serde complains of: where it was, and the name in its message if the field is
/// not there, which no path can say.
pub(crate) fn field(path: &str, message: &str) -> String {
    let named = ["missing field `", "unknown field `"]
        .iter()
        .find_map(|start| message.strip_prefix(start)?.split('`').next());
    match (path, named) {
        (".", Some(name)) => name.to_owned(),
        // serde_path_to_error says the name of an unknown field itself.
        (_, Some(name)) if path == name || path.ends_with(&format!(".{name}")) => path.to_owned(),
        (_, Some(name)) => format!("{path}.{name}"),
        (".", None) => "body".to_owned(),
        _ => path.to_owned(),
    }
}
