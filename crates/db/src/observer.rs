//! A session beside lanes and pool, for what the service itself wants to know of a server: it
//! never waits for a place, so that the answer comes in the worst overload.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_postgres::{Client, SimpleQueryMessage, SimpleQueryRow};

use crate::connect::{Connected, Connector};
use crate::error::{Error, Result};

/// Time for an answer. What is asked here is known at once, unless the server is drowning.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(crate) struct Observer {
    client: Client,
    driver: JoinHandle<()>,
}

impl Observer {
    pub(crate) async fn connect(connector: &Connector) -> Result<Observer> {
        let Connected { client, driver, place: _ } = connector.connect().await?;
        Ok(Observer { client, driver })
    }

    /// The rows of an answer. Nothing is prepared, so that any pooler may be in between.
    pub(crate) async fn ask(&self, sql: &str) -> Result<Vec<SimpleQueryRow>> {
        let answer = tokio::time::timeout(ANSWER_TIMEOUT, self.client.simple_query(sql)).await;
        let messages = match answer {
            Ok(messages) => messages.map_err(Error::of_statement)?,
            Err(_elapsed) => return Err(Error::DeadlinePassed { after: ANSWER_TIMEOUT }),
        };
        let rows = messages.into_iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        Ok(rows.collect())
    }

    /// The first column of the first row, as text.
    pub(crate) async fn ask_one(&self, sql: &str) -> Result<Option<String>> {
        let rows = self.ask(sql).await?;
        Ok(rows.first().and_then(|row| row.try_get(0).ok().flatten()).map(str::to_owned))
    }

    /// Returns when the connection is at its end.
    pub(crate) async fn lost(&mut self) {
        // However its task ended, the connection has.
        let _ = (&mut self.driver).await;
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        self.driver.abort();
    }
}
