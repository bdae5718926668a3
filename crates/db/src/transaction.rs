//! Named, short transactions: begun on a connection of their own, bounded by a budget, tried
//! again when they lost against another one, and never committed by half.

mod begin;
mod budget;
mod nested;
mod open;
mod spent;
mod state;

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::query::{Statement, Yields};
use crate::run;

pub use begin::Begin;
pub use budget::NamedBudget;
pub(crate) use budget::idle_in_transaction_max;
pub use spent::Spent;

use open::Open;
use state::PartId;

/// An open transaction, or a nested part of one. Its statements see what those before them did,
/// and all of them happen or none. It ends when the work that it was given to returns; kept
/// beyond that it refuses.
#[derive(Debug)]
pub struct Transaction {
    /// Shared by the work's handle and by who commits it. By value, since a future that holds a
    /// reference to a generic closure's argument cannot be shown to be `Send`.
    open: Arc<Open>,
    part: PartId,
}

impl Transaction {
    /// The first row of the answer.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is none; see [`Error`] for the others.
    pub async fn first<U>(&self, query: impl Yields<U>) -> Result<U> {
        self.optional(query).await?.ok_or(Error::NotFound)
    }

    /// The first row of the answer, if there is one.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn optional<U>(&self, query: impl Yields<U>) -> Result<Option<U>> {
        self.optional_row(query).await
    }

    /// All rows of the answer.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn load<U>(&self, query: impl Yields<U>) -> Result<Vec<U>> {
        self.rows(query).await
    }

    /// Runs a statement for its effect; the number of rows that it touched.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn execute(&self, mut query: impl Statement) -> Result<u64> {
        let open = &self.open;
        open.note(self.part, run::execute(open.connection(), open.types(), &mut query)).await
    }

    async fn optional_row<U, Q: Yields<U>>(&self, query: Q) -> Result<Option<U>> {
        let mut statement = query.into_statement();
        let (connection, types) = (self.open.connection(), self.open.types());
        let answer = run::optional::<U, Q>(connection, types, &mut statement);
        self.open.note(self.part, answer).await
    }

    async fn rows<U, Q: Yields<U>>(&self, query: Q) -> Result<Vec<U>> {
        let mut statement = query.into_statement();
        let (connection, types) = (self.open.connection(), self.open.types());
        let answer = run::load::<U, Q>(connection, types, &mut statement);
        self.open.note(self.part, answer).await
    }

    /// The name that was given to it.
    pub fn name(&self) -> &'static str {
        self.open.name()
    }
}
