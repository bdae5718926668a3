//! A private Postgres, from options to an address, and its whole life after that.

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::account::Account;
use crate::address;
use crate::choose::choose;
use crate::cluster::{self, KeptFolder, files};
use crate::error::StartError;
use crate::find::Version;
use crate::folder::{PrivateFolder, copy_content, sweep};
use crate::launch::Launch;
use crate::options::{PostgresOptions, check};
use crate::process::{Process, Stopped};

/// SIGINT disconnects everybody and ends in order; SIGQUIT ends without a checkpoint.
const STOP_STEPS: [(Signal, Duration); 2] =
    [(Signal::SIGINT, Duration::from_secs(15)), (Signal::SIGQUIT, Duration::from_secs(5))];

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
        address::check_socket(&socket_directory, options.tcp_port.unwrap_or(address::PORT))?;
        let data = match &kept {
            Some(kept) => {
                if kept.major.is_none() {
                    kept.fill(&cluster::template(machine, &programs, &account)?)?;
                }
                kept.path.clone()
            }
            None => {
                let data = folder.room("data", &account).map_err(files(folder.path()))?;
                match &options.follows {
                    Some(primary) => cluster::copy_of(primary, &programs, &account, &data)?,
                    None => {
                        let template = cluster::template(machine, &programs, &account)?;
                        copy_content(&template, &data, &account)?;
                    }
                }
                data
            }
        };
        let launch = Launch {
            programs,
            account,
            data,
            socket_directory,
            settings: options.settings.clone(),
            tcp_port: options.tcp_port,
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
        address::url(&self.launch.socket_directory, self.launch.port(), database)
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

    /// How the server ended, if nobody here asked it to: somebody killed it, or it gave up.
    /// `None` while it runs.
    ///
    /// # Errors
    /// What the system says if it cannot tell.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.process.has_ended()
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

    /// Makes a primary of a server that follows one.
    ///
    /// # Errors
    /// What `pg_ctl` says, such as that it follows none.
    pub fn promote(&self) -> Result<(), StartError> {
        cluster::promote(&self.launch.programs, &self.launch.account, &self.launch.data)
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
