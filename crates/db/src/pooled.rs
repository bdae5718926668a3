//! What a session behind a pooler needs before its first statement: the driver looks up types of
//! one's own in several steps, with named statements, and there each step may come to another
//! session of Postgres. So it looks them up beforehand, all in one transaction.

use futures_util::{StreamExt, pin_mut};
use tokio_postgres::Client;
use tokio_postgres::types::ToSql;

/// Enums, ranges, the types of extensions, rows that are types of their own, and arrays of all of
/// these. Rows of tables are left out: there are as many as tables, and hardly a query has one.
const TYPES: &str = "
    SELECT pg_catalog.format_type(t.oid, NULL) FROM pg_catalog.pg_type t
    LEFT JOIN pg_catalog.pg_type element ON element.oid = t.typelem AND t.typcategory = 'A'
    LEFT JOIN pg_catalog.pg_class c ON c.oid = coalesce(element.typrelid, t.typrelid)
    WHERE t.oid >= 16384 AND t.typtype IN ('b', 'c', 'e', 'r', 'm')
      AND (c.oid IS NULL OR c.relkind = 'c')
    ORDER BY t.oid";

/// Postgres takes no more columns in one answer than 1,664.
const TYPES_AT_ONCE_MAX: usize = 500;

/// Makes the driver know all types of one's own. The names of its statements may be taken in this
/// session of Postgres, by whoever had it before, and are given up afterwards.
pub(crate) async fn learn_types(client: &Client) -> Result<(), tokio_postgres::Error> {
    let rows = client.query_typed(TYPES, &[]).await?;
    if rows.is_empty() {
        return Ok(());
    }
    let types: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    client.batch_execute("BEGIN READ ONLY; DEALLOCATE ALL").await?;
    for types in types.chunks(TYPES_AT_ONCE_MAX) {
        let sql = types.iter().map(|name| format!("NULL::{name}")).collect::<Vec<_>>().join(", ");
        let none = std::iter::empty::<(&(dyn ToSql + Sync), _)>();
        let rows = client.query_typed_raw(&format!("SELECT {sql}"), none).await?;
        pin_mut!(rows);
        while let Some(row) = rows.next().await {
            row?;
        }
    }
    client.batch_execute("DEALLOCATE ALL; COMMIT").await
}
