//! How much a piece of work matters, so that overload turns away what matters least.

use std::fmt;
use std::str::FromStr;

/// The class of a request or a job. What comes first here is served first and refused last.
///
/// The four classes are those of Google's "Site Reliability Engineering", chapter 21
/// ("Criticality"), with the names that its readers know from Envoy and gRPC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// Refusing it is an outage: a payment, a log-in.
    Critical,
    /// A person waits for it.
    #[default]
    Normal,
    /// Nice to have: recommendations, prefetching, a retry.
    Sheddable,
    /// Nobody waits for it: jobs, refreshes, reports by night.
    Background,
}

impl Priority {
    /// All classes, the most important first.
    pub const ALL: [Priority; 4] =
        [Priority::Critical, Priority::Normal, Priority::Sheddable, Priority::Background];

    /// The name used in configuration, headers, metrics and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Priority::Critical => "critical",
            Priority::Normal => "normal",
            Priority::Sheddable => "sheddable",
            Priority::Background => "background",
        }
    }

    /// 0 for the most important class, 3 for the least.
    pub const fn rank(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Priority {
    type Err = ParsePriorityError;

    fn from_str(text: &str) -> Result<Priority, ParsePriorityError> {
        Priority::ALL
            .into_iter()
            .find(|priority| priority.name() == text)
            .ok_or_else(|| ParsePriorityError(text.to_owned()))
    }
}

/// The text names no priority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParsePriorityError(String);

impl fmt::Display for ParsePriorityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is no priority: use critical, normal, sheddable or background", self.0)
    }
}

impl std::error::Error for ParsePriorityError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_parse_back() {
        for priority in Priority::ALL {
            assert_eq!(priority.name().parse(), Ok(priority));
        }
    }

    #[test]
    fn a_wrong_name_says_what_would_be_right() {
        let error = "urgent".parse::<Priority>().unwrap_err();
        assert_eq!(
            error.to_string(),
            r#""urgent" is no priority: use critical, normal, sheddable or background"#
        );
    }

    #[test]
    fn what_matters_most_sorts_first() {
        assert!(Priority::ALL.is_sorted());
        assert!(Priority::ALL.iter().enumerate().all(|(rank, priority)| priority.rank() == rank));
    }
}
