//! A diesel query as a value: what travels of it, and how rows become what it promised.

use std::any::TypeId;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use diesel::deserialize::FromSqlRow;
use diesel::pg::{Pg, PgQueryBuilder};
use diesel::query_builder::{AsQuery, QueryBuilder, QueryFragment, QueryId};
use diesel::query_dsl::CompatibleType;
use tokio_postgres::types::Oid;

use crate::binds::Binds;
use crate::error::{Error, Result};
use crate::row::PgRow;

/// Anything that diesel can build for Postgres: select, insert, update, delete, raw SQL with
/// typed binds; static or boxed. Implemented for all of them.
pub trait Statement: QueryFragment<Pg> + QueryId + Send {}

impl<Q: QueryFragment<Pg> + QueryId + Send> Statement for Q {}

/// A query whose rows can be read as `U`. Implemented for every diesel query and table whose
/// columns fit.
pub trait Yields<U>: Send {
    /// The query itself; for a table, the select of all its columns.
    type Statement: Statement;

    /// Turns a table or expression into the query that it stands for.
    fn into_statement(self) -> Self::Statement;

    /// Reads one row.
    #[doc(hidden)]
    fn decode(row: &PgRow) -> diesel::deserialize::Result<U>;
}

impl<Q, U> Yields<U> for Q
where
    Q: AsQuery + Send,
    Q::Query: QueryFragment<Pg> + QueryId + Send,
    Q::SqlType: CompatibleType<U, Pg>,
    U: FromSqlRow<<Q::SqlType as CompatibleType<U, Pg>>::SqlType, Pg>,
{
    type Statement = Q::Query;

    fn into_statement(self) -> Q::Query {
        self.as_query()
    }

    fn decode(row: &PgRow) -> diesel::deserialize::Result<U> {
        U::build_from_row(row)
    }
}

/// What identifies a prepared statement on a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// The query's shape is its type: found without building any SQL.
    Type(TypeId),
    /// A query that is put together at run time: its text and the types of its binds.
    Text(Arc<str>, Box<[Oid]>),
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // The kind is left out: a type's number is random already, and no text has its hash.
        match self {
            Key::Type(id) => id.hash(state),
            Key::Text(sql, types) => (sql, types).hash(state),
        }
    }
}

impl Key {
    pub(crate) fn of<Q: Statement>(query: &Q, binds: &Binds) -> Result<Key> {
        Ok(match Q::query_id() {
            Some(id) => Key::Type(id),
            None => Key::Text(sql_of(query)?, binds.types()?),
        })
    }
}

/// The SQL text of a query.
pub(crate) fn sql_of<Q: QueryFragment<Pg>>(query: &Q) -> Result<Arc<str>> {
    let mut builder = PgQueryBuilder::default();
    query.to_sql(&mut builder, &Pg).map_err(Error::mistranslated)?;
    Ok(builder.finish().into())
}
