//! Runs one statement on a given connection and reads its rows: the part that the shared lane,
//! the exclusive lane and transactions have in common.

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
    query: Q,
) -> Result<Vec<U>> {
    let mut rows = pin!(connection.rows(query.into_statement(), types).await?);
    let mut values = Vec::new();
    while let Some(row) = rows.try_next().await? {
        values.push(decode::<U, Q>(&row)?);
    }
    Ok(values)
}

/// The first row. Rows behind it are complained about, since Postgres should not have been asked
/// for them.
pub(crate) async fn optional<U, Q: Yields<U>>(
    connection: &Arc<Connection>,
    types: &Arc<CustomTypes>,
    query: Q,
) -> Result<Option<U>> {
    let FirstRow { row, superfluous } = connection.first_row(query.into_statement(), types).await?;
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
    query: Q,
) -> Result<u64> {
    connection.execute(query, types).await
}

/// One row as the value that the query promised.
pub(crate) fn decode<U, Q: Yields<U>>(row: &PgRow) -> Result<U> {
    Q::decode(row).map_err(Error::mistranslated)
}
