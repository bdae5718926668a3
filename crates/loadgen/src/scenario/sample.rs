//! The scenario that a user begins with: everything that can be written, and why one would.

use super::{Target, TargetError};

/// A commented scenario file for an address; it reads back as it is.
///
/// # Errors
/// When the address is none.
pub fn template(url: &str) -> Result<String, TargetError> {
    let (target, path) = Target::parse(url)?;
    // What stands in an address may end neither a TOML text nor a value of ours.
    let path = path.replace('\\', "%5C").replace('"', "%22").replace("{{", "%7B%7B");
    Ok(SAMPLE.replace("TARGET", &target.url()).replace("PATH", &path))
}

const SAMPLE: &str = include_str!("sample.toml");
