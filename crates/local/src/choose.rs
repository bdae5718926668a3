//! Which Postgres serves which data: a data folder can be read by the major version that made
//! it alone.

use crate::account::Account;
use crate::cluster::KeptFolder;
use crate::error::StartError;
use crate::find::{Programs, Version, installed};
use crate::machine::Machine;
use crate::wheel;

/// The newest Postgres that can read the data.
pub(crate) fn choose(
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
