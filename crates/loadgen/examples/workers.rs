//! A service whose limit is known: some workers that take a fixed time for each request, by a
//! timer. What a search finds can be compared with what is true.
//!
//! ```console
//! $ cargo run --release -p tenfold-loadgen --example workers -- 8 2
//! holds 4000 requests per second on http://127.0.0.1:40123/
//! ```
#![allow(clippy::unwrap_used, reason = "it shares its server with the tests")]

use std::error::Error;
use std::time::Duration;

#[path = "../tests/known/servers.rs"]
#[allow(dead_code, reason = "the tests know further servers")]
mod servers;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [workers, millis] = arguments.as_slice() else {
        return Err("two arguments are needed: WORKERS MILLISECONDS".into());
    };
    let (workers, millis): (usize, u64) = (workers.parse()?, millis.parse()?);
    let model = servers::Workers::new(workers, Duration::from_millis(millis));
    let server = servers::Server::start(model);
    let limit = workers as f64 * 1e3 / millis as f64;
    println!("holds {limit} requests per second on {}", server.url());
    loop {
        std::thread::park();
    }
}
