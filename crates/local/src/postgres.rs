//! A private Postgres, from options to an address, and its whole life after that.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::unistd::Pid;
use tenfold_context::Moment;

use crate::account::Account;
use crate::cluster::{self, KeptFolder, USER, files, server_of};
use crate::error::StartError;
use crate::find::{Programs, Version, installed};
use crate::folder::{PrivateFolder, copy_content, is_alive, sweep};
use crate::machine::Machine;
use crate::process::{POLL, Process, Stopped};
use crate::wheel;
use crate::wire::{Connection, WireError, create_database};

/// Only the name of the socket's file depends on it.
const PORT: u16 = 5432;

/// The address of a Unix socket has room for no more (103 on macOS, 107 on Linux).
const SOCKET_PATH_BYTES_MAX: usize = 103;

/// SIGINT disconnects everybody and ends in order; SIGQUIT ends without a checkpoint.
const STOP_STEPS: [(Signal, Duration); 2] =
    [(Signal::SIGINT, Duration::from_secs(15)), (Signal::SIGQUIT, Duration::from_secs(5))];

/// Settings that keep the server private, or that it needs to be found: they are not for sale.
const OURS: [&str; 11] = [
    "listen_addresses",
    "port",
    "unix_socket_directories",
    "unix_socket_permissions",
    "unix_socket_group",
    "data_directory",
    "config_file",
    "hba_file",
    "ident_file",
    "log_destination",
    "logging_collector",
];

/// What kind of Postgres is wanted.
///
/// ```
/// use tenfold_local::PostgresOptions;
///
/// let options = PostgresOptions {
///     database: "store".into(),
///     settings: vec![("max_connections".into(), "40".into())],
///     ..PostgresOptions::default()
/// };
/// # assert_eq!(options.data, None);
/// ```
#[derive(Clone, Debug)]
pub struct PostgresOptions {
    /// The folder that keeps the data. Without one it is fresh, and gone with the server.
    pub data: Option<PathBuf>,
    /// The database that the address leads to; it is created if it is not there.
    pub database: String,
    /// Settings as `postgresql.conf` names them, with their values.
    pub settings: Vec<(String, String)>,
    /// How long the server may take to answer; recovery after a crash is part of it.
    pub ready_time_max: Duration,
    /// Where things are looked for and kept.
    pub machine: Machine,
}

impl Default for PostgresOptions {
    /// Fresh data, the database `postgres`, no settings, 30 s, this machine.
    fn default() -> PostgresOptions {
        PostgresOptions {
            data: None,
            database: "postgres".into(),
            settings: Vec::new(),
            ready_time_max: Duration::from_secs(30),
            machine: Machine::this(),
        }
    }
}

/// A running Postgres that only this user (and root) can reach, and that ends with this process.
///
/// Dropping it stops the server in order and removes everything that is not to be kept.
#[derive(Debug)]
pub struct Postgres {
    // Fields are dropped in this order: the server has ended before its folders go.
    process: Process,
    launch: Launch,
    database: String,
    _folder: PrivateFolder,
    _kept: Option<KeptFolder>,
}

impl Postgres {
    /// Starts one. `say` gets a line for what takes long enough to be told: the first fetch.
    ///
    /// # Errors
    /// Each is one of [`StartError`], with what to do about it. Nothing is left behind.
    pub fn start(options: &PostgresOptions, say: &dyn Fn(&str)) -> Result<Postgres, StartError> {
        check(options)?;
        let machine = &options.machine;
        sweep(&machine.temporary);
        let account = Account::unprivileged().ok_or(StartError::NoAccount)?;
        let kept = options
            .data
            .as_deref()
            .map(|data| KeptFolder::open(data, account.clone()))
            .transpose()?;
        let account = kept.as_ref().map_or(account, |kept| kept.account.clone());
        let programs = choose(machine, &account, kept.as_ref(), say)?;

        let temporary = &machine.temporary;
        let folder = PrivateFolder::new(temporary, "postgres").map_err(files(temporary))?;
        cluster::check_way(folder.path(), &account)?;
        let socket_directory = folder.room("socket", &account).map_err(files(folder.path()))?;
        check_socket(&socket_directory)?;
        let data = match &kept {
            Some(kept) => {
                if kept.major.is_none() {
                    kept.fill(&cluster::template(machine, &programs, &account)?)?;
                }
                kept.path.clone()
            }
            None => {
                let template = cluster::template(machine, &programs, &account)?;
                let data = folder.room("data", &account).map_err(files(folder.path()))?;
                copy_content(&template, &data, &account)?;
                data
            }
        };
        let launch = Launch {
            programs,
            account,
            data,
            socket_directory,
            settings: options.settings.clone(),
            ready_time_max: options.ready_time_max,
        };
        let process = launch.launch(&options.database)?;
        let database = options.database.clone();
        Ok(Postgres { process, launch, database, _folder: folder, _kept: kept })
    }

    /// The address of the database, for `psql`, libpq, diesel and tokio-postgres alike.
    pub fn url(&self) -> String {
        self.url_of(&self.database)
    }

    /// The address of another database on the same server.
    pub fn url_of(&self, database: &str) -> String {
        let host = self.launch.socket_directory.to_string_lossy();
        format!(
            "postgres:///{}?host={}&port={PORT}&user={USER}",
            percent_encoded(database),
            percent_encoded(&host)
        )
    }

    /// The folder of its Unix socket.
    pub fn socket_directory(&self) -> &Path {
        &self.launch.socket_directory
    }

    /// The data folder.
    pub fn data_directory(&self) -> &Path {
        &self.launch.data
    }

    /// The folder of the server's programs: `psql`, `pg_dump` and more are often beside it.
    pub fn program_directory(&self) -> &Path {
        &self.launch.programs.folder
    }

    /// The server's version.
    pub fn version(&self) -> Version {
        self.launch.programs.version
    }

    /// The server's process id.
    pub fn process_id(&self) -> u32 {
        self.process.pid().as_raw().cast_unsigned()
    }

    /// The last lines of its log.
    pub fn last_words(&self) -> String {
        self.process.last_words()
    }

    /// Freezes the server with all its processes: connections stay open, nothing is answered.
    ///
    /// # Errors
    /// What the system says if a signal cannot be sent.
    pub fn pause(&mut self) -> io::Result<()> {
        self.process.pause()
    }

    /// Lets a paused server go on.
    pub fn resume(&mut self) {
        self.process.resume();
    }

    /// Ends the server at once, as a crash would; [`Postgres::start_again`] then recovers.
    ///
    /// # Errors
    /// What the system says if a signal cannot be sent.
    pub fn kill(&mut self) -> io::Result<()> {
        self.process.kill()?;
        remove_shared_memory(&self.launch.data);
        Ok(())
    }

    /// Stops the server in order; after 20 s by force.
    ///
    /// # Errors
    /// What the system says if a signal cannot be sent.
    pub fn stop(&mut self) -> io::Result<Stopped> {
        self.process.stop(&STOP_STEPS)
    }

    /// Starts a server that was killed or stopped on the same data, at the same address.
    ///
    /// # Errors
    /// As [`Postgres::start`].
    pub fn start_again(&mut self) -> Result<(), StartError> {
        self.stop().map_err(files(&self.launch.data))?;
        self.process = self.launch.launch(&self.database)?;
        Ok(())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // What fails here is ended by force when the process is dropped.
        let _ = self.stop();
    }
}

/// All that is needed to start the server, also a second time.
#[derive(Debug)]
struct Launch {
    programs: Programs,
    account: Account,
    data: PathBuf,
    socket_directory: PathBuf,
    settings: Vec<(String, String)>,
    ready_time_max: Duration,
}

impl Launch {
    fn launch(&self, database: &str) -> Result<Process, StartError> {
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

    fn command(&self) -> Command {
        let mut command = self.programs.command("postgres", &self.account);
        command.arg("-D").arg(&self.data).arg("-k").arg(&self.socket_directory);
        let ours = [
            ("listen_addresses", ""),
            ("port", &PORT.to_string()),
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
        let socket = socket_of(&self.socket_directory);
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
        if words.contains("lock file \"postmaster.pid\" already exists") {
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

/// The newest Postgres that can read the data.
fn choose(
    machine: &Machine,
    account: &Account,
    kept: Option<&KeptFolder>,
    say: &dyn Fn(&str),
) -> Result<Programs, StartError> {
    let found = installed(machine, account);
    let versions: Vec<Version> = found.iter().map(|programs| programs.version).collect();
    let wanted = kept.and_then(|kept| kept.major);
    let fits = |programs: &Programs| wanted.is_none_or(|major| programs.version.major == major);
    if let Some(programs) = found.into_iter().find(fits) {
        return Ok(programs);
    }
    let other_version = |kept: &KeptFolder, major| StartError::OtherVersion {
        folder: kept.path.clone(),
        major,
        found: versions.clone(),
    };
    match (kept, wanted) {
        (Some(kept), Some(major)) if major != wheel::MAJOR => Err(other_version(kept, major)),
        (Some(kept), Some(major)) if !versions.is_empty() => {
            wheel::fetched(machine, account, say).map_err(|_| other_version(kept, major))
        }
        _ => wheel::fetched(machine, account, say).map_err(|why| StartError::NothingFound { why }),
    }
}

fn check_socket(socket_directory: &Path) -> Result<(), StartError> {
    let socket = socket_of(socket_directory);
    let path = socket.as_os_str();
    let error = if path.len() > SOCKET_PATH_BYTES_MAX {
        format!("the path of a socket has at most {SOCKET_PATH_BYTES_MAX} bytes")
    } else if path.as_encoded_bytes().contains(&b',') {
        "the path of a socket has no comma, because clients take it for the end of it".to_owned()
    } else {
        return Ok(());
    };
    Err(files(&socket)(io::Error::other(error)))
}

fn socket_of(directory: &Path) -> PathBuf {
    directory.join(format!(".s.PGSQL.{PORT}"))
}

fn check(options: &PostgresOptions) -> Result<(), StartError> {
    let name = &options.database;
    if name.is_empty() || name.len() > 63 || name.contains('\0') {
        return Err(StartError::DatabaseName { name: name.clone() });
    }
    for (name, value) in &options.settings {
        let refuse =
            |why| Err(StartError::Setting { name: name.clone(), value: value.clone(), why });
        let well_formed =
            name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.".contains(&byte));
        if name.is_empty() || !well_formed || value.contains('\0') {
            return refuse(
                "a name has letters, digits, dots and underscores, and a value no zero byte",
            );
        }
        if OURS.iter().any(|ours| ours.eq_ignore_ascii_case(name)) {
            return refuse("it is fixed, so that nobody else can reach the server");
        }
    }
    Ok(())
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

/// Removes what a killed server leaves in the kernel until the machine is restarted: a few
/// bytes, but of such segments there is a limited number. Only right after the kill is it
/// certain whose it is.
fn remove_shared_memory(data: &Path) {
    let file = fs::read_to_string(data.join("postmaster.pid")).unwrap_or_default();
    // Its seventh line has the segment's key and its id.
    let line = file.lines().nth(6).unwrap_or_default();
    if let Some(id) = line.split_whitespace().nth(1) {
        let mut ipcrm = Command::new("ipcrm");
        ipcrm.args(["-m", id]);
        // Without that program one more segment stays; no server depends on it.
        let _ = Process::run(ipcrm, Duration::from_secs(5));
    }
}

/// A server works in its data folder. Where that cannot be seen, Postgres itself must judge.
fn is_certainly_another(process: Pid, data: &Path) -> bool {
    let works_in = fs::read_link(format!("/proc/{process}/cwd"));
    let data = fs::canonicalize(data);
    matches!((works_in, data), (Ok(works_in), Ok(data)) if works_in != data)
}

/// For the path and the query of a URL: everything but the plainest characters.
fn percent_encoded(text: &str) -> String {
    use std::fmt::Write;

    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}
