//! The floor under every service: hyper and tokio-postgres with nobody in between, one thread,
//! one connection, one prepared statement. What Tenfold costs is measured from here.
//!
//! It has nothing that a service needs besides: no limit, no timeout, no log, no metrics, and
//! when its connection to Postgres breaks it ends.

mod answer;
mod export;
mod product;

use std::convert::Infallible;
use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tenfold_config::environment;
use tokio::net::{TcpListener, TcpStream};
use tokio_postgres::NoTls;

use product::Products;

/// The allocator of the store, which it is measured against.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Answers GET /products/{id} and GET /export.json, and nothing else.
#[derive(Debug, Parser)]
struct Arguments {
    /// Address and port on which requests come in
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8081")]
    listen: SocketAddr,
    /// Where Postgres is [default: DATABASE_URL]
    #[arg(long, value_name = "URL")]
    database: Option<String>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let Err(error) =
        runtime.map_err(Into::into).and_then(|runtime| runtime.block_on(serve(arguments)));
    eprintln!("error: {error}");
    ExitCode::FAILURE
}

async fn serve(arguments: Arguments) -> Result<Infallible, Box<dyn Error>> {
    let url = arguments.database.or_else(|| environment::var("DATABASE_URL"));
    let url = url.ok_or("set DATABASE_URL, or say --database URL")?;
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await?;
    let connection = tokio::spawn(connection);
    let products = Arc::new(Products::prepare(client).await?);

    let listener = TcpListener::bind(arguments.listen).await?;
    println!("listening on {}", listener.local_addr()?);
    tokio::select! {
        ended = connection => {
            ended??;
            Err("the connection to Postgres has ended".into())
        }
        accepted = accept(listener, products) => Ok(accepted?),
    }
}

async fn accept(listener: TcpListener, products: Arc<Products>) -> std::io::Result<Infallible> {
    loop {
        let (stream, _) = listener.accept().await?;
        // An answer must not wait in the kernel for the next one.
        stream.set_nodelay(true)?;
        tokio::spawn(serve_connection(stream, products.clone()));
    }
}

async fn serve_connection(stream: TcpStream, products: Arc<Products>) {
    let service = service_fn(move |request| {
        let products = products.clone();
        async move { Ok::<_, Infallible>(answer::answer(&products, &request).await) }
    });
    // A client that goes away is no event.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}
