//! Loads a thousand rows at a time over one connection: with tokio-postgres alone or over the
//! shared lane, so that the instructions of both can be counted side by side.
//!
//! `thousand_row_loads URL raw|lane LOADS`; `cargo xtask bench instructions` runs it under
//! valgrind. It makes its table where that is missing.

use std::error::Error;
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use diesel::prelude::*;
use futures_util::TryStreamExt;
use schema::rows;
use tenfold_config::Secret;
use tenfold_context::{Context, Deadline};
use tenfold_db::{Database, DatabaseSettings};
use tenfold_telemetry::metrics::Registry;
use tokio_postgres::{Client, NoTls};

const TABLE: &str = "
    CREATE TABLE IF NOT EXISTS rows
        (id bigint PRIMARY KEY, name text NOT NULL, stock integer NOT NULL, note text);
    INSERT INTO rows
        SELECT id, 'Row number ' || id, id % 7, CASE WHEN id % 2 = 0 THEN 'a note' END
        FROM generate_series(0, 999) id ON CONFLICT DO NOTHING;
    ANALYZE rows;";

mod schema {
    diesel::table! {
        rows (id) {
            id -> BigInt,
            name -> Text,
            stock -> Integer,
            note -> Nullable<Text>,
        }
    }
}

#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = rows, check_for_backend(diesel::pg::Pg))]
struct Row {
    id: i64,
    name: String,
    stock: i32,
    note: Option<String>,
}

type AnyError = Box<dyn Error + Send + Sync>;

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.map_err(Into::into).and_then(|runtime| runtime.block_on(run())) {
        Ok(sum) => {
            println!("{sum}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// The sum over what was read, so that nothing of it can be left out.
async fn run() -> Result<u64, AnyError> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, way, loads] = arguments.as_slice() else {
        return Err("usage: thousand_row_loads URL raw|lane LOADS".into());
    };
    let loads = loads.parse()?;
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    client.batch_execute(TABLE).await?;
    match way.as_str() {
        "raw" => raw(client, loads).await,
        "lane" => lane(url, loads).await,
        other => Err(format!("raw or lane, not {other:?}").into()),
    }
}

async fn raw(client: Client, loads: usize) -> Result<u64, AnyError> {
    let sql = "SELECT id, name, stock, note FROM rows ORDER BY id";
    let statement = client.prepare(sql).await?;
    let mut sum = 0;
    for _ in 0..loads {
        let mut read = Vec::new();
        let mut rows = pin!(client.query_raw(&statement, std::iter::empty::<i32>()).await?);
        while let Some(row) = rows.try_next().await? {
            read.push(Row {
                id: row.try_get(0)?,
                name: row.try_get(1)?,
                stock: row.try_get(2)?,
                note: row.try_get(3)?,
            });
        }
        sum += weight(&read);
    }
    Ok(sum)
}

async fn lane(url: &str, loads: usize) -> Result<u64, AnyError> {
    let settings = DatabaseSettings { url: Some(Secret::new(url)), ..DatabaseSettings::default() };
    let database = Database::open(&settings, "thousand_row_loads", &Registry::new()).await?;
    // Counting makes everything fifty times slower than it is.
    let deadline = Deadline::after(Duration::from_secs(600));
    let db = database.on_this_shard().handle(Context::new().with_deadline(deadline));
    let mut sum = 0;
    for _ in 0..loads {
        let read: Vec<Row> = db.load(rows::table.order(rows::id).select(Row::as_select())).await?;
        sum += weight(&read);
    }
    Ok(sum)
}

fn weight(rows: &[Row]) -> u64 {
    let text = |row: &Row| row.name.len() + row.note.as_ref().map_or(0, String::len);
    let number = |row: &Row| row.id.unsigned_abs() + u64::from(row.stock.unsigned_abs());
    rows.iter().map(|row| text(row) as u64 + number(row)).sum()
}
