//! From a data folder that is ready to a server that answers, the first time and every other.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use nix::unistd::Pid;
use tenfold_context::Moment;

use crate::account::Account;
use crate::address::{PORT, socket_of};
use crate::cluster::{USER, files, server_of};
use crate::error::StartError;
use crate::find::Programs;
use crate::folder::is_alive;
use crate::process::{POLL, Process};
use crate::wire::{Connection, WireError, create_database};

/// All that is needed to start the server, also a second time.
#[derive(Debug)]
pub(crate) struct Launch {
    pub(crate) programs: Programs,
    pub(crate) account: Account,
    pub(crate) data: PathBuf,
    pub(crate) socket_directory: PathBuf,
    pub(crate) settings: Vec<(String, String)>,
    pub(crate) tcp_port: Option<u16>,
    pub(crate) ready_time_max: Duration,
}

impl Launch {
    /// Starts the server and waits until it answers and has the database.
    pub(crate) fn launch(&self, database: &str) -> Result<Process, StartError> {
        let until = Moment::now() + self.ready_time_max;
        clear_stale_server(&self.data, until)?;
        let program = self.programs.folder.join("postgres");
        let mut process = Process::start(self.command()).map_err(files(&program))?;
        let mut connection = self.wait_until_ready(&mut process, until)?;
        create_database(&mut connection, database).map_err(|error| match error {
            WireError::Refused { message, .. } => StartError::Refused { message },
            WireError::Io(error) => self.not_ready(&error.to_string(), &process),
        })?;
        Ok(process)
    }

    pub(crate) fn port(&self) -> u16 {
        self.tcp_port.unwrap_or(PORT)
    }

    fn command(&self) -> Command {
        let mut command = self.programs.command("postgres", &self.account);
        command.arg("-D").arg(&self.data).arg("-k").arg(&self.socket_directory);
        let listen_addresses = if self.tcp_port.is_some() { "127.0.0.1" } else { "" };
        let ours = [
            ("listen_addresses", listen_addresses),
            ("port", &self.port().to_string()),
            ("unix_socket_permissions", "0700"),
            ("log_destination", "stderr"),
            ("logging_collector", "off"),
            ("lc_messages", "C"),
            // /dev/shm is tiny in containers; a large join would fail for want of it.
            ("dynamic_shared_memory_type", "mmap"),
        ];
        let theirs = self.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in ours.into_iter().chain(theirs) {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        command
    }

    fn wait_until_ready(
        &self,
        process: &mut Process,
        until: Moment,
    ) -> Result<Connection, StartError> {
        let socket = socket_of(&self.socket_directory, self.port());
        loop {
            if let Some(status) = process.has_ended().map_err(files(&self.data))? {
                return Err(self.ended(&status.to_string(), process));
            }
            let left = until.since(Moment::now());
            match Connection::open(&socket, USER, "postgres", left.max(POLL)) {
                Ok(connection) => return Ok(connection),
                Err(error) if error.is_not_yet() && left.is_zero() => {
                    return Err(self.not_ready(&error.to_string(), process));
                }
                Err(error) if error.is_not_yet() => sleep(POLL),
                Err(error) => return Err(StartError::Refused { message: error.to_string() }),
            }
        }
    }

    fn ended(&self, how: &str, process: &Process) -> StartError {
        let words = process.last_words_at_end();
        // The second is said when a server is gone and one of its processes is not yet.
        let in_use = ["lock file \"postmaster.pid\" already exists", "is still in use"];
        if in_use.iter().any(|said| words.contains(said)) {
            return StartError::InUse { process: server_of(&self.data), folder: self.data.clone() };
        }
        StartError::Program { program: "postgres", how: how.to_owned(), words }
    }

    fn not_ready(&self, why: &str, process: &Process) -> StartError {
        StartError::NotReady {
            limit: self.ready_time_max,
            why: why.to_owned(),
            words: process.last_words(),
        }
    }
}

/// Waits for a server that is just shutting down, and removes the file of one that is gone
/// where Postgres would take a stranger, who got its number, for it. Postgres judges the rest.
fn clear_stale_server(data: &Path, until: Moment) -> Result<(), StartError> {
    let file = data.join("postmaster.pid");
    while let Some(server) = server_of(data).map(Pid::from_raw) {
        if !is_alive(server) {
            return Ok(());
        }
        if is_certainly_another(server, data) {
            return fs::remove_file(&file).map_err(files(&file));
        }
        let status = fs::read_to_string(&file).unwrap_or_default();
        let is_stopping = status.lines().nth(7).is_some_and(|status| status.trim() == "stopping");
        if !is_stopping || Moment::now() >= until {
            return Ok(());
        }
        sleep(POLL);
    }
    Ok(())
}

/// A server works in its data folder. Where that cannot be seen, Postgres itself must judge.
fn is_certainly_another(process: Pid, data: &Path) -> bool {
    let works_in = fs::read_link(format!("/proc/{process}/cwd"));
    let data = fs::canonicalize(data);
    matches!((works_in, data), (Ok(works_in), Ok(data)) if works_in != data)
}
