//! What a service's program understands on its command line, and what it exits with.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use tenfold_config::{Environment, Layers};
use tenfold_runtime::{Signals, StopReport};
use tenfold_telemetry::log::{self, LogSettings, LogTarget};
use tenfold_telemetry::metrics::Registry;

use crate::error::StartError;
use crate::service::Service;
use crate::settings::known_settings;

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
    match serve(service, &arguments) {
        Ok(code) => code,
        Err(error) => {
            // Last, so that the sentence is not followed by what the log still had to say.
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(service: Service, arguments: &Arguments) -> Result<ExitCode, StartError> {
    let layers = Layers::usual(
        arguments.config.as_deref(),
        &Environment::process(),
        arguments.set.iter().cloned(),
    );
    let config = known_settings().load(&layers)?;
    if arguments.explain {
        print!("{}", config.explain_text());
        return Ok(ExitCode::SUCCESS);
    }

    let name = service.name;
    let guard = log::start(&config.get::<LogSettings>(), name, LogTarget::Stdout)?;
    let registry = Registry::new();
    guard.register(&registry);
    let refused = |what| move |cause| StartError::System { what, cause };
    let signals = Signals::listen().map_err(refused("signals"))?;
    let control = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let control = control.map_err(refused("an event loop"))?;

    control.block_on(async {
        let running = service.start(&config, &registry).await?;
        let in_order = tokio::select! {
            signal = signals.first() => {
                tracing::info!(signal = signal.name(), "stopping");
                true
            }
            died = running.failed() => {
                tracing::error!(error = &died as &dyn std::error::Error, fatal = true, "stopping");
                false
            }
        };
        let report = running.stop().await;
        Ok(exit_code(in_order, &report))
    })
}

fn exit_code(in_order: bool, report: &StopReport) -> ExitCode {
    if in_order && report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
