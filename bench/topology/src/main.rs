//! The store on event loops that are put together in three ways, all else being the same: what
//! decides which connection goes to which thread, and whether a task may change threads.

use std::error::Error;
use std::io;
use std::net::{SocketAddr, TcpListener};

use clap::{Parser, ValueEnum};
use socket2::{Domain, Socket, Type};
use tenfold::config::{Environment, Layers};
use tenfold::db::{Database, DatabaseSettings, ShardDatabase};
use tenfold::runtime::{Offload, RuntimeSettings, ShardHandle, Shards, Signals};
use tenfold::server::{App, OpenPorts, Resources, Server, ServerSettings, Serving};
use tenfold::telemetry::log::{self, LogSettings, LogTarget};
use tenfold::telemetry::metrics::Registry;

/// The allocator of the store.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Whatever goes wrong ends the program.
type Failure = Box<dyn Error + Send + Sync>;

const NAME: &str = "topology";

/// Serves the store until SIGTERM.
#[derive(Debug, Parser)]
struct Arguments {
    /// Address and port on which requests come in
    #[arg(long, value_name = "ADDRESS")]
    listen: SocketAddr,
    /// How the threads are put together
    #[arg(long)]
    topology: Topology,
    /// How many there are
    #[arg(long, value_name = "N")]
    threads: usize,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Topology {
    /// As the chassis does it: one event loop per thread, one port, and each connection goes to
    /// the loop that has the fewest
    Shards,
    /// One event loop per thread, each with a port of its own under the same address
    /// (`SO_REUSEPORT`): the kernel spreads connections by a hash
    ReusePort,
    /// One event loop with many threads, which take tasks from each other
    WorkStealing,
}

fn main() -> Result<(), Failure> {
    let arguments = Arguments::parse();
    let layers = Layers::new().environment(&Environment::process());
    let config = tenfold::known_settings().load(&layers)?;
    let settings = Settings {
        database: config.get(),
        server: config.get(),
        runtime: RuntimeSettings { shards: arguments.threads, ..config.get() },
        log: config.get(),
    };
    let _log = log::start(&settings.log, NAME, LogTarget::Stdout)?;
    let control = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    control.block_on(async {
        let signals = Signals::listen()?;
        match arguments.topology {
            Topology::Shards => {
                let shards = Shards::start(&settings.runtime, &Registry::new())?;
                let parts = Parts::start(settings, shards.handles()).await?;
                let _serving = parts.serve(listen(arguments.listen)?, shards.handles())?;
                signals.first().await;
            }
            Topology::ReusePort => {
                let shards = Shards::start(&settings.runtime, &Registry::new())?;
                let parts = Parts::start(settings, shards.handles()).await?;
                let mut serving = Vec::new();
                for shard in shards.handles() {
                    let (port, parts) = (listen(arguments.listen)?, parts.clone());
                    let its_own = shard.clone();
                    // Whoever calls this accepts.
                    let served = shard.run(async move { parts.serve(port, &[its_own]) }).await?;
                    serving.push(served?);
                }
                signals.first().await;
            }
            Topology::WorkStealing => {
                let threads = arguments.threads;
                let runtime = tokio::runtime::Builder::new_multi_thread()
                    .worker_threads(threads)
                    .enable_all()
                    .build()?;
                let all = ShardHandle::adopt(0, runtime.handle().clone(), &Registry::new());
                // As many connections as the others have, in one lane.
                let mut settings = settings;
                settings.database.shared_connections *= threads;
                settings.database.shared_in_flight_max *= threads;
                settings.database.shared_waiting_max *= threads;
                let shards = [all];
                let parts = Parts::start(settings, &shards).await?;
                let _serving = parts.serve(listen(arguments.listen)?, &shards)?;
                signals.first().await;
                runtime.shutdown_background();
            }
        }
        Ok(())
    })
}

/// One of the ports under this address, which others may open as well.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.bind(&address.into())?;
    socket.listen(1024)?;
    Ok(socket.into())
}

struct Settings {
    database: DatabaseSettings,
    server: ServerSettings,
    runtime: RuntimeSettings,
    log: LogSettings,
}

/// Everything behind the ports, which is the same in each topology.
#[derive(Clone)]
struct Parts {
    server: ServerSettings,
    log: LogSettings,
    offload: Offload,
    /// One for each event loop.
    databases: Vec<ShardDatabase>,
}

impl Parts {
    async fn start(settings: Settings, shards: &[ShardHandle]) -> Result<Parts, Failure> {
        let registry = Registry::new();
        let offload = Offload::start(&settings.runtime, &registry)?;
        let opened = settings.database;
        let database = shards[0].run(async move { Database::open(&opened, NAME, &registry).await });
        let database = database.await??;
        let mut databases = Vec::new();
        for shard in shards {
            let database = database.clone();
            databases.push(shard.run(async move { database.on_this_shard() }).await?);
        }
        Ok(Parts { server: settings.server, log: settings.log, offload, databases })
    }

    /// Takes connections from a port and gives them to these event loops.
    fn serve(&self, port: TcpListener, shards: &[ShardHandle]) -> Result<Serving, Failure> {
        let open = OpenPorts { server: Some(port), redirect: None };
        let server = Server::bind_or_adopt(&self.server, open, &self.log, &Registry::new())?;
        Ok(server.serve(shards, |shard| App {
            router: store::router(),
            resources: Resources {
                database: self.databases.get(shard).cloned(),
                offload: self.offload.clone(),
            },
        })?)
    }
}
