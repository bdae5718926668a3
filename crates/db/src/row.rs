//! Lets diesel read the rows of tokio-postgres as they lie in the receive buffer.

use std::error::Error;
use std::num::NonZeroU32;
use std::ops::Range;

use diesel::pg::{Pg, PgValue, TypeOidLookup};
use diesel::row::{Field, PartialRow, Row, RowIndex, RowSealed};
use tokio_postgres::Column;
use tokio_postgres::types::{FromSql, Type};

/// One row of an answer.
#[derive(Debug)]
pub struct PgRow(tokio_postgres::Row);

impl PgRow {
    pub(crate) fn new(row: tokio_postgres::Row) -> PgRow {
        PgRow(row)
    }

    /// Its size as it came.
    pub(crate) fn raw_bytes(&self) -> usize {
        self.0.raw_size_bytes()
    }

    /// Those of its columns that are columns of a table.
    pub(crate) fn origins(&self) -> impl Iterator<Item = Origin> {
        self.0.columns().iter().filter_map(|column| {
            let (table_oid, place) = (column.table_oid()?, column.column_id()?);
            Some(Origin { column: column.name().to_owned(), table_oid, place })
        })
    }
}

/// Where a column of an answer comes from.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    /// Its name in the answer.
    pub(crate) column: String,
    pub(crate) table_oid: u32,
    /// Its number in the table.
    pub(crate) place: i16,
}

impl RowSealed for PgRow {}

impl<'a> Row<'a, Pg> for PgRow {
    type Field<'f>
        = PgField<'f>
    where
        'a: 'f,
        Self: 'f;
    type InnerPartialRow = PgRow;

    fn field_count(&self) -> usize {
        self.0.len()
    }

    #[inline]
    fn get<'b, I>(&'b self, index: I) -> Option<PgField<'b>>
    where
        'a: 'b,
        Self: RowIndex<I>,
    {
        let index = self.idx(index)?;
        // Cannot fail: the index is checked above, and `Raw` accepts every type and value.
        let Raw(raw) = self.0.try_get(index).ok()?;
        Some(PgField { column: &self.0.columns()[index], raw })
    }

    fn partial_row(&self, range: Range<usize>) -> PartialRow<'_, PgRow> {
        PartialRow::new(self, range)
    }
}

impl RowIndex<usize> for PgRow {
    #[inline]
    fn idx(&self, index: usize) -> Option<usize> {
        (index < self.0.len()).then_some(index)
    }
}

impl RowIndex<&str> for PgRow {
    fn idx(&self, name: &str) -> Option<usize> {
        self.0.columns().iter().position(|column| column.name() == name)
    }
}

/// One value of a row.
#[derive(Debug)]
pub struct PgField<'a> {
    column: &'a Column,
    raw: Option<&'a [u8]>,
}

impl Field<'_, Pg> for PgField<'_> {
    fn field_name(&self) -> Option<&str> {
        Some(self.column.name())
    }

    fn value(&self) -> Option<PgValue<'_>> {
        self.raw.map(|raw| PgValue::new(raw, self))
    }
}

/// Looked up only for values that can be of several types.
impl TypeOidLookup for PgField<'_> {
    fn lookup(&self) -> NonZeroU32 {
        NonZeroU32::new(self.column.type_().oid()).expect("no type has the number 0")
    }
}

/// The bytes of a value of any type.
struct Raw<'a>(Option<&'a [u8]>);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Raw<'a>, Box<dyn Error + Sync + Send>> {
        Ok(Raw(Some(raw)))
    }

    fn from_sql_null(_: &Type) -> Result<Raw<'a>, Box<dyn Error + Sync + Send>> {
        Ok(Raw(None))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}
