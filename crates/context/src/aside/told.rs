//! Which transaction the task that is being polled has open, and which places were named
//! already.

use std::cell::Cell;
use std::collections::HashSet;
use std::panic::Location;
use std::sync::{Mutex, PoisonError};

thread_local! {
    static OPEN: Cell<Option<&'static str>> = const { Cell::new(None) };
}

/// The places in the program that were named. There are as many as the program has.
static TOLD: Mutex<Option<HashSet<&'static Location<'static>>>> = Mutex::new(None);

/// Says which transaction is open until dropped, and then again which one was before.
pub(super) struct Inside(Option<&'static str>);

impl Inside {
    pub(super) fn of(name: &'static str) -> Inside {
        Inside(OPEN.replace(Some(name)))
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        OPEN.set(self.0);
    }
}

/// Warns if a transaction is open and the place was not named before.
pub(super) fn tell(what: &'static str, place: &'static Location<'static>) {
    let Some(transaction) = OPEN.get() else { return };
    let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
    if told.get_or_insert_default().insert(place) {
        drop(told);
        tracing::warn!(
            transaction,
            waits_for = what,
            place = %place,
            "transaction kept open while its code waits for something else"
        );
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tracing::field::{Field, Visit};
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Metadata, Subscriber};

    use super::super::{aside, in_transaction};

    /// Keeps what is logged, a line each.
    #[derive(Clone, Default)]
    struct Lines(Arc<std::sync::Mutex<Vec<String>>>);

    impl Subscriber for Lines {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }
        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }
        fn record(&self, _: &Id, _: &Record<'_>) {}
        fn record_follows_from(&self, _: &Id, _: &Id) {}
        fn event(&self, event: &Event<'_>) {
            struct Text(String);
            impl Visit for Text {
                fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
                    self.0 += &format!("{field}={value:?} ");
                }
            }
            let mut text = Text(String::new());
            event.record(&mut text);
            self.0.lock().unwrap().push(text.0);
        }
        fn enter(&self, _: &Id) {}
        fn exit(&self, _: &Id) {}
    }

    #[track_caller]
    fn ask() -> impl Future<Output = u32> {
        aside("another service", async {
            tokio::task::yield_now().await;
            7
        })
    }

    #[tokio::test]
    async fn a_place_is_named_once_and_only_inside_of_a_transaction() {
        let lines = Lines::default();
        let _logging = tracing::subscriber::set_default(lines.clone());
        assert_eq!(ask().await, 7);
        for _ in 0..3 {
            in_transaction("sell", async { assert_eq!(ask().await, 7) }).await;
        }
        in_transaction("outer", async {
            // The inner one ends and the outer one is the one that is open again.
            in_transaction("inner", tokio::task::yield_now()).await;
            assert_eq!(ask().await, 7);
        })
        .await;
        assert_eq!(ask().await, 7);
        let lines = lines.0.lock().unwrap();
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[0].contains("transaction=\"sell\""), "{lines:?}");
        assert!(lines[0].contains("waits_for=\"another service\""), "{lines:?}");
        assert!(lines[0].contains("told.rs:"), "{lines:?}");
        assert!(lines[1].contains("transaction=\"outer\""), "{lines:?}");
    }

    #[tokio::test]
    async fn another_task_on_the_same_thread_has_none_open() {
        let lines = Lines::default();
        let _logging = tracing::subscriber::set_default(lines.clone());
        let (one, other) = tokio::join!(
            in_transaction("waits", async {
                for _ in 0..10 {
                    tokio::task::yield_now().await;
                }
                7
            }),
            ask()
        );
        assert_eq!((one, other), (7, 7));
        assert_eq!(lines.0.lock().unwrap().len(), 0);
    }
}
