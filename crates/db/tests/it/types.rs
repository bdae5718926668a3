//! Every type that diesel maps for Postgres goes there and comes back as it was, through both
//! lanes and inside of a transaction; what cannot is an error and never another value.

mod built_in;
mod custom;
mod extensions;
mod limits;
mod ranges;

use std::time::Duration;

use tenfold_config::Secret;

use crate::kit::Bench;

/// Time enough for a transaction that prepares everything for the first time, in sessions of a
/// zone that nobody would take for UTC.
async fn bench() -> Bench {
    Bench::with(|settings| {
        settings.transaction_budget = Duration::from_secs(10);
        let url = settings.url.take().unwrap();
        let zone = "options=-c%20timezone%3DAsia/Kathmandu";
        settings.url = Some(Secret::new(format!("{}&{zone}", url.expose())));
    })
    .await
}

/// Sends values of one type through every way there is: alone, as NULL, and in an array beside
/// NULL; and asks Postgres for the text that it makes of them, so that a mistake that is made in
/// both directions does not go unseen.
macro_rules! round_trip {
    ($bench:expr, $sql_type:ty, $rust_type:ty, [$(($value:expr, $text:expr)),+ $(,)?]) => {{
        #[derive(diesel::QueryableByName)]
        struct Text {
            #[diesel(sql_type = diesel::sql_types::Text)]
            text: String,
        }

        type Sent = ($rust_type, Option<$rust_type>, Vec<Option<$rust_type>>);
        let query = |value: &$rust_type| {
            diesel::select((
                diesel::IntoSql::into_sql::<$sql_type>(value.clone()),
                diesel::IntoSql::into_sql::<diesel::sql_types::Nullable<$sql_type>>(
                    None::<$rust_type>,
                ),
                diesel::IntoSql::into_sql::<
                    diesel::sql_types::Array<diesel::sql_types::Nullable<$sql_type>>,
                >(vec![Some(value.clone()), None, Some(value.clone())]),
            ))
        };
        let values: Vec<($rust_type, &str)> = vec![$(($value, $text)),+];
        for (value, text) in values {
            let array = vec![Some(value.clone()), None, Some(value.clone())];
            let expected: Sent = (value.clone(), None, array);
            for db in [(*$bench).clone(), $bench.exclusive()] {
                let came_back: Sent = db.first(query(&value)).await.unwrap();
                assert_eq!(came_back, expected, "{} as {}", text, stringify!($sql_type));
            }
            let came_back: Sent = $bench
                .transaction("round trip", async |tx| tx.first(query(&value)).await)
                .await
                .unwrap();
            assert_eq!(came_back, expected, "{} as {}", text, stringify!($sql_type));
            let as_text = diesel::sql_query("SELECT $1::text AS text").bind::<$sql_type, _>(value);
            let Text { text: seen } = $bench.first(as_text).await.unwrap();
            assert_eq!(seen, text, "what Postgres saw as {}", stringify!($sql_type));
        }
    }};
}
use round_trip;
