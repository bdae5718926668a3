//! Reads the command line, and tells all of its wrong values at once: whoever mends one after the
//! other would start the program as often.

use std::ffi::OsString;
use std::process;

use clap::Parser;
use clap::error::{ContextKind, ContextValue, Error, ErrorKind};

use crate::printable::{complain, printable};

/// The command line as it was meant; without that, ends the program with exit code 2.
pub(crate) fn parse<A: Parser>(given: impl IntoIterator<Item = OsString>) -> A {
    let given: Vec<OsString> = given.into_iter().collect();
    let is_plain = given.iter().all(|one| {
        let text = one.to_string_lossy();
        printable(&text) == text
    });
    let mut errors = match read(given) {
        Ok(arguments) => return arguments,
        Err(errors) => errors,
    };
    let Some(last) = errors.pop() else { unreachable!("there is no failure without an error") };
    for error in errors {
        let said = error.to_string();
        complain(said.split("\n\n").next().unwrap_or_default());
    }
    if is_plain {
        last.exit()
    }
    // Without its colours, which are control characters as well.
    complain(last.to_string().trim_end());
    process::exit(last.exit_code())
}

/// Fails with every wrong value; of other errors, with the first alone.
fn read<A: Parser>(mut given: Vec<OsString>) -> Result<A, Vec<Error>> {
    let mut errors = Vec::new();
    loop {
        let error = match A::try_parse_from(&given) {
            Ok(arguments) if errors.is_empty() => return Ok(arguments),
            Ok(_) => return Err(errors),
            Err(error) => error,
        };
        let place = place(&error, &given);
        // What is missing or too much may be so because of what was left out.
        if errors.is_empty() || place.is_some() {
            errors.push(error);
        }
        match place {
            // Read again without it, to see what else is wrong.
            Some((first, count)) => drop(given.drain(first..first + count)),
            None => return Err(errors),
        }
    }
}

/// Where the flag stands whose value is wrong, and how many arguments that takes.
fn place(error: &Error, given: &[OsString]) -> Option<(usize, usize)> {
    if !matches!(error.kind(), ErrorKind::ValueValidation | ErrorKind::InvalidValue) {
        return None;
    }
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let flag = text(ContextKind::InvalidArg)?.split(' ').next()?;
    let value = text(ContextKind::InvalidValue)?;
    let holds = |given: &str| given == value || given.split(',').any(|part| part == value);
    let given: Vec<_> = given.iter().map(|one| one.to_string_lossy()).collect();
    given.iter().enumerate().find_map(|(index, one)| match one.strip_prefix(flag)? {
        "" => holds(given.get(index + 1)?).then_some((index, 2)),
        rest => holds(rest.strip_prefix('=')?).then_some((index, 1)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Parser)]
    struct Sample {
        url: String,
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..=9))]
        rate: Option<u32>,
        #[arg(long, value_delimiter = ',')]
        times: Vec<u32>,
        #[arg(long, requires = "rate")]
        think: bool,
    }

    fn errors(line: &str) -> Vec<String> {
        let given = ["sample"].into_iter().chain(line.split_whitespace()).map(OsString::from);
        let errors = read::<Sample>(given.collect()).err().unwrap_or_default();
        errors.iter().map(|error| error.to_string().lines().next().unwrap().to_owned()).collect()
    }

    #[test]
    fn all_wrong_values_are_told() {
        assert_eq!(errors("here --rate 1 --times 1,2"), [""; 0]);
        assert_eq!(
            errors("here --rate 0 --times=1,two"),
            [
                "error: invalid value '0' for '--rate <RATE>': 0 is not in 1..=9",
                "error: invalid value 'two' for '--times <TIMES>': invalid digit found in string",
            ]
        );
        assert_eq!(errors("here --times 1,x --times y").len(), 2);
    }

    #[test]
    fn what_only_follows_from_a_wrong_value_is_not_told() {
        assert_eq!(errors("here --think --rate no").len(), 1);
        assert!(errors("--rate no")[0].contains("'no'"));
        assert!(errors("here --nothing --rate 1")[0].contains("--nothing"));
    }
}
