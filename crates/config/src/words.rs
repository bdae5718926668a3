//! Closed lists of words as settings.

/// Declares an enum whose values are words of a closed list, and makes it a
/// [`Setting`](crate::Setting).
///
/// ```
/// tenfold_config::words! {
///     /// Which requests leave a line in the log.
///     pub enum Requests {
///         /// Every one.
///         All = "all",
///         /// Those that were slow or failed.
///         SlowAndFailed = "slow_and_failed",
///     }
/// }
/// assert_eq!(Requests::SlowAndFailed.word(), "slow_and_failed");
/// ```
#[macro_export]
macro_rules! words {
    (
        $(#[doc = $doc:literal])*
        $visibility:vis enum $name:ident {
            $($(#[doc = $variant_doc:literal])* $variant:ident = $word:literal),* $(,)?
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        $visibility enum $name {
            $($(#[doc = $variant_doc])* $variant),*
        }

        impl $name {
            /// The word that stands for this value.
            $visibility const fn word(self) -> &'static str {
                match self {
                    $($name::$variant => $word),*
                }
            }
        }

        impl $crate::Setting for $name {
            fn noun() -> ::std::string::String {
                $crate::words::one_of(<$name as $crate::Setting>::words())
            }

            fn words() -> &'static [&'static str] {
                &[$($word),*]
            }

            fn from_text(text: &str) -> ::std::option::Option<$name> {
                match text {
                    $($word => ::std::option::Option::Some($name::$variant),)*
                    _ => ::std::option::Option::None,
                }
            }

            fn show(&self) -> ::std::string::String {
                ::std::borrow::ToOwned::to_owned(self.word())
            }
        }
    };
}

/// `one of "a", "b" and "c"`, for messages; called by [`words!`](crate::words!).
#[doc(hidden)]
pub fn one_of(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => "nothing".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::one_of;

    #[test]
    fn lists_read_as_a_sentence() {
        assert_eq!(one_of(&["a", "b", "c"]), r#""a", "b" or "c""#);
        assert_eq!(one_of(&["a"]), r#""a""#);
    }
}
