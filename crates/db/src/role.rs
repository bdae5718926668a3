//! What a server is among several, and whether it is the one that is wanted.

use tokio_postgres::{Client, SimpleQueryMessage};

use crate::address::TargetSessionAttrs;
use crate::refused::Refused;

/// What a server says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Role {
    standby: bool,
    read_only: bool,
}

impl Role {
    /// What it said of itself when the session began: Postgres does since version 14, a pooler
    /// in front of it may not.
    pub(crate) fn announced<S, T>(connection: &tokio_postgres::Connection<S, T>) -> Option<Role>
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
        T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    {
        let standby = connection.parameter("in_hot_standby")? == "on";
        let read_only = connection.parameter("default_transaction_read_only")? == "on";
        Some(Role { standby, read_only: read_only || standby })
    }

    pub(crate) async fn ask(client: &Client) -> Result<Role, tokio_postgres::Error> {
        let question = "SELECT pg_catalog.pg_is_in_recovery(), \
                        pg_catalog.current_setting('transaction_read_only')";
        let answer = client.simple_query(question).await?;
        let row = answer.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some((row.get(0), row.get(1))),
            _ => None,
        });
        let (standby, read_only) = row.unwrap_or_default();
        Ok(Role { standby: standby == Some("t"), read_only: read_only == Some("on") })
    }

    pub(crate) fn check(self, wanted: TargetSessionAttrs) -> Result<(), Refused> {
        let fits = match wanted {
            TargetSessionAttrs::Any | TargetSessionAttrs::PreferStandby => true,
            TargetSessionAttrs::ReadWrite => !self.read_only,
            TargetSessionAttrs::ReadOnly => self.read_only,
            TargetSessionAttrs::Primary => !self.standby,
            TargetSessionAttrs::Standby => self.standby,
        };
        let is = match self {
            Role { standby: true, .. } => "a standby",
            Role { read_only: true, .. } => "a primary that takes no writes",
            Role { .. } => "a primary",
        };
        if fits { Ok(()) } else { Err(Refused::Role { is, wanted: wanted.word() }) }
    }
}
