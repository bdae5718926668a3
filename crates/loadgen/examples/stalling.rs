//! A service without a limit that answers nobody for half a second, each five: what an open model
//! sees of it, and a closed one hides.
//!
//! ```console
//! $ cargo run --release -p tenfold-loadgen --example stalling
//! stalls 500 ms each 5 s on http://127.0.0.1:40123/
//! ```
#![allow(clippy::unwrap_used, reason = "it shares its server with the tests")]

use std::time::Duration;

use tokio::time::Instant;

#[path = "../tests/known/servers.rs"]
#[allow(dead_code, reason = "the tests know further servers")]
mod servers;

fn main() {
    let server = servers::Server::start(servers::Stalling {
        since: Instant::now(),
        every: Duration::from_secs(5),
        stall: Duration::from_millis(500),
        service: Duration::from_millis(2),
    });
    println!("stalls 500 ms each 5 s on {}", server.url());
    loop {
        std::thread::park();
    }
}
