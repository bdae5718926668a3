//! Where the time of a transaction went, for whoever has to make it shorter.

use std::fmt;
use std::time::Duration;

/// How the time of a transaction was spent, all its tries together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// How often it was begun: more than once if it lost against others.
    pub tries: u32,
    /// Waiting for a connection. It had no lock then, so this is not part of its budget.
    pub waiting: Duration,
    /// Waiting for the answers of its statements, BEGIN and COMMIT among them.
    pub in_statements: Duration,
    /// Open, with nothing to do for Postgres, while the code awaited something else.
    pub idle: Duration,
}

impl Spent {
    /// The time during which it was open: what counts against the budget.
    pub fn open(&self) -> Duration {
        self.in_statements + self.idle
    }
}

impl fmt::Display for Spent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} ms waiting for a connection, {} ms in statements, {} ms idle in transaction \
             while the code awaited something else",
            self.waiting.as_millis(),
            self.in_statements.as_millis(),
            self.idle.as_millis()
        )?;
        if self.tries > 1 { write!(f, ", in {} tries", self.tries) } else { Ok(()) }
    }
}
