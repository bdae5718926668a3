//! Reads single rows by primary key, 64 at a time over one connection: with tokio-postgres alone
//! or over the shared lane, so that the instructions of both can be counted side by side.
//!
//! `primary_key_reads URL raw|lane READS`; `cargo xtask bench instructions` runs it under
//! valgrind. It makes its table where that is missing.

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use diesel::prelude::*;
use schema::pieces;
use tenfold_config::Secret;
use tenfold_context::{Context, Deadline};
use tenfold_db::{Database, DatabaseSettings};
use tenfold_telemetry::metrics::Registry;
use tokio::task::JoinSet;
use tokio_postgres::{Client, NoTls};

/// Reads in flight, each in a task of its own, as requests are.
const IN_FLIGHT: usize = 64;

/// Rows of the table.
const PIECES: usize = 100;

const TABLE: &str = "
    CREATE TABLE IF NOT EXISTS pieces
        (id bigint PRIMARY KEY, name text NOT NULL, stock integer NOT NULL);
    INSERT INTO pieces SELECT id, 'Piece number ' || id, id % 7 FROM generate_series(0, 99) id
        ON CONFLICT DO NOTHING;
    ANALYZE pieces;";

mod schema {
    diesel::table! {
        pieces (id) {
            id -> BigInt,
            name -> Text,
            stock -> Integer,
        }
    }
}

#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = pieces, check_for_backend(diesel::pg::Pg))]
struct Piece {
    id: i64,
    name: String,
    stock: i32,
}

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
async fn run() -> Result<u64, Box<dyn Error + Send + Sync>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, way, reads] = arguments.as_slice() else {
        return Err("usage: primary_key_reads URL raw|lane READS".into());
    };
    let reads_per_task = reads.parse::<usize>()?.div_ceil(IN_FLIGHT);
    let client = connect(url).await?;
    client.batch_execute(TABLE).await?;
    match way.as_str() {
        "raw" => raw(client, reads_per_task).await,
        "lane" => lane(url, reads_per_task).await,
        other => Err(format!("raw or lane, not {other:?}").into()),
    }
}

async fn raw(client: Client, reads: usize) -> Result<u64, Box<dyn Error + Send + Sync>> {
    let statement = client.prepare("SELECT id, name, stock FROM pieces WHERE id = $1").await?;
    let shared = Arc::new((client, statement));
    let mut tasks = JoinSet::new();
    for task in 0..IN_FLIGHT {
        let shared = shared.clone();
        tasks.spawn(async move {
            let (client, statement) = &*shared;
            let mut sum = 0;
            for read in 0..reads {
                let row = client.query_one(statement, &[&id(task, read)]).await?;
                let piece =
                    Piece { id: row.try_get(0)?, name: row.try_get(1)?, stock: row.try_get(2)? };
                sum += weight(&piece);
            }
            Ok::<_, tokio_postgres::Error>(sum)
        });
    }
    sum(tasks).await
}

async fn lane(url: &str, reads: usize) -> Result<u64, Box<dyn Error + Send + Sync>> {
    let settings = DatabaseSettings {
        url: Some(Secret::new(url)),
        shared_in_flight_max: IN_FLIGHT,
        ..DatabaseSettings::default()
    };
    let database = Database::open(&settings, "primary_key_reads", &Registry::new()).await?;
    let shard = database.on_this_shard();
    // Counting makes everything fifty times slower than it is.
    let deadline = Deadline::after(Duration::from_secs(600));
    let mut tasks = JoinSet::new();
    for task in 0..IN_FLIGHT {
        let db = shard.handle(Context::new().with_deadline(deadline));
        tasks.spawn(async move {
            let mut sum = 0;
            for read in 0..reads {
                let query = pieces::table.find(id(task, read)).select(Piece::as_select());
                sum += weight(&db.first(query).await?);
            }
            Ok::<_, tenfold_db::Error>(sum)
        });
    }
    sum(tasks).await
}

async fn connect(url: &str) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// Which row that read asks for.
fn id(task: usize, read: usize) -> i64 {
    ((task * 31 + read) % PIECES) as i64
}

fn weight(piece: &Piece) -> u64 {
    piece.name.len() as u64 + piece.id.unsigned_abs() + u64::from(piece.stock.unsigned_abs())
}

async fn sum<E: Error + Send + Sync + 'static>(
    mut tasks: JoinSet<Result<u64, E>>,
) -> Result<u64, Box<dyn Error + Send + Sync>> {
    let mut sum = 0;
    while let Some(done) = tasks.join_next().await {
        sum += done??;
    }
    Ok(sum)
}
