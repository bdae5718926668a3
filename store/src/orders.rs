//! Selling: an order takes its pieces off the shelf and is written down, both or neither, and
//! never more pieces than there are.

use axum::Router;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use chrono::{DateTime, Utc};
use diesel::pg::Pg;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use tenfold::db::Yields;
use tenfold::{Db, Error, Json, Path, Result};

use crate::schema::{orders, products};

/// The most pieces that one order may take: a flash sale should serve many.
pub const QUANTITY_MAX: i32 = 10;

pub(crate) fn routes() -> Router {
    Router::new().route("/orders", post(place)).route("/orders/{id}", get(read))
}

/// An order as it is in the table and on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Queryable, Selectable, Serialize)]
#[diesel(table_name = orders, check_for_backend(Pg))]
pub struct Order {
    /// Its number.
    pub id: i64,
    /// The product that was sold.
    pub product_id: i64,
    /// How many pieces.
    pub quantity: i32,
    /// The price of one piece at that moment, in euro cents.
    pub price_cents: i32,
    /// When that was.
    pub placed_at: DateTime<Utc>,
}

/// What somebody would like to buy.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewOrder {
    /// The product's number.
    pub product_id: i64,
    /// How many pieces.
    pub quantity: Quantity,
}

async fn place(db: Db, Json(order): Json<NewOrder>) -> Result<impl IntoResponse> {
    let placed = db
        .transaction("place_order", async |tx| {
            let Some(price_cents) = tx.optional(reserve(&order)).await? else {
                let left = tx.optional(pieces_left(order.product_id)).await?;
                return Err(cannot_be_sold(&order, left));
            };
            Ok(tx.first(insert(&order, price_cents)).await?)
        })
        .await?;
    let location = format!("/orders/{}", placed.id);
    Ok((StatusCode::CREATED, [(LOCATION, location)], Json(placed)))
}

async fn read(db: Db, Path(id): Path<i64>) -> Result<Json<Order>> {
    Ok(Json(db.first(by_id(id)).await?))
}

/// Takes the pieces off the shelf if there are enough, and yields the price of one. Looking and
/// taking are one statement: of two orders for the last piece, Postgres lets the second look
/// again when the first is through.
fn reserve(order: &NewOrder) -> impl Yields<i32> {
    let Quantity(quantity) = order.quantity;
    diesel::update(products::table.find(order.product_id))
        .filter(products::stock.ge(quantity))
        .set(products::stock.eq(products::stock - quantity))
        .returning(products::price_cents)
}

fn insert(order: &NewOrder, price_cents: i32) -> impl Yields<Order> {
    let Quantity(quantity) = order.quantity;
    diesel::insert_into(orders::table)
        .values((
            orders::product_id.eq(order.product_id),
            orders::quantity.eq(quantity),
            orders::price_cents.eq(price_cents),
        ))
        .returning(Order::as_returning())
}

fn pieces_left(product_id: i64) -> impl Yields<i32> {
    products::table.find(product_id).select(products::stock)
}

fn by_id(id: i64) -> impl Yields<Order> {
    orders::table.find(id).select(Order::as_select())
}

/// Why nothing could be reserved, given how many pieces there are of that product, if there is
/// such a product at all.
fn cannot_be_sold(order: &NewOrder, left: Option<i32>) -> Error {
    let id = order.product_id;
    match left {
        None => {
            let why = format!("there is no product {id}");
            Error::problem(StatusCode::NOT_FOUND, "unknown_product", why)
        }
        Some(0) => {
            let why = format!("product {id} is sold out");
            Error::problem(StatusCode::CONFLICT, "sold_out", why)
        }
        Some(left) => {
            let Quantity(quantity) = order.quantity;
            let why = format!("{quantity} of product {id} are wanted and {left} left");
            Error::problem(StatusCode::CONFLICT, "sold_out", why)
        }
    }
}

/// How many pieces one order takes: from 1 to [`QUANTITY_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "i64")]
pub struct Quantity(i32);

impl TryFrom<i64> for Quantity {
    type Error = String;

    fn try_from(pieces: i64) -> Result<Quantity, String> {
        match i32::try_from(pieces) {
            Ok(pieces @ 1..=QUANTITY_MAX) => Ok(Quantity(pieces)),
            _ => Err(format!("must be from 1 to {QUANTITY_MAX}, not {pieces}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new_order(json: &str) -> Result<NewOrder, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn an_order_is_for_one_to_ten_pieces() {
        for quantity in [1, QUANTITY_MAX] {
            let order = new_order(&format!(r#"{{"product_id": 7, "quantity": {quantity}}}"#));
            assert_eq!(order, Ok(NewOrder { product_id: 7, quantity: Quantity(quantity) }));
        }
        for quantity in ["0", "-1", "11", "4294967297", "9223372036854775807"] {
            let said = new_order(&format!(r#"{{"product_id": 7, "quantity": {quantity}}}"#));
            let said = said.expect_err(quantity);
            assert!(said.starts_with(&format!("must be from 1 to 10, not {quantity}")), "{said}");
        }
    }

    #[test]
    fn what_is_no_order_is_none() {
        for json in [
            r#"{"product_id": 7}"#,
            r#"{"quantity": 1}"#,
            r#"{"product_id": 7, "quantity": "1"}"#,
            r#"{"product_id": 7, "quantity": 1.5}"#,
            r#"{"product_id": 7, "quantity": null}"#,
            r#"{"product_id": 7, "quantity": 1, "price_cents": 1}"#,
        ] {
            assert!(new_order(json).is_err(), "{json}");
        }
    }
}
