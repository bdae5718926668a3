//! `cargo xtask bench NAME`: measurements against a bar, and the pieces that they share.

use crate::Outcome;

// The benches themselves.
mod export;
mod floor;
pub(crate) mod instructions;
mod load;
mod offload;
mod server;
mod topology;
// What they share.
mod child;
mod cpu;
mod h2load;
mod ours;
mod pin;
mod release;
mod result;
mod rounds;
mod table;
mod wrk;

pub use child::{Running, free_address};
pub use cpu::{cpu_time, cpu_time_of_ended_children, cpu_time_of_tree};
use h2load::{Connections, h2load};
use pin::{LOAD_CORE, SERVICE_CORE};
pub use pin::{pin, pinned};
pub use result::{Bar, Figure, Report};
pub use rounds::{interleave, median, spread};
pub use table::table;
pub use wrk::{Load, wrk};

/// One bench.
struct Bench {
    name: &'static str,
    /// What it measures, and against which bar.
    what: &'static str,
    run: fn(&[String]) -> Outcome,
}

/// All of them, in the order in which they are listed.
const BENCHES: &[Bench] = &[
    Bench {
        name: "floor",
        what: "CPU per one-row read, the store against bare hyper and tokio-postgres: at most 1.6 ×",
        run: floor::run,
    },
    Bench {
        name: "export",
        what: "a million rows: rows per CPU second against the floor (at least 0.8 ×), memory, and others' latency",
        run: export::run,
    },
    Bench {
        name: "instructions",
        what: "instructions, the shared lane against tokio-postgres: 1.25 × per read, 1.3 × per row",
        run: instructions::run,
    },
    Bench {
        name: "server",
        what: "CPU per request, the chassis with everything on against axum::serve: at most 1.05 ×",
        run: server::run,
    },
    Bench {
        name: "offload",
        what: "a CPU-bound route at ten times its rate: at least 0.86 of its best; others' latency",
        run: offload::run,
    },
    Bench {
        name: "topology",
        what: "the store on shards, on a port for each thread, and on one runtime with many threads",
        run: topology::run,
    },
    Bench {
        name: "load",
        what: "the generator of load: its rate per core ÷ wrk's, the error of limits, and more",
        run: load::run,
    },
];

/// Lists the benches.
///
/// # Errors
/// Never.
pub fn list() -> Outcome {
    let rows = BENCHES.iter().map(|bench| [bench.name.to_owned(), bench.what.to_owned()]);
    println!("{}", table(&["bench", "what it measures"], rows));
    Ok(0)
}

/// Runs one bench. The exit code is 0 when every figure holds its bar, 1 when one does not, 3 when
/// the machine was too noisy to say.
///
/// # Errors
/// When there is no such bench, or it could not measure.
pub fn run(name: &str, arguments: &[String]) -> Outcome {
    match BENCHES.iter().find(|bench| bench.name == name) {
        Some(bench) => (bench.run)(arguments),
        None => {
            let known: Vec<&str> = BENCHES.iter().map(|bench| bench.name).collect();
            Err(format!("there is no bench {name}; known: {}", known.join(", ")).into())
        }
    }
}
