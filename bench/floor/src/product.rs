//! One product by its number, as the store has it in its table and on the wire.

use chrono::{DateTime, Utc};
use serde::Serialize;
use tokio_postgres::{Client, Error, Row, Statement};

const BY_ID: &str = "SELECT id, sku, name, description, price_cents, stock, created_at \
    FROM products WHERE id = $1";

/// As many at once as the store's export asks for.
const AFTER: &str = "SELECT id, sku, name, description, price_cents, stock, created_at \
    FROM products WHERE id > $1 ORDER BY id LIMIT 500";

/// The store's product, field by field.
#[derive(Debug, Serialize)]
pub(crate) struct Product {
    pub(crate) id: i64,
    sku: String,
    name: String,
    description: String,
    price_cents: i32,
    stock: i32,
    created_at: DateTime<Utc>,
}

/// The way to all products. Requests that come together are pipelined by the client.
pub(crate) struct Products {
    client: Client,
    by_id: Statement,
    after: Statement,
}

impl Products {
    pub(crate) async fn prepare(client: Client) -> Result<Products, Error> {
        let by_id = client.prepare(BY_ID).await?;
        let after = client.prepare(AFTER).await?;
        Ok(Products { client, by_id, after })
    }

    pub(crate) async fn find(&self, id: i64) -> Result<Option<Product>, Error> {
        let row = self.client.query_opt(&self.by_id, &[&id]).await?;
        row.map(|row| product(&row)).transpose()
    }

    /// The products with the next higher numbers.
    pub(crate) async fn after(&self, id: i64) -> Result<Vec<Product>, Error> {
        let rows = self.client.query(&self.after, &[&id]).await?;
        rows.iter().map(product).collect()
    }
}

fn product(row: &Row) -> Result<Product, Error> {
    Ok(Product {
        id: row.try_get(0)?,
        sku: row.try_get(1)?,
        name: row.try_get(2)?,
        description: row.try_get(3)?,
        price_cents: row.try_get(4)?,
        stock: row.try_get(5)?,
        created_at: row.try_get(6)?,
    })
}
