//! A diesel query as a value: what travels of it, and how rows become what it promised.

use std::any::TypeId;
use std::sync::Arc;

use diesel::deserialize::FromSqlRow;
use diesel::pg::{Pg, PgQueryBuilder};
use diesel::query_builder::bind_collector::RawBytesBindCollector;
use diesel::query_builder::{AsQuery, QueryBuilder, QueryFragment, QueryId};
use diesel::query_dsl::CompatibleType;
use tokio_postgres::types::Oid;

use crate::error::{Error, Result};
use crate::row::PgRow;
use crate::types::{CustomTypes, FirstLook, MissingTypes};

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
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    /// The query's shape is its type: found without building any SQL.
    Type(TypeId),
    /// A query that is put together at run time: its text and the types of its binds.
    Text(Arc<str>, Box<[Oid]>),
}

/// What travels to Postgres for one run of a query.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) key: Key,
    /// Values in Postgres' binary format; `None` is NULL.
    pub(crate) binds: Vec<Option<Vec<u8>>>,
    /// The types of the values, for preparing.
    pub(crate) bind_types: Vec<Oid>,
    /// Whether diesel says that the text can come again; else it is run without a name.
    pub(crate) cacheable: bool,
}

impl Request {
    /// Takes out of a query what travels. `Err` names custom types (enums, domains, …) that
    /// `types` has to look up first.
    pub(crate) fn of<Q: Statement>(
        query: &Q,
        types: &Arc<CustomTypes>,
    ) -> Result<Result<Request, MissingTypes>> {
        let mut collector = RawBytesBindCollector::<Pg>::new();
        let mut first_look = FirstLook::default();
        query.collect_binds(&mut collector, &mut first_look, &Pg).map_err(Error::mistranslated)?;
        if first_look.saw_custom_type() {
            collector = RawBytesBindCollector::new();
            let mut lookup = types.lookup();
            query.collect_binds(&mut collector, &mut lookup, &Pg).map_err(Error::mistranslated)?;
            if let Some(missing) = lookup.missing() {
                return Ok(Err(missing));
            }
        }
        let mut bind_types = Vec::with_capacity(collector.metadata.len());
        for metadata in &collector.metadata {
            bind_types.push(metadata.oid().map_err(Error::mistranslated)?);
        }
        let cacheable = query.is_safe_to_cache_prepared(&Pg).map_err(Error::mistranslated)?;
        let key = match Q::query_id() {
            Some(id) => Key::Type(id),
            None => Key::Text(sql_of(query)?, bind_types.as_slice().into()),
        };
        Ok(Ok(Request { key, binds: collector.binds, bind_types, cacheable }))
    }
}

/// The SQL text of a query.
pub(crate) fn sql_of<Q: QueryFragment<Pg>>(query: &Q) -> Result<Arc<str>> {
    let mut builder = PgQueryBuilder::default();
    query.to_sql(&mut builder, &Pg).map_err(Error::mistranslated)?;
    Ok(builder.finish().into())
}
