//! What a service's program understands on its command line, and what it exits with.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use tenfold_config::{Config, Environment, Layers};
use tenfold_runtime::{Hangups, Signals};
use tenfold_server::ServerSettings;
use tenfold_telemetry::log::{self, LogSettings, LogTarget};
use tenfold_telemetry::metrics::Registry;

use crate::error::StartError;
use crate::running::Running;
use crate::service::Service;
use crate::settings::known_settings;
use crate::sockets::Sockets;
use crate::systemd::Systemd;

/// Serves until SIGTERM or SIGINT.
#[derive(Debug, Parser)]
struct Arguments {
    /// Settings file [default: tenfold.toml, if there is one]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A single setting, above file and environment; may come more than once
    #[arg(long, value_name = "SECTION.KEY=VALUE")]
    set: Vec<String>,
    /// Shows every setting with its value and where it comes from, and ends
    #[arg(long)]
    explain: bool,
}

pub(crate) fn run(service: Service) -> ExitCode {
    // Ends the process with exit code 2 if it makes no sense.
    let arguments = Arguments::parse();
    let problems = serve(service, &arguments).unwrap_or_else(|error| vec![error.to_string()]);
    // Last, so that the sentence is not followed by what the log still had to say.
    for problem in &problems {
        eprintln!("error: {problem}");
    }
    if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The whole life of the service; what went wrong in it.
fn serve(mut service: Service, arguments: &Arguments) -> Result<Vec<String>, StartError> {
    let environment = Environment::process();
    let layers =
        Layers::usual(arguments.config.as_deref(), &environment, arguments.set.iter().cloned());
    let config = known_settings().load(&layers)?;
    if arguments.explain {
        print!("{}", config.explain_text());
        return Ok(Vec::new());
    }

    let refused = |what| move |cause| StartError::System { what, cause };
    // Before there is any other thread.
    service.sockets = Sockets::handed_over(&environment)
        .map_err(refused("the sockets that systemd hands over"))?;
    let systemd = Systemd::of(&environment).map_err(io::Error::from);
    let systemd = Arc::new(systemd.map_err(refused("word to systemd"))?);
    let guard = log::start(&config.get::<LogSettings>(), service.name, LogTarget::Stdout)?;
    let registry = Registry::new();
    guard.register(&registry);
    let signals = Signals::listen().map_err(refused("signals"))?;
    let control = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let control = control.map_err(refused("an event loop"))?;
    control.block_on(live(service, &config, &registry, &signals, &systemd)).inspect_err(|error| {
        tracing::error!(error = error as &dyn std::error::Error, fatal = true, "cannot start");
    })
}

async fn live(
    service: Service,
    config: &Config,
    registry: &Registry,
    signals: &Signals,
    systemd: &Arc<Systemd>,
) -> Result<Vec<String>, StartError> {
    let hangups = hangups(config)?;
    let given_up = async {
        let signal = signals.first().await;
        tracing::info!(signal = signal.name(), "stopping before the start is over");
    };
    let Some(running) = service.start_unless(config, registry, given_up).await? else {
        return Ok(Vec::new());
    };
    systemd.ready();
    let watch = tokio::spawn(systemd.clone().watch(running.shards().to_vec()));
    let mut problems = Vec::new();
    tokio::select! {
        signal = signals.first() => tracing::info!(signal = signal.name(), "stopping"),
        () = exchange_certificates(&running, hangups) => {}
        failure = running.failed() => {
            tracing::error!(error = &failure as &dyn std::error::Error, fatal = true, "stopping");
            problems.push(failure.to_string());
        }
    }
    systemd.stopping();
    // Each part has a time of its own from here on, and no shard is asked whether it is well.
    watch.abort();
    let watch = tokio::spawn(systemd.clone().watch(Vec::new()));
    let report = running.stop().await;
    watch.abort();
    problems.extend(report.unclean().map(ToString::to_string));
    Ok(problems)
}

/// The ear for SIGHUP, where there are certificates to read again. Any other service is ended by
/// it, like every program. Before the start, so that none is missed as soon as it serves.
fn hangups(config: &Config) -> Result<Option<Hangups>, StartError> {
    if config.get::<ServerSettings>().tls_certificate.is_none() {
        return Ok(None);
    }
    let refused = |cause| StartError::System { what: "signals", cause };
    Hangups::listen().map(Some).map_err(refused)
}

/// Has the certificates read again at each SIGHUP, for ever.
async fn exchange_certificates(running: &Running, hangups: Option<Hangups>) {
    let (Some(certificates), Some(mut hangups)) = (running.certificates(), hangups) else {
        return std::future::pending().await;
    };
    loop {
        hangups.next().await;
        tracing::info!("reading the certificates again");
        certificates.now();
    }
}
