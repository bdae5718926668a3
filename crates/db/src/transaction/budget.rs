//! How long a transaction may be open: for all of them, for one that says so itself, and for one
//! that the settings name.

use std::time::Duration;

use tenfold_config::Setting;

use crate::settings::DatabaseSettings;

/// What Postgres waits at least before it ends a transaction in which nothing happens.
const IDLE_IN_TRANSACTION_MIN: Duration = Duration::from_secs(10);

/// The time budget of the transaction of one name; as a setting `name=500ms`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedBudget {
    /// The transaction's name.
    pub transaction: String,
    /// How long it may be open.
    pub budget: Duration,
}

impl Setting for NamedBudget {
    fn noun() -> String {
        "a transaction's name and its budget".to_owned()
    }

    fn example() -> &'static str {
        "place_order=500ms"
    }

    fn from_text(text: &str) -> Option<NamedBudget> {
        let (transaction, budget) = text.rsplit_once('=')?;
        let transaction = transaction.trim().to_owned();
        let budget = Duration::from_text(budget.trim())?;
        (!transaction.is_empty()).then_some(NamedBudget { transaction, budget })
    }

    fn show(&self) -> String {
        format!("{}={}", self.transaction, self.budget.show())
    }
}

/// The budget of a transaction: the settings' word for its name counts most, since whoever runs
/// the service knows its Postgres; then its own; then the one for all. None is longer than any
/// transaction may be.
pub(crate) fn budget_of(
    settings: &DatabaseSettings,
    transaction: &str,
    own: Option<Duration>,
) -> Duration {
    let named = settings.transaction_budgets.iter().find(|named| named.transaction == transaction);
    let budget = named.map(|named| named.budget).or(own).unwrap_or(settings.transaction_budget);
    budget.min(settings.transaction_age_max)
}

/// When Postgres ends a transaction of that budget by itself, because nothing happens in it: the
/// network between may be gone, and with it whoever would have ended it. Long after we have.
pub(crate) fn idle_in_transaction_max(budget: Duration) -> Duration {
    (budget * 4).max(IDLE_IN_TRANSACTION_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_budget_is_read_as_it_is_shown() {
        let named = NamedBudget::from_text(" close month = 2s").unwrap();
        assert_eq!(named.transaction, "close month");
        assert_eq!(named.budget, Duration::from_secs(2));
        assert_eq!(NamedBudget::from_text(&named.show()), Some(named));
        for text in ["", "x", "x=", "=2s", "x=soon"] {
            assert_eq!(NamedBudget::from_text(text), None, "{text:?}");
        }
    }

    #[test]
    fn the_settings_name_counts_most_and_the_default_least() {
        let settings = DatabaseSettings {
            transaction_budgets: vec![NamedBudget::from_text("slow=2s").unwrap()],
            ..DatabaseSettings::default()
        };
        let second = Duration::from_secs(1);
        assert_eq!(budget_of(&settings, "slow", Some(second)), Duration::from_secs(2));
        assert_eq!(budget_of(&settings, "other", Some(second)), second);
        assert_eq!(budget_of(&settings, "other", None), Duration::from_millis(250));
        let day = Duration::from_secs(24 * 60 * 60);
        assert_eq!(budget_of(&settings, "other", Some(day)), settings.transaction_age_max);
    }
}
