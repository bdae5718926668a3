//! Real servers, private to this machine, as child processes: the database of the demo, and
//! the servers that tests run against.
//!
//! ```no_run
//! use tenfold_local::{Postgres, PostgresOptions};
//!
//! let options = PostgresOptions { database: "store".into(), ..PostgresOptions::default() };
//! let postgres = Postgres::start(&options, &|line| eprintln!("{line}"))?;
//! println!("psql '{}'", postgres.url());
//! # Ok::<(), tenfold_local::StartError>(())
//! ```
//!
//! A server started here
//! - listens on a Unix socket in a folder that is closed to everybody else, and nowhere else;
//! - runs as an unprivileged user when this process is root's;
//! - ends with this process, even when that is killed: on Linux the kernel sees to it, on macOS
//!   a small shell beside it does, so there a kill of both leaves the server behind;
//! - leaves nothing: folders of a process that was killed are removed at the next start.

mod options;
mod postgres;
// What stands between the wish and the answer, in order.
mod account;
mod address;
mod choose;
mod cluster;
mod find;
mod launch;
mod machine;
mod wheel;
mod wire;
// What any other server needs as well.
mod error;
mod family;
mod folder;
mod last_words;
mod process;
mod tied;
mod watch;

pub use error::StartError;
pub use find::Version;
pub use machine::Machine;
pub use options::PostgresOptions;
pub use postgres::Postgres;
pub use process::Stopped;
pub use tied::tie;
pub use wheel::FetchError;
