//! The one place that reads the process environment, so that every variable which matters
//! is found by reading one crate.
#![allow(clippy::disallowed_methods, reason = "this module is what the ban points to")]

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;

/// The value of one variable of this process; nothing if it is not set.
///
/// Bytes that are not UTF-8 become `U+FFFD`, so that a list such as `PATH` keeps its good parts.
pub fn var(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}

/// The variables of a process, read once; tests bring their own.
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<OsString, OsString>,
}

impl Environment {
    /// The environment of this process, as it is now.
    pub fn process() -> Environment {
        Environment { variables: std::env::vars_os().collect() }
    }

    /// An environment that holds these variables and no other.
    pub fn from_pairs<N: Into<OsString>, V: Into<OsString>>(
        pairs: impl IntoIterator<Item = (N, V)>,
    ) -> Environment {
        let variables =
            pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Environment { variables }
    }

    /// The value of one variable, if it is set.
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        self.variables.get(OsStr::new(name)).map(OsString::as_os_str)
    }

    /// Every variable in the order of names; a name that is not UTF-8 is none that we could know.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &OsStr)> {
        self.variables
            .iter()
            .filter_map(|(name, value)| name.to_str().map(|name| (name, value.as_os_str())))
    }
}

/// Names only: values may be secret.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.variables.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_has_the_variables_it_was_started_with() {
        let environment = Environment::process();
        let path = var("PATH").expect("whoever runs the tests has a PATH");
        assert_eq!(environment.get("PATH").map(OsStr::to_string_lossy), Some(path.into()));
        assert_eq!(var("NO_SUCH_VARIABLE_ANYWHERE"), None);
    }

    #[test]
    fn debug_shows_no_value() {
        let environment = Environment::from_pairs([("DATABASE_URL", "hunter2")]);
        assert_eq!(format!("{environment:?}"), r#"{"DATABASE_URL"}"#);
    }
}
