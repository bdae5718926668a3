//! Whether the order of a query can carry a stream from chunk to chunk: its columns must be
//! unique together, or rows that share a key with the last one of a chunk are left out; and an
//! index must have them in this order, or Postgres sorts the whole table for each chunk.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};

use diesel::QueryableByName;
use diesel::sql_types;
use lru::LruCache;

use super::ordering::{OrderColumn, ordering};
use crate::database::{Db, rows};
use crate::error::{Error, Result};
use crate::query::{Key, Statement, sql_of};
use crate::row::{Origin, PgRow};

/// Queries of which one is remembered that they have a key. A service has as many as it has
/// exports; those that are put together at run time are what this bounds.
const KNOWN_MAX: NonZeroUsize = NonZeroUsize::new(512).expect("it is not zero");

/// Why a query cannot be streamed by key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UnusableKey {
    #[error("its query has no ORDER BY")]
    Unordered,
    #[error("its query has no LIMIT, and a chunk is held in memory whole")]
    Unlimited,
    #[error("its query has an OFFSET, which would leave out rows of every chunk")]
    Offset,
    #[error("number {place} of what its query orders by is not simply a column")]
    Expression { place: usize },
    #[error("its query orders by {column:?} and does not select it as a column of one table")]
    NotSelected { column: String },
    #[error(
        "its query orders by columns of several tables ({tables}), which no index has together"
    )]
    SeveralTables { tables: String },
    #[error("{table:?} is not a table, and so has no index")]
    NoTable { table: String },
    #[error("other tables inherit from {table:?}, and no index of it is about their rows")]
    Inherited { table: String },
    #[error("{column:?} of {table:?} may be NULL, and no row comes after NULL")]
    Nullable { table: String, column: String },
    #[error(
        "its query orders by ({key}) of {table:?}, and no unique index has only columns of these; \
         {indexes}"
    )]
    NotUnique { table: String, key: String, indexes: String },
    #[error(
        "its query orders by ({key}) of {table:?}, and no index has them in this order; {indexes}"
    )]
    NotIndexed { table: String, key: String, indexes: String },
    #[error(
        "two rows of a chunk have the same key, so others may have been left out between chunks"
    )]
    Repeated,
    #[error("a chunk begins with the row with which the one before it began")]
    Stuck,
}

/// Queries that are known to have a key, for as long as the process lives: an index that is
/// dropped meanwhile is not noticed.
#[derive(Debug)]
pub(crate) struct KnownKeys(Mutex<LruCache<Key, ()>>);

/// A query of which nobody knows whether it has a key.
pub(crate) struct Unknown {
    key: Key,
    order: Vec<OrderColumn>,
}

impl Default for KnownKeys {
    fn default() -> KnownKeys {
        KnownKeys(Mutex::new(LruCache::new(KNOWN_MAX)))
    }
}

impl KnownKeys {
    /// Looks at a query before it is sent. `None` if its key is known.
    pub(crate) fn look_at<Q: Statement>(&self, query: &Q) -> Result<Option<Unknown>> {
        let (key, sql) = match Q::query_id() {
            Some(id) => (Key::Type(id), None),
            None => {
                let sql = sql_of(query)?;
                (Key::Text(sql.clone(), Box::default()), Some(sql))
            }
        };
        if self.known().get(&key).is_some() {
            return Ok(None);
        }
        let sql = sql.map_or_else(|| sql_of(query), Ok)?;
        Ok(Some(Unknown { key, order: ordering(&sql).map_err(Error::unusable_key)? }))
    }

    fn known(&self) -> MutexGuard<'_, LruCache<Key, ()>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Unknown {
    /// Asks Postgres about the columns that the query orders by; `row` is one of its rows.
    pub(crate) async fn check(self, db: &Db, row: &PgRow) -> Result<()> {
        let columns: Vec<Origin> = row.origins().collect();
        let is_named = |origin: &&Origin| self.order.iter().any(|it| it.column == origin.column);
        let oids: Vec<u32> =
            columns.iter().filter(is_named).map(|origin| origin.table_oid).collect();
        let tables: Vec<Table> =
            rows(db, diesel::sql_query(TABLES).bind::<Array<sql_types::Oid>, _>(oids)).await?;
        let resolved = resolve(&self.order, &columns, &tables);
        let (table, places) = resolved.map_err(Error::unusable_key)?;
        let by_table = |sql| diesel::sql_query(sql).bind::<sql_types::Oid, _>(table.oid);
        let columns: Vec<Column> = rows(db, by_table(COLUMNS)).await?;
        let parts: Vec<IndexPart> = rows(db, by_table(INDEXES)).await?;
        judge(table, &places, &columns, &indexes(parts)).map_err(Error::unusable_key)?;
        db.known_keys().known().put(self.key, ());
        Ok(())
    }
}

type Array<T> = sql_types::Array<T>;

const TABLES: &str = "\
    SELECT c.oid AS oid, c.relname::text AS name, c.relkind IN ('r', 'p', 'm') AS has_rows, \
        c.relkind = 'r' AND EXISTS (SELECT FROM pg_catalog.pg_inherits WHERE inhparent = c.oid) \
            AS is_inherited \
    FROM pg_catalog.pg_class c WHERE c.oid = ANY ($1)";

#[derive(Clone, Debug, QueryableByName)]
struct Table {
    #[diesel(sql_type = sql_types::Oid)]
    oid: u32,
    #[diesel(sql_type = sql_types::Text)]
    name: String,
    #[diesel(sql_type = sql_types::Bool)]
    has_rows: bool,
    #[diesel(sql_type = sql_types::Bool)]
    is_inherited: bool,
}

const COLUMNS: &str = "\
    SELECT a.attnum AS place, a.attname::text AS name, a.attnotnull AS is_never_null \
    FROM pg_catalog.pg_attribute a WHERE a.attrelid = $1 AND a.attnum > 0";

#[derive(Clone, Debug, QueryableByName)]
struct Column {
    #[diesel(sql_type = sql_types::SmallInt)]
    place: i16,
    #[diesel(sql_type = sql_types::Text)]
    name: String,
    #[diesel(sql_type = sql_types::Bool)]
    is_never_null: bool,
}

/// Of a column with another collation, or other operators than its type's own, an index has
/// another order. 1 in indoption is DESC.
const INDEXES: &str = "\
    SELECT x.relname::text AS name, i.indisunique AS is_unique, i.indkey[n] AS place, \
        (i.indoption[n] & 1) = 1 AS is_descending, \
        o.opcdefault AND i.indcollation[n] = coalesce(a.attcollation, 0) AS has_usual_order \
    FROM pg_catalog.pg_index i \
        JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid \
        JOIN pg_catalog.pg_am m ON m.oid = x.relam AND m.amname = 'btree' \
        CROSS JOIN LATERAL generate_series(0, i.indnkeyatts - 1) n \
        JOIN pg_catalog.pg_opclass o ON o.oid = i.indclass[n] \
        LEFT JOIN pg_catalog.pg_attribute a \
            ON a.attrelid = i.indrelid AND a.attnum = i.indkey[n] AND a.attnum > 0 \
    WHERE i.indrelid = $1 AND i.indisvalid AND i.indpred IS NULL \
    ORDER BY i.indisprimary DESC, x.relname, n";

#[derive(Clone, Debug, QueryableByName)]
struct IndexPart {
    #[diesel(sql_type = sql_types::Text)]
    name: String,
    #[diesel(sql_type = sql_types::Bool)]
    is_unique: bool,
    /// 0 for an expression.
    #[diesel(sql_type = sql_types::SmallInt)]
    place: i16,
    #[diesel(sql_type = sql_types::Bool)]
    is_descending: bool,
    #[diesel(sql_type = sql_types::Bool)]
    has_usual_order: bool,
}

/// One index, its parts in their order.
#[derive(Clone, Debug)]
struct Index {
    name: String,
    is_unique: bool,
    parts: Vec<IndexPart>,
}

fn indexes(parts: Vec<IndexPart>) -> Vec<Index> {
    let mut indexes: Vec<Index> = Vec::new();
    for part in parts {
        match indexes.last_mut().filter(|index| index.name == part.name) {
            Some(index) => index.parts.push(part),
            None => {
                let (name, is_unique) = (part.name.clone(), part.is_unique);
                indexes.push(Index { name, is_unique, parts: vec![part] });
            }
        }
    }
    indexes
}

/// A column of the key by its number in the table, and whether it is ordered downwards.
type KeyPlace = (i16, bool);

/// Finds the columns among those that the query selects: only there Postgres says where they
/// come from, whatever the query calls their table.
fn resolve<'a>(
    order: &[OrderColumn],
    columns: &[Origin],
    tables: &'a [Table],
) -> Result<(&'a Table, Vec<KeyPlace>), UnusableKey> {
    let table_of = |origin: &Origin| tables.iter().find(|table| table.oid == origin.table_oid);
    let mut found: Vec<(&Table, KeyPlace)> = Vec::new();
    for wanted in order {
        let mut candidates: Vec<(&Table, i16)> = columns
            .iter()
            .filter(|origin| origin.column == wanted.column)
            .filter_map(|origin| Some((table_of(origin)?, origin.place)))
            .collect();
        candidates.sort_by_key(|(table, place)| (table.oid, *place));
        candidates.dedup_by_key(|(table, place)| (table.oid, *place));
        if candidates.len() > 1 {
            candidates.retain(|(table, _)| wanted.table.as_ref() == Some(&table.name));
        }
        let [(table, place)] = candidates[..] else {
            return Err(UnusableKey::NotSelected { column: wanted.column.clone() });
        };
        found.push((table, (place, wanted.descending)));
    }
    let Some((table, _)) = found.first().copied() else { return Err(UnusableKey::Unordered) };
    if found.iter().any(|(other, _)| other.oid != table.oid) {
        let mut names: Vec<&str> = found.iter().map(|(table, _)| table.name.as_str()).collect();
        names.dedup();
        return Err(UnusableKey::SeveralTables { tables: names.join(", ") });
    }
    Ok((table, found.into_iter().map(|(_, place)| place).collect()))
}

/// Whether the key is one.
fn judge(
    table: &Table,
    key: &[KeyPlace],
    columns: &[Column],
    indexes: &[Index],
) -> Result<(), UnusableKey> {
    let columns: BTreeMap<i16, &Column> = columns.iter().map(|it| (it.place, it)).collect();
    let name = |place: i16| {
        columns.get(&place).map_or("an expression", |column| column.name.as_str()).to_owned()
    };
    let table_name = || table.name.clone();
    if !table.has_rows {
        return Err(UnusableKey::NoTable { table: table_name() });
    }
    if table.is_inherited {
        return Err(UnusableKey::Inherited { table: table_name() });
    }
    let is_nullable =
        |(place, _): &&KeyPlace| columns.get(place).is_none_or(|column| !column.is_never_null);
    if let Some((place, _)) = key.iter().find(is_nullable) {
        return Err(UnusableKey::Nullable { table: table_name(), column: name(*place) });
    }
    let shown =
        |places: &mut dyn Iterator<Item = i16>| places.map(name).collect::<Vec<_>>().join(", ");
    let shown_key = || shown(&mut key.iter().map(|(place, _)| *place));
    let list = |wanted: &dyn Fn(&Index) -> bool, kind: &str| {
        let listed: Vec<String> = indexes
            .iter()
            .filter(|index| wanted(index))
            .map(|index| {
                let parts = shown(&mut index.parts.iter().map(|part| part.place));
                format!("{} ({parts})", index.name)
            })
            .collect();
        match listed.is_empty() {
            true => format!("it has no {kind}"),
            false => format!("it has {}", listed.join(", ")),
        }
    };
    if !indexes.iter().any(|index| index.makes_unique(key)) {
        let indexes = list(&|index| index.is_unique, "unique index");
        return Err(UnusableKey::NotUnique { table: table_name(), key: shown_key(), indexes });
    }
    if !indexes.iter().any(|index| index.has_order_of(key)) {
        let indexes = list(&|_| true, "index");
        return Err(UnusableKey::NotIndexed { table: table_name(), key: shown_key(), indexes });
    }
    Ok(())
}

impl Index {
    fn makes_unique(&self, key: &[KeyPlace]) -> bool {
        let in_key = |part: &IndexPart| key.iter().any(|(place, _)| *place == part.place);
        self.is_unique && self.parts.iter().all(in_key)
    }

    /// Read forwards or backwards. What is unique already needs no order among its equals.
    fn has_order_of(&self, key: &[KeyPlace]) -> bool {
        let read = |backwards: bool| {
            self.parts.iter().zip(key).all(|(part, (place, descending))| {
                part.place == *place
                    && part.has_usual_order
                    && part.is_descending == (*descending != backwards)
            })
        };
        (self.is_unique || self.parts.len() >= key.len()) && (read(false) || read(true))
    }
}

#[cfg(test)]
mod tests;
