//! Servers on their core: the examples of the generator, which say where they answer.

use crate::Error;
use crate::bench::release::program;
use crate::bench::{Running, SERVICE_CORE, pinned};

/// A server. Dropped, it ends.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) url: String,
    pub(super) running: Running,
}

impl Server {
    /// Starts an example that says with its first line's last word where it answers.
    ///
    /// # Errors
    /// When it does not.
    pub(super) fn start(example: &str, arguments: &[&str]) -> Result<Server, Error> {
        let program = pinned(&[SERVICE_CORE], &program(&format!("examples/{example}"))?, arguments);
        let (running, said) = Running::talkative(program, 1)?;
        let url = said[0].split_whitespace().last().filter(|url| url.starts_with("http://"));
        let url = url.ok_or_else(|| format!("{example} does not say where it is: {}", said[0]))?;
        Ok(Server { url: format!("{}/", url.trim_end_matches('/')), running })
    }
}
