//! Runs one statement on a given connection and reads its rows: the part that the shared lane,
//! the exclusive lane and transactions have in common.
//!
//! The statement is lent, so that whoever has it can run it again on another connection.

use std::pin::pin;
use std::sync::Arc;

use futures_util::TryStreamExt;

use crate::connection::{Connection, FirstRow};
use crate::error::{Error, Result};
use crate::query::{Statement, Yields};
use crate::row::PgRow;
use crate::types::CustomTypes;

/// All rows.
pub(crate) async fn load<U, Q: Yields<U>>(
    connection: &Arc<Connection>,
    types: &Arc<CustomTypes>,
    statement: &mut Q::Statement,
) -> Result<Vec<U>> {
    let mut rows = pin!(connection.rows(statement, types).await?);
    let mut values = Vec::new();
    while let Some(row) = rows.try_next().await? {
        values.push(decode::<U, Q>(&row)?);
    }
    Ok(values)
}

/// All rows, and the first of them as it came: it knows where its columns come from.
pub(crate) struct Loaded<U> {
    pub(crate) values: Vec<U>,
    pub(crate) first_row: Option<PgRow>,
}

/// All rows of a statement that is expected to have so many.
pub(crate) async fn load_at_once<U, Q: Yields<U>>(
    connection: &Arc<Connection>,
    types: &Arc<CustomTypes>,
    statement: &mut Q::Statement,
    count: usize,
) -> Result<Loaded<U>> {
    let mut rows = pin!(connection.rows(statement, types).await?);
    let mut loaded = Loaded { values: Vec::with_capacity(count), first_row: None };
    while let Some(row) = rows.try_next().await? {
        loaded.values.push(decode::<U, Q>(&row)?);
        loaded.first_row.get_or_insert(row);
    }
    Ok(loaded)
}

/// The first row. Rows behind it are complained about, since Postgres should not have been asked
/// for them.
pub(crate) async fn optional<U, Q: Yields<U>>(
    connection: &Arc<Connection>,
    types: &Arc<CustomTypes>,
    statement: &mut Q::Statement,
) -> Result<Option<U>> {
    let FirstRow { row, superfluous } = connection.first_row(statement, types).await?;
    let Some(row) = row else { return Ok(None) };
    let value = decode::<U, Q>(&row)?;
    if superfluous > 0 {
        tracing::warn!(
            superfluous,
            query = std::any::type_name::<Q>(),
            "a query for one row yields more: add .limit(1)"
        );
    }
    Ok(Some(value))
}

/// No rows, only the effect.
pub(crate) async fn execute<Q: Statement>(
    connection: &Arc<Connection>,
    types: &Arc<CustomTypes>,
    statement: &mut Q,
) -> Result<u64> {
    connection.execute(statement, types).await
}

/// One row as the value that the query promised.
pub(crate) fn decode<U, Q: Yields<U>>(row: &PgRow) -> Result<U> {
    Q::decode(row).map_err(Error::mistranslated)
}
