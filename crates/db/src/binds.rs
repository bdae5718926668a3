//! The values of one run of a query, collected into storage that the thread uses again: small
//! queries are many, and fetching and freeing memory is most of what they would cost here.

use std::cell::RefCell;
use std::sync::Arc;

use diesel::pg::{Pg, PgTypeMetadata};
use diesel::query_builder::QueryFragment;
use diesel::query_builder::bind_collector::RawBytesBindCollector;
use tokio_postgres::types::Oid;

use crate::error::{Error, Result};
use crate::types::{CustomTypes, FirstLook, MissingTypes};

type Collector = RawBytesBindCollector<Pg>;

/// Empty collectors that a thread keeps: as many as there are statements in flight on a usual
/// shared lane.
const SPARE_MAX: usize = 64;

/// A collector that once held more values than this is not kept: its memory may be needed
/// elsewhere.
const SPARE_VALUES_MAX: usize = 32;

thread_local! {
    static SPARE: RefCell<Vec<Collector>> = const { RefCell::new(Vec::new()) };
}

/// The values of one run of a query and their types.
pub(crate) struct Binds(Collector);

impl Binds {
    /// Takes the values out of a query. `Err` names custom types (enums, domains, …) that
    /// `types` has to look up first.
    pub(crate) fn of(
        query: &impl QueryFragment<Pg>,
        types: &Arc<CustomTypes>,
    ) -> Result<Result<Binds, MissingTypes>> {
        let mut binds = Binds::empty();
        let mut first_look = FirstLook::default();
        query.collect_binds(&mut binds.0, &mut first_look, &Pg).map_err(Error::mistranslated)?;
        if first_look.saw_custom_type() {
            binds = Binds::empty();
            let mut lookup = types.lookup();
            query.collect_binds(&mut binds.0, &mut lookup, &Pg).map_err(Error::mistranslated)?;
            if let Some(missing) = lookup.missing() {
                return Ok(Err(missing));
            }
        }
        Ok(Ok(binds))
    }

    fn empty() -> Binds {
        let spare = SPARE.with(|spare| spare.borrow_mut().pop());
        Binds(spare.unwrap_or_default())
    }

    /// The values in Postgres' binary format; `None` is NULL.
    pub(crate) fn values(&self) -> &[Option<Vec<u8>>] {
        &self.0.binds
    }

    /// The types of the values, by their numbers in Postgres.
    pub(crate) fn types(&self) -> Result<Box<[Oid]>> {
        let oid = |metadata: &PgTypeMetadata| metadata.oid().map_err(Error::mistranslated);
        self.0.metadata.iter().map(oid).collect()
    }
}

impl Drop for Binds {
    fn drop(&mut self) {
        let mut collector = std::mem::replace(&mut self.0, Collector::new());
        if collector.binds.capacity() > SPARE_VALUES_MAX {
            return;
        }
        collector.binds.clear();
        collector.metadata.clear();
        // A thread that is just ending keeps nothing.
        let _ = SPARE.try_with(|spare| {
            let mut spare = spare.borrow_mut();
            if spare.len() < SPARE_MAX {
                spare.push(collector);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use diesel::sql_types::{BigInt, Nullable, Text};

    use super::*;

    fn binds(query: &impl QueryFragment<Pg>) -> Binds {
        Binds::of(query, &Arc::default()).unwrap().unwrap()
    }

    fn numbers(values: std::ops::Range<i64>) -> impl QueryFragment<Pg> {
        values.fold(diesel::sql_query("SELECT").into_boxed::<Pg>(), |query, value| {
            query.bind::<BigInt, _>(value)
        })
    }

    #[test]
    fn storage_is_used_again_and_values_are_not() {
        drop(binds(&numbers(0..8)));
        let text = diesel::sql_query("SELECT $1, $2")
            .bind::<Text, _>("lamp")
            .bind::<Nullable<BigInt>, _>(None::<i64>);
        let again = binds(&text);
        assert!(again.0.binds.capacity() >= 8, "it is the storage of the eight numbers");
        assert_eq!(again.values(), [Some(b"lamp".to_vec()), None]);
        assert_eq!(*again.types().unwrap(), [25, 20]);
    }

    #[test]
    fn no_more_is_kept_than_a_usual_lane_needs() {
        drop(binds(&numbers(0..1_000)));
        assert!(SPARE.with_borrow(Vec::is_empty), "a thousand values are not usual");
        let in_flight: Vec<Binds> = (0..100).map(|_| binds(&numbers(0..1))).collect();
        drop(in_flight);
        assert_eq!(SPARE.with_borrow(Vec::len), SPARE_MAX);
    }
}
