//! Asks a server for its place in the log: a primary how far it is written, a standby how far it
//! has been replayed.

use super::lsn::Lsn;
use crate::error::{Error, Result};
use crate::observer::Observer;

/// As an expression: the position behind the last change that anybody has made, and how much of
/// it is the head of a page. Positions that are asked for come behind the head of the page on
/// which the next change will stand; those that a standby has replayed, before. So at the end of
/// a page it would never seem to arrive, until somebody writes again. (The head of a segment's
/// first page has 40 bytes, that of any other 24; no change stands in one.)
///
/// Not the position that has been flushed: a transaction with `synchronous_commit` off is
/// confirmed before it is.
pub(super) const WRITTEN: &str = "
    (SELECT pg_catalog.concat(lsn, ' ', CASE WHEN place = 40 THEN 40
            WHEN place % pg_catalog.current_setting('wal_block_size')::int4 = 24 THEN 24
            ELSE 0 END)
     FROM (SELECT lsn, (pg_catalog.pg_walfile_name_offset(lsn)).file_offset AS place
           FROM pg_catalog.pg_current_wal_insert_lsn() AS lsn) AS position)";

const REPLAYED: &str = "
    SELECT pg_catalog.pg_last_wal_replay_lsn() WHERE pg_catalog.pg_is_in_recovery()";

/// How far a server has come that should be a standby.
pub(super) enum Replayed {
    Upto(Lsn),
    IsNoStandby,
}

/// The position of a primary.
pub(super) async fn written(observer: &Observer) -> Result<Lsn> {
    let answer = observer.ask_one(&format!("SELECT {WRITTEN}")).await?;
    read_written(&answer.unwrap_or_default())
}

/// Reads what [`WRITTEN`] yields.
pub(super) fn read_written(answer: &str) -> Result<Lsn> {
    let read = || {
        let (lsn, head) = answer.split_once(' ')?;
        let lsn: Lsn = lsn.parse().ok()?;
        Some(Lsn::new(lsn.as_u64().checked_sub(head.parse().ok()?)?))
    };
    read().ok_or_else(|| Error::mistranslated(format!("{answer:?} is no position in the log")))
}

pub(super) async fn replayed(observer: &Observer) -> Result<Replayed> {
    // A standby that has replayed nothing yet says nothing.
    match observer.ask(REPLAYED).await?.first() {
        None => Ok(Replayed::IsNoStandby),
        Some(row) => {
            let lsn = row.try_get(0).map_err(Error::of_statement)?.unwrap_or("0/0");
            lsn.parse().map(Replayed::Upto).map_err(Error::mistranslated)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_of_a_page_is_no_part_of_the_position() {
        let lsn = |answer| read_written(answer).unwrap().to_string();
        assert_eq!(lsn("16/B374D848 0"), "16/B374D848");
        assert_eq!(lsn("0/3000028 40"), "0/3000000");
        assert_eq!(lsn("0/3002018 24"), "0/3002000");
        for answer in ["", "0/1", "0/1 x", "x 0", "0/1 40", "0/1 -1"] {
            assert!(read_written(answer).is_err(), "{answer:?}");
        }
    }
}
