//! The numbers that Postgres gives to types of one's own (enums, domains, composites), looked
//! up once per database: their values cannot be sent without them.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use diesel::pg::{PgMetadataLookup, PgTypeMetadata};
use diesel::sql_types::{Nullable, Text};
use tokio_postgres::types::{Kind, Oid, Type};

use crate::database::Db;
use crate::error::{Error, Result};

/// Finds a type by schema and name. A cast to regtype follows the search path, as a query that names
/// the type would.
const FIND: &str = "SELECT t.oid, t.typarray FROM pg_catalog.pg_type t \
     WHERE t.oid = CASE WHEN $1::text IS NULL THEN quote_ident($2) \
     ELSE quote_ident($1) || '.' || quote_ident($2) END::regtype";

/// What [`FIND`] finds.
#[derive(diesel::QueryableByName)]
struct Found {
    #[diesel(sql_type = diesel::pg::sql_types::Oid)]
    oid: Oid,
    #[diesel(sql_type = diesel::pg::sql_types::Oid)]
    typarray: Oid,
}

/// Schema, if it was named, and name of a type.
type TypeName = (Option<String>, String);

/// A type's number and that of its array.
type Oids = (Oid, Oid);

/// What is known of custom types, by their names. The schemas in which there is a type of one name
/// are few, and to look for them in a row copies no text: an array of an enum asks for each value.
#[derive(Debug, Default)]
pub(crate) struct CustomTypes(RwLock<HashMap<String, InSchemas>>);

/// The types of one name, each with its schema, if that was named.
type InSchemas = Vec<(Option<String>, Oids)>;

/// Types that have to be looked up before the query can be sent.
#[derive(Debug)]
pub(crate) struct MissingTypes(Vec<TypeName>);

impl CustomTypes {
    fn known(&self, name: &str, schema: Option<&str>) -> Option<Oids> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let of_name = known.get(name)?;
        of_name.iter().find_map(|(of, oids)| (of.as_deref() == schema).then_some(*oids))
    }

    fn remember(&self, (schema, name): TypeName, oids: Oids) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let of_name = known.entry(name).or_default();
        of_name.retain(|(of, _)| *of != schema);
        of_name.push((schema, oids));
    }

    pub(crate) fn lookup(self: &Arc<Self>) -> Lookup {
        Lookup { types: Arc::clone(self), missing: Vec::new() }
    }

    /// Forgets all numbers, because one of them is not true any more.
    pub(crate) fn forget(&self) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Asks Postgres for the missing types and remembers them.
    pub(crate) async fn learn(
        &self,
        client: &tokio_postgres::Client,
        missing: MissingTypes,
    ) -> Result<()> {
        for (schema, name) in missing.0 {
            let bind_types = [
                (&schema as &(dyn tokio_postgres::types::ToSql + Sync), Type::TEXT),
                (&name, Type::TEXT),
            ];
            let row = client.query_typed_one(FIND, &bind_types).await;
            let row = row.map_err(Error::of_statement)?;
            self.remember((schema, name), (row.get(0), row.get(1)));
        }
        Ok(())
    }

    /// The same, asked as any statement is.
    pub(crate) async fn learn_from(&self, db: &Db, missing: MissingTypes) -> Result<()> {
        for (schema, name) in missing.0 {
            let found = diesel::sql_query(FIND)
                .bind::<Nullable<Text>, _>(schema.clone())
                .bind::<Text, _>(name.clone());
            let Found { oid, typarray } = db.first(found).await?;
            self.remember((schema, name), (oid, typarray));
        }
        Ok(())
    }
}

/// Notices custom types without looking anything up; the usual query has none.
#[derive(Debug, Default)]
pub(crate) struct FirstLook {
    custom: bool,
}

impl FirstLook {
    pub(crate) fn saw_custom_type(&self) -> bool {
        self.custom
    }
}

impl PgMetadataLookup for FirstLook {
    fn lookup_type(&mut self, _: &str, _: Option<&str>) -> PgTypeMetadata {
        self.custom = true;
        PgTypeMetadata::new(0, 0)
    }
}

/// Gives diesel the numbers that are known and collects those that are not.
#[derive(Debug)]
pub(crate) struct Lookup {
    types: Arc<CustomTypes>,
    missing: Vec<TypeName>,
}

impl Lookup {
    pub(crate) fn missing(self) -> Option<MissingTypes> {
        (!self.missing.is_empty()).then_some(MissingTypes(self.missing))
    }
}

impl PgMetadataLookup for Lookup {
    fn lookup_type(&mut self, name: &str, schema: Option<&str>) -> PgTypeMetadata {
        if let Some((oid, array_oid)) = self.types.known(name, schema) {
            return PgTypeMetadata::new(oid, array_oid);
        }
        let missing = (schema.map(str::to_owned), name.to_owned());
        if !self.missing.contains(&missing) {
            self.missing.push(missing);
        }
        PgTypeMetadata::new(0, 0)
    }
}

/// The driver's name for a type number. Values are sent as diesel encoded them, so of a custom
/// type nothing but the number matters.
pub(crate) fn type_of(oid: Oid) -> Type {
    Type::from_oid(oid)
        .unwrap_or_else(|| Type::new("custom".to_owned(), oid, Kind::Simple, String::new()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_known_by_its_schema_and_name() {
        let types = Arc::new(CustomTypes::default());
        let remember = |schema: Option<&str>, oids| {
            types.remember((schema.map(str::to_owned), "mood".to_owned()), oids);
        };
        remember(None, (1, 2));
        remember(Some("shop"), (3, 4));
        remember(Some("shop"), (5, 6));
        assert_eq!(types.known("mood", None), Some((1, 2)));
        assert_eq!(types.known("mood", Some("shop")), Some((5, 6)));
        assert_eq!(types.known("mood", Some("other")), None);
        assert_eq!(types.known("Mood", None), None);
        types.forget();
        assert_eq!(types.known("mood", None), None);
    }

    #[test]
    fn what_is_missing_is_asked_for_once() {
        let mut lookup = Arc::<CustomTypes>::default().lookup();
        for _ in 0..1_000 {
            let unknown = lookup.lookup_type("mood", Some("shop"));
            assert_eq!(unknown.oid().unwrap(), 0);
        }
        let _unknown = lookup.lookup_type("mood", None);
        assert_eq!(lookup.missing().unwrap().0.len(), 2);
        assert!(Arc::<CustomTypes>::default().lookup().missing().is_none());
    }
}
