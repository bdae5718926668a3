//! One declaration per group of settings gives a plain struct, its defaults, and the table
//! of keys from which everything else is made.

use crate::check::Check;
use crate::problems::Problems;
use crate::setting::Setting;
use crate::suggest;
use crate::value::Value;

/// A group of settings: one table of the file. Made by [`settings!`](crate::settings!).
pub trait Section: Default + Clone + Send + Sync + 'static {
    /// The table's name in the file.
    const NAME: &'static str;
    /// What the group is for, a line each.
    const DOC: &'static [&'static str];
    /// Every key, in the order of declaration.
    const KEYS: &'static [Key<Self>];

    /// Finds what is wrong between keys; called when each key by itself is right.
    fn check(&self, _problems: &mut Problems<'_>) {}
}

/// One setting of a section.
pub struct Key<S> {
    /// Its name, within the section.
    pub name: &'static str,
    /// What it means, a line each.
    pub doc: &'static [&'static str],
    /// A variable besides `TENFOLD_SECTION_KEY` that sets it, such as `DATABASE_URL`.
    pub variable: Option<&'static str>,
    /// Whether its value must never be shown as it is.
    pub secret: bool,
    /// What a value must be, in words.
    pub expected: fn() -> String,
    /// Sets it, if the value is right.
    pub set: fn(&mut S, &Value) -> Result<(), Unfit>,
    /// The value for people, masked where it is secret.
    pub show: fn(&S) -> String,
    /// The value as the file has it.
    pub literal: fn(&S) -> String,
}

/// A value that a setting does not take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfit {
    /// What would be right, in words.
    pub expected: String,
    /// The word that was probably meant.
    pub nearest: Option<&'static str>,
}

/// Reads a value of a kind and checks it; what [`Key::set`] is made of.
pub fn read<T: Setting>(value: &Value, checks: &[&dyn Check<T>]) -> Result<T, Unfit> {
    let holds = |read: &T| checks.iter().all(|check| check.holds(read));
    if let Some(read) = T::from_value(value).filter(holds) {
        return Ok(read);
    }
    let mut expected = expected::<T>(checks);
    if let Value::String(text) = value
        && T::from_text(text).filter(holds).is_some()
    {
        expected.push_str(" without quotes");
    }
    let nearest = value.as_text().and_then(|text| suggest::nearest(text, T::words()));
    Err(Unfit { expected, nearest })
}

/// What a value must be: the kind, its range, an example; what [`Key::expected`] is made of.
pub fn expected<T: Setting>(checks: &[&dyn Check<T>]) -> String {
    let range = match checks {
        [] => T::limits(),
        checks => checks.iter().map(|check| check.words()).collect::<Vec<_>>().join(" and "),
    };
    let mut expected = T::noun();
    if !range.is_empty() {
        expected = format!("{expected} {range}");
    }
    if !T::example().is_empty() {
        expected = format!("{expected} (such as {})", T::example());
    }
    expected
}

/// Declares a section: a struct with a default for each field, and its table of keys.
///
/// Doc comments become the comments of the default file. `#[check(…)]` narrows a kind's
/// range, `#[environment("NAME")]` names one more variable that sets the key; both stand
/// after the doc comment, the variable first. A `check` block after the struct finds what is
/// wrong between keys.
///
/// ```
/// use std::path::PathBuf;
/// use std::time::Duration;
/// use tenfold_config::{Secret, at_least, between};
///
/// tenfold_config::settings! {
///     /// Who gets in over HTTP.
///     pub struct DoorSettings in "door" {
///         /// Time a whole request may take.
///         #[check(at_least(Duration::from_millis(1)))]
///         pub request_timeout: Duration = Duration::from_secs(10),
///         /// Most connections at once.
///         #[check(between(1, 100_000))]
///         pub connections_max: usize = 10_000,
///         /// Certificate chain in PEM.
///         pub tls_certificate: Option<PathBuf> = None,
///         /// Its private key in PEM.
///         pub tls_key: Option<PathBuf> = None,
///         /// What a caller must know.
///         #[environment("DOOR_TOKEN")]
///         pub token: Option<Secret> = None,
///     }
///     check(settings, problems) {
///         if settings.tls_certificate.is_some() && settings.tls_key.is_none() {
///             problems.missing("tls_key", "tls_certificate");
///         }
///     }
/// }
///
/// assert_eq!(DoorSettings::default().connections_max, 10_000);
/// ```
#[macro_export]
macro_rules! settings {
    (
        $(#[doc = $section_doc:literal])*
        $visibility:vis struct $section:ident in $name:literal {
            $(
                $(#[doc = $doc:literal])*
                $(#[environment($variable:literal)])?
                $(#[check($check:expr)])?
                pub $key:ident: $kind:ty = $default:expr
            ),* $(,)?
        }
        $(check($settings:ident, $problems:ident) $check_body:block)?
    ) => {
        $(#[doc = $section_doc])*
        #[derive(Clone, Debug, PartialEq)]
        $visibility struct $section {
            $(
                $(#[doc = $doc])*
                pub $key: $kind,
            )*
        }

        impl ::std::default::Default for $section {
            fn default() -> Self {
                $section { $($key: $default),* }
            }
        }

        impl $crate::Section for $section {
            const NAME: &'static str = $name;
            const DOC: &'static [&'static str] = &[$($section_doc),*];
            const KEYS: &'static [$crate::Key<Self>] = &[$(
                $crate::Key {
                    name: ::std::stringify!($key),
                    doc: &[$($doc),*],
                    variable: $crate::settings!(@optional $($variable)?),
                    secret: <$kind as $crate::Setting>::SECRET,
                    expected: || $crate::settings::expected::<$kind>(&[$(&$check)?]),
                    set: |section, value| {
                        section.$key = $crate::settings::read::<$kind>(value, &[$(&$check)?])?;
                        ::std::result::Result::Ok(())
                    },
                    show: |section| $crate::Setting::show(&section.$key),
                    literal: |section| $crate::Setting::literal(&section.$key),
                },
            )*];

            $(
                fn check(&self, $problems: &mut $crate::Problems<'_>) {
                    let $settings = self;
                    $check_body
                }
            )?
        }
    };
    (@optional) => { ::std::option::Option::None };
    (@optional $value:literal) => { ::std::option::Option::Some($value) };
}
