//! A place in Postgres' log of changes, as a token: a read that asks for it sees every write
//! that stands before it.

use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;

/// A position in the log of a primary (a log sequence number). Everything that had been confirmed
/// when it was asked for stands before it.
///
/// As text, such as `16/B374D848`, it travels wherever a reader needs it: in a header, a cookie, a
/// job. It says something only to the servers of the cluster that it comes from.
///
/// ```
/// use tenfold_db::Lsn;
/// let lsn: Lsn = "16/B374D848".parse()?;
/// assert_eq!(lsn.to_string(), "16/B374D848");
/// # Ok::<_, tenfold_db::NoLsn>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lsn(u64);

/// A text that is no [`Lsn`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no position in Postgres' log: two hexadecimal numbers as in 16/B374D848 are needed"
)]
pub struct NoLsn {
    text: String,
}

impl Lsn {
    pub(crate) const fn new(position: u64) -> Lsn {
        Lsn(position)
    }

    pub(crate) const fn as_u64(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}/{:X}", self.0 >> 32, self.0 & u64::from(u32::MAX))
    }
}

impl FromStr for Lsn {
    type Err = NoLsn;

    fn from_str(text: &str) -> Result<Lsn, NoLsn> {
        // It may come from outside: no more of it is shown than a position has.
        let no_lsn = || NoLsn { text: text.chars().take(20).collect() };
        let (high, low) = text.split_once('/').ok_or_else(no_lsn)?;
        match (half(high), half(low)) {
            (Some(Ok(high)), Some(Ok(low))) => Ok(Lsn(u64::from(high) << 32 | u64::from(low))),
            _ => Err(no_lsn()),
        }
    }
}

/// `from_str_radix` alone would take a sign.
fn half(text: &str) -> Option<Result<u32, ParseIntError>> {
    let is_hexadecimal = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hexadecimal.then(|| u32::from_str_radix(text, 16))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_as_it_is_shown() {
        for position in [0, 1, u64::from(u32::MAX), 1 << 32, 0x16_B374_D848, u64::MAX] {
            let lsn = Lsn::new(position);
            assert_eq!(lsn.to_string().parse(), Ok(lsn), "{lsn}");
        }
        assert_eq!(Lsn::new(0x16_B374_D848).to_string(), "16/B374D848");
        assert_eq!("0/a".parse(), Ok(Lsn::new(10)));
    }

    #[test]
    fn later_is_greater() {
        let lsn = |text: &str| text.parse::<Lsn>().unwrap();
        assert!(lsn("2/0") > lsn("1/FFFFFFFF"));
    }

    #[test]
    fn what_is_none_is_refused_and_not_repeated_at_length() {
        for text in
            ["", "/", "1", "1/", "/1", "1/2/3", "+1/2", "1/-2", "x/1", "1 /2", "100000000/0"]
        {
            assert!(text.parse::<Lsn>().is_err(), "{text:?}");
        }
        let said = "x".repeat(1000).parse::<Lsn>().unwrap_err().to_string();
        assert!(said.len() < 150, "{said}");
    }
}
