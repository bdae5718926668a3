//! Many rows in one statement that is always the same: each column travels as one array, which
//! Postgres takes apart again.
//!
//! diesel's own insert of a `Vec` spells a `VALUES` list: another text for each number of rows,
//! which is built, sent and planned anew every time and ends at 65,535 values. An insert of arrays
//! has as many values as the table has columns, however many rows it brings, and is prepared once.

mod copy;

use std::fmt;
use std::io::Write;

use diesel::ExpressionMethods;
use diesel::expression::{AppearsOnTable, Expression};
use diesel::insertable::{ColumnInsertValue, Insertable};
use diesel::internal::derives::as_expression::Bound;
use diesel::pg::{Pg, PgMetadataLookup};
use diesel::query_builder::bind_collector::RawBytesBindCollector;
use diesel::query_builder::{AstPass, NoFromClause, QueryFragment, QueryId, ValuesClause};
use diesel::query_source::{Column, Table};
use diesel::result::QueryResult;
use diesel::serialize::{IsNull, Output, ToSql};
use diesel::sql_types::{Array, HasSqlType, SingleValue};

type Collector = RawBytesBindCollector<Pg>;

/// Why a value could not be written: it is longer than Postgres takes.
type WriteError = Box<dyn std::error::Error + Send + Sync>;

/// Rows to insert with one statement, for [`values`](diesel::query_builder::IncompleteInsertStatement::values)
/// in the place of a `Vec`:
///
/// ```
/// use diesel::prelude::*;
/// use tenfold_db::{Db, Result, batch};
///
/// # diesel::table! { products { id -> BigInt, name -> Text, note -> Nullable<Text>, } }
/// #[derive(Insertable)]
/// #[diesel(table_name = products, treat_none_as_default_value = false)]
/// struct NewProduct {
///     name: String,
///     note: Option<String>,
/// }
///
/// async fn add(db: &Db, new: &[NewProduct]) -> Result<Vec<i64>> {
///     let insert = diesel::insert_into(products::table).values(batch(new));
///     db.load(insert.returning(products::id)).await
/// }
/// ```
///
/// The rows are structs that derive `Insertable`, owned or borrowed, or tuples of `column.eq(value)`.
/// `returning` and `on_conflict` follow as usual; no rows are fine. All rows are inserted or none.
///
/// Not everything can be an element of an array, and the compiler or the answer says so:
///
/// - `DEFAULT` cannot. A struct must say that its `None` is NULL, with
///   `#[diesel(treat_none_as_default_value = false)]`, and leave out columns that Postgres fills
///   in. (diesel then also keeps the statement of a single insert of it prepared.)
/// - An expression, such as `now`, cannot.
/// - An array cannot: Postgres has no arrays of arrays. Rows with columns of arrays are inserted
///   as a `Vec`, or copied with [`Db::copy_rows`](crate::Db::copy_rows).
///
/// ```compile_fail
/// # use diesel::prelude::*;
/// # use tenfold_db::batch;
/// # diesel::table! { products { id -> BigInt, name -> Text, note -> Nullable<Text>, } }
/// #[derive(Insertable)]
/// #[diesel(table_name = products)]
/// struct Product {
///     name: String,
///     note: Option<String>, // DEFAULT or NULL?
/// }
///
/// fn add(new: &[Product]) {
///     diesel::insert_into(products::table).values(batch(new));
/// }
/// ```
pub fn batch<I: IntoIterator>(rows: I) -> Batch<I> {
    Batch(rows)
}

/// What [`batch`] makes of rows.
#[derive(Clone, Copy, Debug)]
pub struct Batch<I>(I);

impl<Tab, I, R> Insertable<Tab> for Batch<I>
where
    I: IntoIterator,
    I::Item: Insertable<Tab, Values = ValuesClause<R, Tab>>,
    R: Row<Tab>,
{
    type Values = R::Arrays;

    fn values(self) -> R::Arrays {
        R::arrays(self.0.into_iter().map(|row| row.values().values))
    }
}

/// The values of a row, each of which can be an element of an array. Implemented for what diesel
/// makes of rows of up to 32 columns.
#[diagnostic::on_unimplemented(
    message = "rows of `{Self}` cannot be inserted as arrays",
    note = "they can have at most 32 columns"
)]
pub trait Row<Tab>: Sized {
    /// The same columns with an array of values for each.
    type Arrays;

    #[doc(hidden)]
    const COLUMNS: &'static [&'static str];

    #[doc(hidden)]
    fn arrays(rows: impl Iterator<Item = Self>) -> Self::Arrays;

    #[doc(hidden)]
    fn collect(
        &self,
        values: &mut Collector,
        lookup: &mut (dyn PgMetadataLookup + 'static),
    ) -> QueryResult<()>;
}

/// A value of one column that can be an element of an array.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an element of an array",
    note = "if it is DefaultableColumnInsertValue: add \
            `#[diesel(treat_none_as_default_value = false)]` to the struct, because an array can \
            say NULL, but not DEFAULT",
    note = "if it is an expression that Postgres computes: compute it before, or insert a `Vec`"
)]
pub trait Value: QueryFragment<Pg> {
    /// Its column.
    type Column: Column<SqlType = Self::SqlType> + Default;

    /// The type of its column.
    type SqlType: SingleValue;
}

impl<C, S, U> Value for ColumnInsertValue<C, Bound<S, U>>
where
    C: Column<SqlType = S> + Default,
    S: SingleValue,
    U: ToSql<S, Pg>,
    Pg: HasSqlType<S>,
{
    type Column = C;
    type SqlType = S;
}

/// The values of a column, as SQL that yields a row for each of them: in the `VALUES` of one row
/// Postgres lets `unnest` stand, several of them side by side.
pub struct Unnested<V>(Elements<V>);

/// The values of a column, as an array.
struct Elements<V>(Vec<V>);

impl<V> fmt::Debug for Unnested<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Unnested").field(&self.0).finish()
    }
}

impl<V> fmt::Debug for Elements<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} elements", self.0.len())
    }
}

impl<V: Value> Expression for Unnested<V> {
    type SqlType = V::SqlType;
}

impl<V: Value> AppearsOnTable<NoFromClause> for Unnested<V> {}

impl<V: QueryId> QueryId for Unnested<V> {
    type QueryId = Unnested<V::QueryId>;

    const HAS_STATIC_QUERY_ID: bool = V::HAS_STATIC_QUERY_ID;
}

impl<V: Value> QueryFragment<Pg> for Unnested<V>
where
    Pg: HasSqlType<V::SqlType>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("unnest(");
        out.push_bind_param::<Array<V::SqlType>, _>(&self.0)?;
        out.push_sql(")");
        Ok(())
    }
}

/// Postgres' binary form of an array of one dimension, as `array_recv` in its
/// `src/backend/utils/adt/arrayfuncs.c` reads it.
impl<V: Value> ToSql<Array<V::SqlType>, Pg> for Elements<V>
where
    Pg: HasSqlType<V::SqlType>,
{
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> diesel::serialize::Result {
        let metadata = <Pg as HasSqlType<V::SqlType>>::metadata(out.metadata_lookup());
        let (element_type, array_type) = (metadata.oid()?, metadata.array_oid()?);
        // Both are 0 of a type that has yet to be looked up.
        if element_type != 0 && array_type == 0 {
            let column = <V::Column as Column>::NAME;
            return Err(format!(
                "the values of {column:?} cannot be elements of an array, because Postgres has no \
                 arrays of their type: insert the rows as a Vec, or copy them with Db::copy_rows"
            )
            .into());
        }
        let (dimensions, flags, first_index) = (1_i32, 0_i32, 1_i32);
        out.write_all(&dimensions.to_be_bytes())?;
        out.write_all(&flags.to_be_bytes())?;
        out.write_all(&element_type.to_be_bytes())?;
        out.write_all(&i32::try_from(self.0.len())?.to_be_bytes())?;
        out.write_all(&first_index.to_be_bytes())?;
        let mut collector = Collector::new();
        for value in &self.0 {
            value.collect_binds(&mut collector, out.metadata_lookup(), &Pg)?;
            write_fields(out, &mut collector)?;
        }
        Ok(IsNull::No)
    }
}

/// Moves values out, each behind its length, which is -1 for NULL: so they lie in arrays and rows.
fn write_fields(out: &mut impl Write, values: &mut Collector) -> Result<(), WriteError> {
    for value in values.binds.drain(..) {
        let length = value.as_ref().map_or(Ok(-1), |value| i32::try_from(value.len()))?;
        out.write_all(&length.to_be_bytes())?;
        out.write_all(&value.unwrap_or_default())?;
    }
    values.metadata.clear();
    Ok(())
}

macro_rules! row {
    ($($index:tt $value:ident)+) => {
        impl<Tab, $($value,)+> Row<Tab> for ($($value,)+)
        where
            Tab: Table,
            $($value: Value<Column: Column<Table = Tab>>,)+
        {
            type Arrays = ValuesClause<
                ($(ColumnInsertValue<$value::Column, Unnested<$value>>,)+),
                Tab,
            >;

            const COLUMNS: &'static [&'static str] = &[$(<$value::Column as Column>::NAME,)+];

            fn collect(
                &self,
                values: &mut Collector,
                lookup: &mut (dyn PgMetadataLookup + 'static),
            ) -> QueryResult<()> {
                $(self.$index.collect_binds(values, lookup, &Pg)?;)+
                Ok(())
            }

            fn arrays(rows: impl Iterator<Item = Self>) -> Self::Arrays {
                let capacity = rows.size_hint().0;
                let mut columns = ($(Vec::<$value>::with_capacity(capacity),)+);
                for row in rows {
                    $(columns.$index.push(row.$index);)+
                }
                let columns = (
                    $(ExpressionMethods::eq(
                        $value::Column::default(),
                        Unnested(Elements(columns.$index)),
                    ),)+
                );
                Insertable::<Tab>::values(columns)
            }
        }
    };
}

macro_rules! rows_up_to {
    ([$($row:tt)*]) => {};
    ([$($row:tt)*] $index:tt $value:ident $($more:tt)*) => {
        row!($($row)* $index $value);
        rows_up_to!([$($row)* $index $value] $($more)*);
    };
}

rows_up_to!([]
    0 A 1 B 2 C 3 D 4 E 5 F 6 G 7 H 8 I 9 J 10 K 11 L 12 M 13 N 14 O 15 P 16 Q 17 R 18 S 19 T 20 U
    21 V 22 W 23 X 24 Y 25 Z 26 Aa 27 Bb 28 Cc 29 Dd 30 Ee 31 Ff);
