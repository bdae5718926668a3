//! What a panic said, for those who have to pass it on.

use std::any::Any;

/// The message of a caught panic.
pub(crate) fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic whose payload is no text").to_owned()
}

#[cfg(test)]
mod tests {
    use std::panic::{catch_unwind, panic_any};

    use super::*;

    #[test]
    fn says_what_the_panic_said() {
        let caught = |panic: fn()| message(&*catch_unwind(panic).unwrap_err());
        assert_eq!(caught(|| panic!("plain")), "plain");
        let number = 7;
        assert_eq!(message(&*catch_unwind(|| panic!("with {number}")).unwrap_err()), "with 7");
        assert_eq!(caught(|| panic_any(7)), "a panic whose payload is no text");
    }
}
