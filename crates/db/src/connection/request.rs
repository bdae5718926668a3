//! How a query comes to be run on a connection: which prepared statement it is, or what has to be
//! sent so that Postgres knows it.

use std::sync::Arc;

use diesel::pg::Pg;
use tokio_postgres::types::{IsNull, ToSql, Type};

use super::Connection;
use crate::binds::Binds;
use crate::error::{Error, Result};
use crate::query::{Key, Statement, sql_of};
use crate::session;
use crate::statements::{Found, Prepared, Slot};
use crate::types::{CustomTypes, MissingTypes, type_of};

/// A query that has found its way to run on a connection: all that travels of it.
pub(super) struct Request {
    pub(super) key: Key,
    pub(super) binds: Binds,
    pub(super) way: Way,
}

pub(super) enum Way {
    Run(Form),
    /// It is to be prepared, by whoever comes first.
    Prepare(Slot, Box<Text>),
}

/// In which form a statement is run.
pub(super) enum Form {
    Prepared(tokio_postgres::Statement),
    /// It will hardly come again, says diesel, and so is run without a name.
    Once(Box<Text>),
}

/// What has to be sent with a statement that Postgres does not know. It lies in a box, so that
/// the usual request, which has none, is small to pass on.
pub(super) struct Text {
    pub(super) sql: Arc<str>,
    pub(super) bind_types: Vec<Type>,
}

impl Text {
    fn of(query: &impl Statement, binds: &Binds) -> Result<Box<Text>> {
        let bind_types = binds.types()?.iter().copied().map(type_of).collect();
        let sql = sql_of(query)?;
        if let Some(word) = transaction_control(&sql) {
            return Err(Error::mistranslated(format!(
                "{word} in raw SQL would leave others a connection with a transaction that \
                 nobody knows of: use Db::transaction"
            )));
        }
        if copies_here(&sql) {
            return Err(Error::mistranslated(
                "COPY has rows to send or to take, and is no statement as others are: use \
                 Db::copy_in or Db::copy_out",
            ));
        }
        Ok(Box::new(Text { sql, bind_types }))
    }
}

impl Connection {
    /// Turns a query into what travels of it. `Err` names types of one's own that `types` has
    /// to learn first.
    pub(super) fn request(
        &self,
        query: &impl Statement,
        types: &Arc<CustomTypes>,
    ) -> Result<Result<Request, MissingTypes>> {
        let binds = match Binds::of(query, types)? {
            Ok(binds) => binds,
            Err(missing) => return Ok(Err(missing)),
        };
        let key = Key::of(query, &binds)?;
        if !self.names_statements {
            let text = Text::of(query, &binds)?;
            self.note_change(&text.sql)?;
            return Ok(Ok(Request { key, binds, way: Way::Run(Form::Once(text)) }));
        }
        let way = match self.statements.find(&key) {
            Some(Found::Prepared(statement)) => Way::Run(Form::Prepared(statement)),
            // It was kept because diesel allows it, and diesel's verdict goes by the key.
            Some(Found::Slot(slot)) => Way::Prepare(slot, Text::of(query, &binds)?),
            None => {
                let text = Text::of(query, &binds)?;
                // What changes the session is never kept, so that it is seen each time.
                let may_be_kept = !self.note_change(&text.sql)?
                    && query.is_safe_to_cache_prepared(&Pg).map_err(Error::mistranslated)?;
                if may_be_kept {
                    Way::Prepare(self.statements.slot(&key), text)
                } else {
                    Way::Run(Form::Once(text))
                }
            }
        };
        Ok(Ok(Request { key, binds, way }))
    }

    /// Prepares a statement, unless somebody else has meanwhile. That goes on when the caller
    /// leaves, because a name that was made in Postgres and forgotten here would stay there for
    /// ever.
    pub(super) async fn prepared(
        self: &Arc<Self>,
        slot: Slot,
        text: Box<Text>,
        key: &Key,
    ) -> Result<Form> {
        let Text { sql, bind_types } = *text;
        let prepare = async {
            let (connection, key) = (Arc::clone(self), key.clone());
            let task = self.runtime.spawn(async move {
                let number = connection.line.send();
                let prepared = connection.client.prepare_typed(&sql, &bind_types).await;
                connection.answered(number, &key);
                let statement = prepared.map_err(Error::of_statement)?;
                Ok(Prepared { statement, number })
            });
            task.await.unwrap_or(Err(Error::Closed))
        };
        let prepared = slot.get_or_try_init(|| prepare).await?;
        Ok(Form::Prepared(prepared.statement.clone()))
    }
}

/// The values as the driver wants them.
pub(super) fn values(binds: &Binds) -> impl ExactSizeIterator<Item = Bind<'_>> {
    binds.values().iter().map(|value| Bind(value.as_deref()))
}

/// A value that diesel has encoded already.
#[derive(Debug)]
pub(super) struct Bind<'a>(Option<&'a [u8]>);

impl ToSql for Bind<'_> {
    fn to_sql(
        &self,
        _: &Type,
        out: &mut bytes::BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self.0 {
            Some(bytes) => {
                out.extend_from_slice(bytes);
                Ok(IsNull::No)
            }
            None => Ok(IsNull::Yes),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    tokio_postgres::types::to_sql_checked!();
}

/// The word with which a text would begin or end a transaction, if it would.
fn transaction_control(sql: &str) -> Option<&'static str> {
    const WORDS: [&str; 8] =
        ["BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT", "SAVEPOINT", "RELEASE"];
    let word = session::words(sql).next()?;
    WORDS.into_iter().find(|control| word.eq_ignore_ascii_case(control))
}

/// Whether it is a COPY whose rows would come, or go, over the connection. Postgres then takes no
/// other message, not even the end of this one, and answers what others have sent meanwhile in the
/// wrong order.
fn copies_here(sql: &str) -> bool {
    let mut words = session::words(sql);
    words.next().is_some_and(|word| word.eq_ignore_ascii_case("COPY"))
        && words.any(|word| ["STDIN", "STDOUT"].iter().any(|end| word.eq_ignore_ascii_case(end)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transaction_control_is_seen_through_case_space_and_comments() {
        for sql in [
            "BEGIN",
            "begin isolation level serializable",
            " ;\n commit",
            "-- now\nROLLBACK",
            "/* a */ -- b\n/* c */ savepoint s",
            "End;",
            "/* a /* b */ */ BEGIN",
            "-- a\n; commit",
        ] {
            assert!(transaction_control(sql).is_some(), "{sql:?}");
        }
        for sql in [
            "SELECT 1 -- BEGIN",
            "SELECT 'COMMIT'",
            "beginning",
            "",
            "-- BEGIN",
            "/* BEGIN",
            "WITH abort AS (SELECT 1) SELECT * FROM abort",
        ] {
            assert_eq!(transaction_control(sql), None, "{sql:?}");
        }
    }

    #[test]
    fn copy_is_seen_where_it_needs_the_connection() {
        for sql in [
            "COPY t FROM STDIN",
            "/* all */ copy (SELECT 1) to stdout (FORMAT csv)",
            "COPY t (a, b) FROM\nstdin WITH (FORMAT csv)",
        ] {
            assert!(copies_here(sql), "{sql:?}");
        }
        for sql in [
            "COPY t FROM '/data/STDIN'",
            "COPY t TO PROGRAM 'gzip > stdout'",
            "SELECT stdin FROM copy",
            "",
        ] {
            assert!(!copies_here(sql), "{sql:?}");
        }
    }
}
