//! Ranges and multiranges, with every kind of bound.

use std::collections::Bound::{self, Excluded, Included, Unbounded};

use bigdecimal::BigDecimal;
use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use diesel::pg::sql_types::{Multirange, Range, Timestamptz};
use diesel::sql_types::{BigInt, Date, Integer, Numeric, Timestamp};

use super::{bench, round_trip};

type Bounds<T> = (Bound<T>, Bound<T>);

#[tokio::test]
async fn ranges() {
    let bench = bench().await;
    round_trip!(
        bench,
        Range<Integer>,
        Bounds<i32>,
        [
            ((Included(1), Excluded(5)), "[1,5)"),
            ((Unbounded, Excluded(5)), "(,5)"),
            ((Included(-1), Unbounded), "[-1,)"),
            ((Unbounded, Unbounded), "(,)"),
            // An empty range has no bounds that could come back; diesel says it in this way.
            ((Excluded(0), Excluded(0)), "empty"),
        ]
    );
    round_trip!(
        bench,
        Range<BigInt>,
        Bounds<i64>,
        [((Included(1), Excluded(i64::MAX)), "[1,9223372036854775807)")]
    );
    let decimal = |text: &str| text.parse::<BigDecimal>().unwrap();
    round_trip!(
        bench,
        Range<Numeric>,
        Bounds<BigDecimal>,
        [
            ((Excluded(decimal("0.5")), Included(decimal("1.5"))), "(0.5,1.5]"),
            ((Included(decimal("2")), Included(decimal("2"))), "[2,2]"),
        ]
    );
    let day = |day| NaiveDate::from_ymd_opt(2026, 11, day).unwrap();
    round_trip!(
        bench,
        Range<Date>,
        Bounds<NaiveDate>,
        [((Included(day(1)), Excluded(day(24))), "[2026-11-01,2026-11-24)")]
    );
    let noon = |day_of_month| day(day_of_month).and_hms_opt(12, 0, 0).unwrap();
    round_trip!(
        bench,
        Range<Timestamp>,
        Bounds<NaiveDateTime>,
        [(
            (Excluded(noon(1)), Included(noon(2))),
            "(\"2026-11-01 12:00:00\",\"2026-11-02 12:00:00\"]"
        )]
    );
    round_trip!(
        bench,
        Range<Timestamptz>,
        Bounds<DateTime<Utc>>,
        [((Unbounded, Included(noon(2).and_utc())), "(,\"2026-11-02 17:45:00+05:45\"]")]
    );
}

#[tokio::test]
async fn multiranges() {
    let bench = bench().await;
    round_trip!(
        bench,
        Multirange<Integer>,
        Vec<Bounds<i32>>,
        [
            (vec![], "{}"),
            (vec![(Included(1), Excluded(3)), (Included(7), Unbounded)], "{[1,3),[7,)}"),
        ]
    );
    round_trip!(
        bench,
        Multirange<BigInt>,
        Vec<Bounds<i64>>,
        [(vec![(Unbounded, Unbounded)], "{(,)}")]
    );
    let day = |day| NaiveDate::from_ymd_opt(2026, 11, day).unwrap();
    round_trip!(
        bench,
        Multirange<Date>,
        Vec<Bounds<NaiveDate>>,
        [(vec![(Included(day(1)), Excluded(day(2)))], "{[2026-11-01,2026-11-02)}")]
    );
}

#[tokio::test]
async fn a_multirange_comes_back_in_order_and_joined() {
    let bench = bench().await;
    let sent =
        vec![(Included(5), Excluded(9)), (Included(1), Excluded(3)), (Included(2), Excluded(5))];
    let query = diesel::select(diesel::IntoSql::into_sql::<Multirange<Integer>>(sent));
    let came_back: Vec<Bounds<i32>> = bench.first(query).await.unwrap();
    assert_eq!(came_back, [(Included(1), Excluded(9))]);
}
