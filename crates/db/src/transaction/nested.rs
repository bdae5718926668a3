//! Parts of a transaction that may fail without the whole: savepoints, made by nesting.

use std::sync::Arc;

use super::Transaction;
use super::open::Open;
use super::state::{Denied, PartId};
use crate::error::{Error, Result};

impl Transaction {
    /// Runs `work` as a part of its own, behind a savepoint: kept when it returns `Ok`, and with
    /// `Err` undone, while what was done before stays and the transaction goes on. Nested parts
    /// may be nested.
    ///
    /// `work` is given a handle of its own, and takes its turn: meanwhile the outer handle
    /// refuses ([`Error::TransactionParts`]). It is within the budget of the whole. Dropped
    /// before it returned, by `tokio::time::timeout` for example, it is undone before the next
    /// statement of the outer part, or its COMMIT; what it left running is cancelled.
    ///
    /// ```no_run
    /// # use tenfold_db::{Db, Error};
    /// # async fn example(db: Db, row: impl tenfold_db::Statement + Clone) -> Result<(), Error> {
    /// db.transaction("import", async |tx| {
    ///     let twice = tx.nested(async |tx| tx.execute(row.clone()).await).await;
    ///     if let Err(error) = twice {
    ///         // The transaction is as if the row had never been tried.
    ///         tracing::info!(%error, "row left out");
    ///     }
    ///     Ok(())
    /// })
    /// .await
    /// # }
    /// ```
    ///
    /// # Errors
    /// What `work` returned; or the error of a statement of it that failed, though `work`
    /// returned `Ok`: such a part is undone too.
    pub async fn nested<T, E, F, W>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(Transaction) -> W,
        W: Future<Output = Result<T, E>>,
        E: From<Error>,
    {
        let part = Part::begin(&self.open, self.part).await?;
        match work(Transaction { open: Arc::clone(&self.open), part: part.id }).await {
            Ok(value) => {
                part.keep().await?;
                Ok(value)
            }
            Err(error) => {
                part.undo().await;
                Err(error)
            }
        }
    }
}

/// A nested part whose work has not returned. Dropped as such it is to be undone.
struct Part<'a> {
    open: &'a Open,
    id: PartId,
    ended: bool,
}

impl<'a> Part<'a> {
    async fn begin(open: &'a Open, outer: PartId) -> Result<Part<'a>> {
        open.note(outer, async { Ok(()) }).await?;
        let part = {
            let mut state = open.state();
            // What is under way would belong to neither part.
            if state.is_busy() {
                return Err(open.denied(Denied::OtherPart));
            }
            Part { open, id: state.begin_part(), ended: false }
        };
        let savepoint = format!("SAVEPOINT {}", part.id.savepoint());
        match open.note(part.id, open.connection().batch(&savepoint)).await {
            Ok(()) => Ok(part),
            Err(error) => {
                // There is none, so there is nothing to go back to.
                open.state().keep_part(part.id);
                part.ended();
                Err(error)
            }
        }
    }

    async fn keep(self) -> Result<()> {
        if let Err(error) = self.open.sound() {
            self.undo().await;
            return Err(error);
        }
        let release = format!("RELEASE SAVEPOINT {}", self.id.savepoint());
        self.open.note(self.id, self.open.connection().batch(&release)).await?;
        self.open.state().keep_part(self.id);
        self.ended();
        Ok(())
    }

    /// If it cannot be undone, it counts as failed, and so does the whole then.
    async fn undo(self) {
        self.open.state().drop_part(self.id);
        if self.open.undo_dropped().await.is_ok() {
            self.ended();
        }
    }

    fn ended(mut self) {
        self.ended = true;
    }
}

impl Drop for Part<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.open.state().drop_part(self.id);
        }
    }
}
