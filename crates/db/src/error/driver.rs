//! What an error of the driver means: it keeps its kinds to itself.

use std::error::Error as StdError;
use std::sync::Arc;

use super::{Cause, Error, PostgresError};

impl Error {
    /// An error of a statement that had been sent.
    pub(crate) fn of_statement(error: tokio_postgres::Error) -> Error {
        match error.as_db_error() {
            Some(said) => Error::Postgres(PostgresError(Arc::new(said.clone()))),
            None if error.is_closed() => Error::ConnectionLost { cause: Cause::new(error) },
            // tokio-postgres keeps its kinds to itself; those that do not come from the
            // socket are all about translating values or messages.
            None if has_io_source(&error) => Error::ConnectionLost { cause: Cause::new(error) },
            // Nobody knows which answer the next one would be.
            None if error.to_string() == OUT_OF_STEP => {
                Error::ConnectionLost { cause: Cause::new(error) }
            }
            None => Error::Mistranslated { cause: Cause::new(error) },
        }
    }
}

/// What the driver says when a message comes that it did not expect; there is no other sign of it.
const OUT_OF_STEP: &str = "unexpected message from server";

/// What the driver cannot write as a message (a zero byte in SQL, more values than there may be) is
/// an invalid input, and has not been sent.
fn has_io_source(error: &tokio_postgres::Error) -> bool {
    let source = error.source().and_then(|source| source.downcast_ref::<std::io::Error>());
    source.is_some_and(|error| error.kind() != std::io::ErrorKind::InvalidInput)
}
