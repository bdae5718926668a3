//! The types that every Postgres has.

use bigdecimal::BigDecimal;
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc};
use diesel::data_types::{PgDate, PgInterval, PgMoney, PgNumeric, PgTime, PgTimestamp};
use diesel::pg::data_types::PgLsn;
use diesel::pg::sql_types as pg;
use diesel::sql_types as sql;
use ipnetwork::IpNetwork;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{bench, round_trip};

#[tokio::test]
async fn numbers() {
    let bench = bench().await;
    round_trip!(bench, sql::Bool, bool, [(true, "true"), (false, "false")]);
    round_trip!(bench, sql::SmallInt, i16, [(i16::MIN, "-32768"), (0, "0"), (i16::MAX, "32767")]);
    round_trip!(bench, sql::Integer, i32, [(i32::MIN, "-2147483648"), (7, "7")]);
    round_trip!(
        bench,
        sql::BigInt,
        i64,
        [(i64::MIN, "-9223372036854775808"), (i64::MAX, "9223372036854775807")]
    );
    round_trip!(bench, pg::Oid, u32, [(0, "0"), (u32::MAX, "4294967295")]);
    round_trip!(
        bench,
        sql::Float,
        f32,
        [(0.1, "0.1"), (f32::MIN, "-3.4028235e+38"), (f32::NEG_INFINITY, "-Infinity")]
    );
    round_trip!(
        bench,
        sql::Double,
        f64,
        [(0.1, "0.1"), (f64::MAX, "1.7976931348623157e+308"), (f64::INFINITY, "Infinity")]
    );
    let decimal = |text: &str| text.parse::<BigDecimal>().unwrap();
    round_trip!(
        bench,
        sql::Numeric,
        BigDecimal,
        [
            (decimal("0"), "0"),
            (decimal("-12345678901234567890.000000012345"), "-12345678901234567890.000000012345"),
            (decimal("10000"), "10000"),
            (decimal("0.0001"), "0.0001"),
        ]
    );
    round_trip!(bench, sql::Numeric, PgNumeric, [(PgNumeric::NaN, "NaN")]);
    round_trip!(bench, pg::Money, PgMoney, [(PgMoney(-123_456), "-$1,234.56")]);
}

#[tokio::test]
async fn texts_and_bytes() {
    let bench = bench().await;
    let long = "ä".repeat(100_000);
    round_trip!(
        bench,
        sql::Text,
        String,
        [
            (String::new(), ""),
            ("it's \"5\" \\ {NULL,} 🪑".to_owned(), "it's \"5\" \\ {NULL,} 🪑"),
            (long.clone(), long.as_str()),
        ]
    );
    round_trip!(
        bench,
        sql::Binary,
        Vec<u8>,
        [(vec![], "\\x"), (vec![0, 255, b'\\', b'\''], "\\x00ff5c27")]
    );
    round_trip!(bench, pg::CChar, u8, [(b'a', "a")]);
    round_trip!(
        bench,
        sql::Json,
        Value,
        [(json!({"a": [1, null, "ä"]}), "{\"a\":[1,null,\"ä\"]}"), (Value::Null, "null")]
    );
    round_trip!(
        bench,
        sql::Jsonb,
        Value,
        [(json!({"a": [1, null, "ä"]}), "{\"a\": [1, null, \"ä\"]}"), (json!(-0.5), "-0.5")]
    );
    round_trip!(
        bench,
        sql::Uuid,
        Uuid,
        [
            (Uuid::nil(), "00000000-0000-0000-0000-000000000000"),
            (
                Uuid::from_u128(0x0192_f000_0000_7000_8000_0000_0000_00ff),
                "0192f000-0000-7000-8000-0000000000ff"
            ),
        ]
    );
}

#[tokio::test]
async fn times() {
    let bench = bench().await;
    let date = |year, month, day| NaiveDate::from_ymd_opt(year, month, day).unwrap();
    let time = NaiveTime::from_hms_micro_opt(23, 59, 59, 999_999).unwrap();
    round_trip!(
        bench,
        sql::Date,
        NaiveDate,
        [
            (date(2000, 1, 1), "2000-01-01"),
            (date(1969, 12, 31), "1969-12-31"),
            (date(-43, 3, 15), "0044-03-15 BC"),
        ]
    );
    round_trip!(bench, sql::Date, PgDate, [(PgDate(i32::MAX), "infinity")]);
    round_trip!(
        bench,
        sql::Time,
        NaiveTime,
        [(NaiveTime::MIN, "00:00:00"), (time, "23:59:59.999999")]
    );
    round_trip!(bench, sql::Time, PgTime, [(PgTime(86_400_000_000), "24:00:00")]);
    round_trip!(
        bench,
        sql::Timestamp,
        NaiveDateTime,
        [
            (date(1999, 12, 31).and_time(time), "1999-12-31 23:59:59.999999"),
            (date(2026, 11, 24).and_time(NaiveTime::MIN), "2026-11-24 00:00:00"),
        ]
    );
    round_trip!(bench, sql::Timestamp, PgTimestamp, [(PgTimestamp(i64::MIN), "-infinity")]);
    round_trip!(
        bench,
        sql::Interval,
        PgInterval,
        [
            (PgInterval::new(-1, 2, 14), "1 year 2 mons 2 days -00:00:00.000001"),
            (PgInterval::new(0, 0, 0), "00:00:00"),
        ]
    );
    round_trip!(
        bench,
        sql::Interval,
        TimeDelta,
        [(TimeDelta::microseconds(-90_000_001), "-00:01:30.000001")]
    );
    // What comes back is the moment, whatever zone the session has in mind.
    let moment = date(2026, 3, 29).and_time(time).and_utc();
    round_trip!(
        bench,
        pg::Timestamptz,
        DateTime<Utc>,
        [(moment, "2026-03-30 05:44:59.999999+05:45")]
    );
}

#[tokio::test]
async fn addresses_and_places() {
    let bench = bench().await;
    let network = |text: &str| text.parse::<IpNetwork>().unwrap();
    round_trip!(
        bench,
        pg::Inet,
        IpNetwork,
        [
            (network("10.1.2.3/8"), "10.1.2.3/8"),
            (network("127.0.0.1"), "127.0.0.1/32"),
            (network("fe80::1/64"), "fe80::1/64"),
        ]
    );
    round_trip!(
        bench,
        pg::Cidr,
        IpNetwork,
        [(network("10.0.0.0/8"), "10.0.0.0/8"), (network("::/0"), "::/0")]
    );
    round_trip!(bench, pg::MacAddr, [u8; 6], [([8, 0, 43, 1, 2, 255], "08:00:2b:01:02:ff")]);
    round_trip!(
        bench,
        pg::MacAddr8,
        [u8; 8],
        [([8, 0, 43, 1, 2, 3, 4, 255], "08:00:2b:01:02:03:04:ff")]
    );
    round_trip!(bench, pg::PgLsn, PgLsn, [(PgLsn(0x16_B374_D848), "16/B374D848")]);
}
