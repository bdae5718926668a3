//! A ban that does not say what to use instead teaches nothing, so each entry of clippy.toml does.

use toml::{Table, Value};

use super::Complaint;
use crate::repository::Repository;

const FILE: &str = "clippy.toml";

pub(super) fn check(repository: &Repository) -> Vec<Complaint> {
    let complain = |text: String| vec![Complaint::new(FILE, text)];
    let Some(text) = repository.text(FILE) else {
        return complain("is missing: nothing is banned any more".into());
    };
    let table: Table = match text.parse() {
        Ok(table) => table,
        Err(error) => return complain(format!("is not TOML: {error}")),
    };
    table
        .iter()
        .filter(|(key, _)| key.starts_with("disallowed-"))
        .filter_map(|(_, bans)| bans.as_array())
        .flatten()
        .filter(|ban| {
            let reason = ban.get("reason").and_then(Value::as_str).unwrap_or_default();
            !(reason.starts_with("use ") && reason.contains("because "))
        })
        .map(|ban| {
            let path = ban.get("path").unwrap_or(ban).as_str().unwrap_or("an entry");
            Complaint::new(
                FILE,
                format!(
                    "the ban of {path} gives no way out: let its reason read \"use …, because …\", so \
                     that whoever meets it learns something"
                ),
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::assert_says;
    use super::*;
    use crate::repository::made_up;

    #[test]
    fn bans_have_a_way_out() {
        let text = "disallowed-methods = [\n\
                    { path = 'a::b', reason = 'use c, because d' },\n\
                    { path = 'e::f', reason = 'evil' },\n'g::h' ]\n\
                    disallowed-types = [{ path = 'i::J', reason = 'use K' }]";
        let complaint = |path: &str| {
            format!(
                "clippy.toml: the ban of {path} gives no way out: let its reason read \"use …, \
                 because …\", so that whoever meets it learns something"
            )
        };
        let expected = ["e::f", "g::h", "i::J"].map(complaint);
        assert_says(
            check,
            &made_up::files(&[(FILE, text)]),
            &expected.each_ref().map(String::as_str),
        );
    }

    #[test]
    fn no_bans_are_a_complaint() {
        assert_says(
            check,
            &made_up::files(&[]),
            &["clippy.toml: is missing: nothing is banned any more"],
        );
    }
}
