//! Rows as a binary COPY: the quickest way into a table, for more rows than memory should hold.

use std::pin::pin;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use diesel::insertable::Insertable;
use diesel::pg::{Pg, PgQueryBuilder};
use diesel::query_builder::{QueryBuilder, QueryFragment, ValuesClause};
use diesel::query_source::{QuerySource, Table};
use futures_util::{SinkExt, Stream, StreamExt, TryFutureExt};
use tenfold_context::{Moment, aside};

use super::{Collector, Row, write_fields};
use crate::copy::{CopyInError, commit, keep_session};
use crate::database::Db;
use crate::error::{Error, Result};
use crate::pool::Work;
use crate::query::sql_of;
use crate::types::{CustomTypes, MissingTypes};

/// How many bytes of rows are sent at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// What a binary COPY begins with: its signature, no flags, no extension. See "Binary Format" at
/// <https://www.postgresql.org/docs/current/sql-copy.html>.
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

/// What it ends with, in the place of the number of fields of a row.
const TRAILER: i16 = -1;

impl Db {
    /// Copies rows into a table, on a connection of its own and at the pace at which Postgres
    /// takes them; the number of rows that came in. Nothing came in unless all did. The rows are
    /// what [`batch`](super::batch()) takes, arrays included:
    ///
    /// ```
    /// # use diesel::prelude::*;
    /// # use futures_util::Stream;
    /// # use tenfold_db::{Db, Result};
    /// # diesel::table! { products { id -> BigInt, name -> Text, tags -> Array<Text>, } }
    /// #[derive(Insertable)]
    /// #[diesel(table_name = products, treat_none_as_default_value = false)]
    /// struct NewProduct {
    ///     name: String,
    ///     tags: Vec<String>,
    /// }
    ///
    /// async fn import(db: &Db, new: impl Stream<Item = NewProduct>) -> Result<u64> {
    ///     db.copy_rows(products::table, new).await
    /// }
    /// ```
    ///
    /// COPY converts nothing: a column's type has to be the very one that `table!` says, where an
    /// insert would also take a `varchar(9)` for a `jsonb`.
    ///
    /// The end of `rows` is taken for the end of what is to come in. Rows that come from a source
    /// which may break in the middle belong to [`Db::try_copy_rows`].
    ///
    /// # Errors
    /// See [`Error`]. When the deadline passes, or the caller leaves, Postgres takes back what it
    /// had, unless it had all of it.
    #[track_caller]
    pub fn copy_rows<Tab, S, R>(&self, table: Tab, rows: S) -> impl Future<Output = Result<u64>>
    where
        Tab: Table + QuerySource<FromClause: QueryFragment<Pg>>,
        S: Stream<Item: Insertable<Tab, Values = ValuesClause<R, Tab>>>,
        R: Row<Tab>,
    {
        self.try_copy_rows(table, rows.map(Ok::<_, Error>))
    }

    /// The same with rows of which one may be an error: then Postgres takes back what it had, and
    /// the error is what comes back.
    ///
    /// # Errors
    /// That of `rows`, or as in [`Db::copy_rows`].
    #[track_caller]
    pub fn try_copy_rows<Tab, S, T, R, E>(
        &self,
        table: Tab,
        rows: S,
    ) -> impl Future<Output = Result<u64, E>>
    where
        Tab: Table + QuerySource<FromClause: QueryFragment<Pg>>,
        S: Stream<Item = Result<T, E>>,
        T: Insertable<Tab, Values = ValuesClause<R, Tab>>,
        R: Row<Tab>,
        E: From<Error>,
    {
        aside::aside("COPY on another connection", async move {
            let sql = copy_sql::<Tab, R>(&table)?;
            // What is looked up goes another way: the connection will be busy with COPY.
            let shared = self.shared();
            let mut encoder = Encoder::new();
            let mut rows = pin!(rows);
            // The first row comes before the connection: until there is one none is held, and its
            // types, which are those of all rows, are looked up while none is. Where a pooler lends
            // few sessions, those who COPY would wait for one that they hold themselves.
            let began = Moment::now();
            let first = tokio::time::timeout_at(self.context().deadline().instant(), rows.next());
            let first = first
                .await
                .map_err(|_elapsed| Error::DeadlinePassed { after: Moment::now().since(began) })?;
            if let Some(row) = first.transpose()? {
                encoder.take::<Tab, R>(&shared, row.values().values).await?;
            }
            let exclusive = self.take_exclusive(Work::Copy).await?;
            let connection = exclusive.connection();
            let copy = async {
                keep_session(connection).await.map_err(CopyInError::ours)?;
                let sink = connection.client().copy_in::<_, Bytes>(&sql).await?;
                let mut sink = pin!(sink);
                while let Some(row) = rows.next().await {
                    let row = row.map_err(CopyInError::Source)?.values().values;
                    let taken = encoder.take::<Tab, R>(&shared, row).await;
                    taken.map_err(CopyInError::ours)?;
                    if encoder.bytes.len() >= CHUNK_BYTES {
                        sink.feed(encoder.bytes.split().freeze()).await?;
                    }
                }
                encoder.bytes.put_i16(TRAILER);
                sink.feed(encoder.bytes.freeze()).await?;
                let copied = sink.finish().await?;
                let committed = commit(connection).await;
                committed.map(|()| copied).map_err(CopyInError::ours)
            };
            let copy = copy.inspect_err(|error| {
                if let CopyInError::Driver(_) = error {
                    // Maybe because a type has been made anew; to look up once more is cheap.
                    self.types().forget();
                }
            });
            self.watch_copy_in(connection, copy).await
        })
    }
}

fn copy_sql<Tab, R>(table: &Tab) -> Result<String>
where
    Tab: Table + QuerySource<FromClause: QueryFragment<Pg>>,
    R: Row<Tab>,
{
    let mut sql = PgQueryBuilder::default();
    sql.push_sql("COPY ");
    sql.push_sql(&sql_of(&table.from_clause())?);
    for (index, column) in R::COLUMNS.iter().enumerate() {
        sql.push_sql(if index == 0 { " (" } else { ", " });
        sql.push_identifier(column).map_err(Error::mistranslated)?;
    }
    sql.push_sql(") FROM STDIN (FORMAT binary)");
    Ok(sql.finish())
}

/// Puts rows into the form of a binary COPY.
struct Encoder {
    bytes: BytesMut,
    values: Collector,
}

impl Encoder {
    fn new() -> Encoder {
        Encoder { bytes: BytesMut::from(HEADER), values: Collector::new() }
    }

    /// Appends a row, looking up types that are not known yet.
    async fn take<Tab, R: Row<Tab>>(&mut self, db: &Db, row: R) -> Result<()> {
        loop {
            let missing = self.push::<Tab, R>(&row, db.types())?;
            let Some(missing) = missing else { return Ok(()) };
            db.types().learn_from(db, missing).await?;
        }
    }

    /// Appends a row, unless it has values of types that have to be looked up first.
    fn push<Tab, R: Row<Tab>>(
        &mut self,
        row: &R,
        types: &Arc<CustomTypes>,
    ) -> Result<Option<MissingTypes>> {
        let mut lookup = types.lookup();
        row.collect(&mut self.values, &mut lookup).map_err(Error::mistranslated)?;
        if let Some(missing) = lookup.missing() {
            self.values = Collector::new();
            return Ok(Some(missing));
        }
        // A table has at most 1,600 columns.
        let fields = i16::try_from(R::COLUMNS.len()).map_err(Error::mistranslated)?;
        self.bytes.put_i16(fields);
        write_fields(&mut (&mut self.bytes).writer(), &mut self.values)
            .map_err(Error::mistranslated)?;
        Ok(None)
    }
}
