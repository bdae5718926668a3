//! The sale: many customers at once, up to ten times as many as the shop can serve. Another
//! process sends them, so that what is measured is the service and not both.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tenfold::Running;
use tokio::process::Child;
use tokio::time::timeout;

use super::cores::Cores;
use super::{Error, print};

/// The generator writes its report when it is asked to end, which is quick.
const REPORT_TIMEOUT: Duration = Duration::from_secs(5);

/// Where the scenario lies beside the report, for whoever wants to do it again.
const SCENARIO: &str = "sale.toml";

/// What the service logs meanwhile.
const LOG: &str = "service.log";

/// Who sends the customers.
#[derive(Debug)]
pub(super) struct Sale {
    folder: PathBuf,
    hold: Duration,
    cores: Option<Cores>,
    generator: Option<Child>,
}

impl Sale {
    /// Makes the folder for the report ready, before anything is started in vain.
    pub(super) fn prepare(
        folder: &Path,
        hold: Duration,
        cores: Option<Cores>,
    ) -> Result<Sale, Error> {
        let wrong = |cause| Error::File { what: "make the folder", path: folder.to_owned(), cause };
        fs::create_dir_all(folder).map_err(wrong)?;
        // What an earlier demo left must not be taken for what this one found.
        for earlier in ["report.html", "report.json"] {
            match fs::remove_file(folder.join(earlier)) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(wrong(error)),
                _ => {}
            }
        }
        Ok(Sale { folder: folder.to_owned(), hold, cores, generator: None })
    }

    /// An empty file for what the service logs.
    pub(super) fn log(&self) -> Result<File, Error> {
        let path = self.folder.join(LOG);
        File::create(&path).map_err(|cause| Error::File { what: "write", path, cause })
    }

    /// Sends them, until all is shown; what the generator's exit code says of it.
    pub(super) async fn hold(&mut self, running: &Running, products: u64) -> Result<u8, Error> {
        let wrong = |what, cause| Error::System { what, cause };
        let path = self.folder.join(SCENARIO);
        let scenario = scenario(&format!("http://{}", running.address()), products);
        fs::write(&path, scenario).map_err(|cause| Error::File {
            what: "write",
            path: path.clone(),
            cause,
        })?;
        let arguments = self.arguments(&path, running);
        print(&format!("\n$ tenfold {}", shown(&arguments)));

        let program = std::env::current_exe().map_err(|cause| wrong("its own program", cause))?;
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null());
        tenfold_local::tie(&mut command);
        let mut command = tokio::process::Command::from(command);
        command.kill_on_drop(true);
        let started = match &self.cores {
            Some(cores) => cores.start_beside(|| command.spawn()).and_then(|started| started),
            None => command.spawn(),
        };
        let generator = started.map_err(|cause| wrong("a process for the load", cause))?;
        let ended = self.generator.insert(generator).wait().await;
        let status = ended.map_err(|cause| wrong("to wait for the load", cause))?;
        // Without a code a signal has ended it, and it was not ours.
        print(&format!("log:    {}", self.folder.join(LOG).display()));
        Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
    }

    fn arguments(&self, scenario: &Path, running: &Running) -> Vec<OsString> {
        let metrics = format!("http://{}/metrics", running.admin_address());
        let hold = format!("{}ms", self.hold.as_millis());
        let threads = self.cores.as_ref().map_or(1, |cores| cores.generator.len());
        let mut arguments: Vec<OsString> =
            ["load", "overload", "--scenario"].map(Into::into).into();
        arguments.push(scenario.into());
        arguments.extend(["--metrics".into(), metrics.into()]);
        arguments.extend(["--hold".into(), hold.clone().into()]);
        // A limit that does not last as long as that is none at 1x.
        arguments.extend(["--lasting".into(), hold.into()]);
        if threads > 1 {
            arguments.extend(["--threads".into(), threads.to_string().into()]);
        }
        arguments.extend(["--report".into(), self.folder.clone().into()]);
        arguments
    }

    /// Ends a load that is under way: it reports what it has seen until now.
    pub(super) async fn end(&mut self) {
        let Some(generator) = &mut self.generator else { return };
        // Without an id it has ended, and was waited for.
        let Some(id) = generator.id().and_then(|id| i32::try_from(id).ok()) else { return };
        let asked = kill(Pid::from_raw(id), Signal::SIGINT).is_ok();
        if !asked || timeout(REPORT_TIMEOUT, generator.wait()).await.is_err() {
            // It may have ended just now, which is as good.
            let _ = generator.kill().await;
        }
    }
}

/// The store's scenario for this address and so many products.
fn scenario(address: &str, products: u64) -> String {
    store::SALE
        .replace("http://127.0.0.1:8080", address)
        .replace("100000", &products.max(1).to_string())
}

/// A command line as one would type it.
fn shown(arguments: &[OsString]) -> String {
    let quoted = arguments.iter().map(|argument| {
        let argument = argument.to_string_lossy();
        let is_plain = argument.chars().all(|one| one.is_alphanumeric() || "-_./:,".contains(one));
        if is_plain {
            argument.into_owned()
        } else {
            format!("'{}'", argument.replace('\'', r"'\''"))
        }
    });
    quoted.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scenario_is_for_the_address_and_the_catalog_that_there_are() {
        let text = scenario("http://127.0.0.1:4321", 77);
        assert!(text.contains("target = \"http://127.0.0.1:4321\""), "{text}");
        assert!(text.contains("/products/{{zipf 1 77 1.0}}"), "{text}");
        assert!(!text.contains("8080\"") && !text.contains("100000"), "{text}");
        for products in [0, 1, 77, 1_000_000] {
            let text = scenario("http://127.0.0.1:4321", products);
            tenfold_loadgen::Scenario::parse(&text, Path::new(".")).unwrap();
        }
    }

    #[test]
    fn a_command_line_can_be_typed_again() {
        let arguments = ["load", "--report", "reports/any one's"].map(OsString::from);
        assert_eq!(shown(&arguments), r"load --report 'reports/any one'\''s'");
    }
}
