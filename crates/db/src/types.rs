//! The numbers that Postgres gives to types of one's own (enums, domains, composites), looked
//! up once per database: their values cannot be sent without them.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use diesel::pg::{PgMetadataLookup, PgTypeMetadata};
use tokio_postgres::types::{Kind, Oid, Type};

use crate::error::{Error, Result};

/// Schema, if it was named, and name of a type.
type TypeName = (Option<String>, String);

/// What is known of custom types: the type's number and that of its array.
#[derive(Debug, Default)]
pub(crate) struct CustomTypes(RwLock<HashMap<TypeName, (Oid, Oid)>>);

/// Types that have to be looked up before the query can be sent.
#[derive(Debug)]
pub(crate) struct MissingTypes(Vec<TypeName>);

impl CustomTypes {
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
            // A cast to regtype follows the search path, as a query that names the type would.
            let qualified = "SELECT t.oid, t.typarray FROM pg_catalog.pg_type t \
                 WHERE t.oid = CASE WHEN $1::text IS NULL THEN quote_ident($2) \
                 ELSE quote_ident($1) || '.' || quote_ident($2) END::regtype";
            let bind_types = [
                (&schema as &(dyn tokio_postgres::types::ToSql + Sync), Type::TEXT),
                (&name, Type::TEXT),
            ];
            let row = client.query_typed_one(qualified, &bind_types).await;
            let row = row.map_err(Error::of_statement)?;
            let oids = (row.get::<_, Oid>(0), row.get::<_, Oid>(1));
            self.0.write().unwrap_or_else(PoisonError::into_inner).insert((schema, name), oids);
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
        let key = (schema.map(str::to_owned), name.to_owned());
        let known = self.types.0.read().unwrap_or_else(PoisonError::into_inner).get(&key).copied();
        match known {
            Some((oid, array_oid)) => PgTypeMetadata::new(oid, array_oid),
            None => {
                self.missing.push(key);
                PgTypeMetadata::new(0, 0)
            }
        }
    }
}

/// The driver's name for a type number. Values are sent as diesel encoded them, so of a custom
/// type nothing but the number matters.
pub(crate) fn type_of(oid: Oid) -> Type {
    Type::from_oid(oid)
        .unwrap_or_else(|| Type::new("custom".to_owned(), oid, Kind::Simple, String::new()))
}
