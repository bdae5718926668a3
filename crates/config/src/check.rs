//! Which values of a kind are allowed: a range that says itself in words.

use crate::setting::Setting;

/// A rule that a value must keep, and the words that say it after the kind's name:
/// "an integer" + "from 1 to 10000".
pub trait Check<T> {
    /// Whether the value keeps the rule.
    fn holds(&self, value: &T) -> bool;
    /// The rule in words.
    fn words(&self) -> String;
}

/// Bounds for a value; both ends belong to the range.
#[derive(Clone, Debug)]
pub struct Range<T> {
    least: Option<T>,
    most: Option<T>,
}

/// `least` or more.
pub fn at_least<T>(least: T) -> Range<T> {
    Range { least: Some(least), most: None }
}

/// `most` or less.
pub fn at_most<T>(most: T) -> Range<T> {
    Range { least: None, most: Some(most) }
}

/// From `least` to `most`, both allowed.
pub fn between<T>(least: T, most: T) -> Range<T> {
    Range { least: Some(least), most: Some(most) }
}

impl<T: Setting + PartialOrd> Check<T> for Range<T> {
    fn holds(&self, value: &T) -> bool {
        self.least.as_ref().is_none_or(|least| value >= least)
            && self.most.as_ref().is_none_or(|most| value <= most)
    }

    fn words(&self) -> String {
        match (&self.least, &self.most) {
            (Some(least), Some(most)) => format!("from {} to {}", least.show(), most.show()),
            (Some(least), None) => format!("of at least {}", least.show()),
            (None, Some(most)) => format!("of at most {}", most.show()),
            (None, None) => String::new(),
        }
    }
}

/// A value that is not set is in every range.
impl<T: Setting + PartialOrd> Check<Option<T>> for Range<T> {
    fn holds(&self, value: &Option<T>) -> bool {
        value.as_ref().is_none_or(|value| Check::<T>::holds(self, value))
    }

    fn words(&self) -> String {
        Check::<T>::words(self)
    }
}
