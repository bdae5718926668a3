//! The shop of the guide: each piece of Rust that it shows stands here.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use diesel::dsl::sum;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Integer, Text};
use diesel::upsert::excluded;
use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use futures_util::{TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use tenfold::context::Deadline;
use tenfold::db::{self, Class, Lsn, NoLsn, PostgresError, batch};
use tenfold::{Db, Error, Json, Path, Query, Result, Service, csv, json_array, ndjson, raw};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("tests/it/database_guide/migrations");

diesel::table! {
    products (id) {
        id -> BigInt,
        sku -> Text,
        name -> Text,
        price_cents -> Integer,
        stock -> Integer,
        note -> Nullable<Text>,
    }
}

diesel::table! {
    orders (id) {
        id -> BigInt,
        product_id -> BigInt,
        quantity -> Integer,
    }
}

diesel::joinable!(orders -> products (product_id));
diesel::allow_tables_to_appear_in_same_query!(orders, products);

#[derive(Queryable, Selectable, Serialize)]
#[diesel(table_name = products, check_for_backend(Pg))]
struct Product {
    id: i64,
    sku: String,
    name: String,
    price_cents: i32,
    stock: i32,
    note: Option<String>,
}

#[derive(Insertable, Deserialize)]
#[diesel(table_name = products, treat_none_as_default_value = false)]
struct NewProduct {
    sku: String,
    name: String,
    price_cents: i32,
    stock: i32,
    note: Option<String>,
}

pub(super) fn service() -> Service {
    tenfold::service("shop").migrations(MIGRATIONS).routes(routes)
}

fn routes() -> Router {
    Router::new()
        .route("/products", get(search).post(create))
        .route("/products/{id}", get(product))
        .route("/products/{id}/quick", get(quickly))
        .route("/products/cheap", get(cheap))
        .route("/products/sold", get(sold))
        .route("/products/by-price", get(by_price))
        .route("/products/import", post(import))
        .route("/products/upsert", post(upsert))
        .route("/products/what-can-be", post(import_what_can_be))
        .route("/products/copy", post(copy))
        .route("/products/upload", post(upload))
        .route("/products/bestsellers", get(bestsellers))
        .route("/orders", post(buy))
        .route("/orders/{id}", get(order))
        .route("/restock", post(restock))
        .route("/export.ndjson", get(export))
        .route("/export.json", get(snapshot))
        .route("/export.csv", get(as_csv))
        .route("/copy.csv", get(copy_out))
}

async fn product(db: Db, Path(id): Path<i64>) -> Result<Json<Product>> {
    Ok(Json(db.first(products::table.find(id).select(Product::as_select())).await?))
}

async fn cheap(db: Db) -> Result<Json<Vec<Product>>> {
    let cheap = products::table
        .filter(products::price_cents.lt(1_000).and(products::stock.gt(0)))
        .order(products::price_cents)
        .limit(20)
        .select(Product::as_select());
    Ok(Json(db.load(cheap).await?))
}

async fn sold(db: Db) -> Result<Json<Vec<(String, Option<i64>)>>> {
    let sold = products::table
        .left_join(orders::table)
        .group_by(products::id)
        .order(products::id)
        .limit(20)
        .select((products::name, sum(orders::quantity.nullable())));
    Ok(Json(db.load(sold).await?))
}

async fn import(db: Db, Json(new): Json<Vec<NewProduct>>) -> Result<Json<Vec<i64>>> {
    let insert = diesel::insert_into(products::table).values(batch(&new));
    Ok(Json(db.load(insert.returning(products::id)).await?))
}

async fn upsert(db: Db, Json(new): Json<Vec<NewProduct>>) -> Result<StatusCode> {
    let upsert = diesel::insert_into(products::table)
        .values(batch(&new))
        .on_conflict(products::sku)
        .do_update()
        .set((
            products::price_cents.eq(excluded(products::price_cents)),
            products::stock.eq(excluded(products::stock)),
        ));
    db.execute(upsert).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
struct Wanted {
    name: Option<String>,
    price_max: Option<i32>,
}

async fn search(db: Db, Query(wanted): Query<Wanted>) -> Result<Json<Vec<Product>>> {
    let mut found = products::table.select(Product::as_select()).into_boxed::<Pg>();
    if let Some(name) = wanted.name {
        found = found.filter(products::name.ilike(format!("%{name}%")));
    }
    if let Some(price_max) = wanted.price_max {
        found = found.filter(products::price_cents.le(price_max));
    }
    Ok(Json(db.load(found.order(products::id).limit(50)).await?))
}

#[derive(QueryableByName, Serialize)]
struct Band {
    #[diesel(sql_type = Integer)]
    euros: i32,
    #[diesel(sql_type = BigInt)]
    count: i64,
}

async fn by_price(db: Db) -> Result<Json<Vec<Band>>> {
    let bands = diesel::sql_query(
        "SELECT price_cents / 100 AS euros, count(*) AS count
         FROM products WHERE sku LIKE $1 GROUP BY 1 ORDER BY 1",
    );
    Ok(Json(db.exclusive().load(bands.bind::<Text, _>("A%")).await?))
}

#[derive(Deserialize)]
struct NewOrder {
    product_id: i64,
    quantity: i32,
}

async fn buy(db: Db, Json(order): Json<NewOrder>) -> Result<impl IntoResponse> {
    let id: i64 = db
        .transaction("buy", async |tx| {
            let less = diesel::update(products::table.find(order.product_id))
                .filter(products::stock.ge(order.quantity))
                .set(products::stock.eq(products::stock - order.quantity));
            if tx.execute(less).await? == 0 {
                return Err(Error::problem(StatusCode::CONFLICT, "sold_out", "too few are left"));
            }
            let insert = diesel::insert_into(orders::table).values((
                orders::product_id.eq(order.product_id),
                orders::quantity.eq(order.quantity),
            ));
            Ok(tx.first(insert.returning(orders::id)).await?)
        })
        .await?;
    let written = db.lsn().await?.to_string();
    Ok((StatusCode::CREATED, [("x-written", written)], Json(id)))
}

async fn restock(db: Db) -> Result<Json<u64>> {
    let restocked = db
        .begin("restock")
        .serializable()
        .budget(Duration::from_secs(2))
        .retries_max(5)
        .run(async |tx| {
            let total: Option<i64> = tx.first(products::table.select(sum(products::stock))).await?;
            if total.unwrap_or(0) > 1_000_000 {
                return Ok(0);
            }
            let low = diesel::update(products::table).filter(products::stock.lt(10));
            tx.execute(low.set(products::stock.eq(100))).await
        })
        .await?;
    Ok(Json(restocked))
}

async fn import_what_can_be(db: Db, Json(new): Json<Vec<NewProduct>>) -> Result<Json<usize>> {
    let inserted = db
        .transaction("import", async |tx| {
            let mut inserted = 0;
            for product in &new {
                let insert = diesel::insert_into(products::table).values(product);
                match tx.nested(async |tx| tx.execute(insert).await).await {
                    Ok(_) => inserted += 1,
                    Err(error) if error.class() == Class::Constraint => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(inserted)
        })
        .await?;
    Ok(Json(inserted))
}

async fn export(db: Db) -> impl IntoResponse {
    ndjson(db.stream_by_key(
        |after: Option<i64>| {
            products::table
                .filter(products::id.gt(after.unwrap_or(0)))
                .order(products::id)
                .limit(500)
                .select(Product::as_select())
        },
        |product: &Product| product.id,
    ))
}

async fn snapshot(db: Db) -> impl IntoResponse {
    json_array(db.stream::<Product, _>(products::table.order(products::name)))
}

async fn as_csv(db: Db) -> impl IntoResponse {
    csv(db.stream::<Product, _>(products::table.order(products::name)))
}

async fn copy_out(db: Db) -> impl IntoResponse {
    raw(db.copy_out("COPY products TO STDOUT (FORMAT csv, HEADER)"), "text/csv; charset=utf-8")
}

async fn copy(db: Db, Json(new): Json<Vec<NewProduct>>) -> Result<Json<u64>> {
    Ok(Json(db.copy_rows(products::table, stream::iter(new)).await?))
}

async fn upload(db: Db, file: Body) -> Result<Json<u64>> {
    let broken = |_| Error::problem(StatusCode::BAD_REQUEST, "upload_broken", "it ended early");
    let sql = "COPY products (sku, name, price_cents, stock) FROM STDIN (FORMAT csv)";
    Ok(Json(db.try_copy_in(sql, file.into_data_stream().map_err(broken)).await?))
}

async fn bestsellers(db: Db) -> Result<Json<Vec<i64>>> {
    let best = orders::table
        .group_by(orders::product_id)
        .order(sum(orders::quantity).desc())
        .limit(10)
        .select(orders::product_id);
    Ok(Json(db.replica(Duration::from_secs(5)).load(best).await?))
}

async fn order(db: Db, headers: HeaderMap, Path(id): Path<i64>) -> Result<Json<(i64, i32)>> {
    let mut replica = db.replica(Duration::from_secs(5));
    if let Some(written) = headers.get("x-written").and_then(|token| token.to_str().ok()) {
        let lsn: Lsn =
            written.parse().map_err(|no: NoLsn| Error::invalid("x-written", no.to_string()))?;
        replica = replica.after(lsn);
    }
    let order = orders::table.find(id).select((orders::product_id, orders::quantity));
    Ok(Json(replica.first(order).await?))
}

async fn create(db: Db, Json(new): Json<NewProduct>) -> Result<Json<i64>> {
    let insert = diesel::insert_into(products::table).values(&new).returning(products::id);
    match db.first(insert).await {
        Err(error) if error.postgres().is_some_and(PostgresError::is_duplicate) => {
            Err(Error::problem(StatusCode::CONFLICT, "sku_taken", "there is one of that sku"))
        }
        id => Ok(Json(id?)),
    }
}

async fn quickly(db: Db, Path(id): Path<i64>) -> Result<Json<Option<Product>>> {
    let impatient = (*db).clone().with_deadline(Deadline::after(Duration::from_millis(200)));
    match impatient.optional(products::table.find(id).select(Product::as_select())).await {
        Ok(found) => Ok(Json(found)),
        Err(db::Error::DeadlinePassed { .. }) => Ok(Json(None)),
        Err(error) => Err(error.into()),
    }
}
