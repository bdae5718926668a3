//! One product by its number, as the store has it in its table and on the wire.

use chrono::{DateTime, Utc};
use serde::Serialize;
use tokio_postgres::{Client, Error, Row, Statement};

const BY_ID: &str = "SELECT id, sku, name, description, price_cents, stock, created_at \
    FROM products WHERE id = $1";

/// The store's product, field by field.
#[derive(Debug, Serialize)]
pub(crate) struct Product {
    id: i64,
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
}

impl Products {
    pub(crate) async fn prepare(client: Client) -> Result<Products, Error> {
        let by_id = client.prepare(BY_ID).await?;
        Ok(Products { client, by_id })
    }

    pub(crate) async fn find(&self, id: i64) -> Result<Option<Product>, Error> {
        let row = self.client.query_opt(&self.by_id, &[&id]).await?;
        row.map(|row| product(&row)).transpose()
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
