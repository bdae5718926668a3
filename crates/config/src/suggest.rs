//! Guesses what was meant by a name that does not exist.

/// The candidate that is nearest to the name, if any is near enough to be a slip of the
/// fingers or a part of the same name.
pub(crate) fn nearest<'a>(name: &str, candidates: &[&'a str]) -> Option<&'a str> {
    let name = name.to_ascii_lowercase();
    // A comparison costs length × length; nobody means a name of ours with something so long.
    if name.is_empty() || name.len() > 100 {
        return None;
    }
    let slips_max = 1 + name.chars().count() / 4;
    let distance =
        |candidate: &str| strsim::damerau_levenshtein(&name, &candidate.to_ascii_lowercase());
    let by_slips = candidates
        .iter()
        .map(|candidate| (distance(candidate), *candidate))
        .filter(|(slips, _)| *slips <= slips_max && *slips < name.len())
        .min_by_key(|(slips, _)| *slips)
        .map(|(_, candidate)| candidate);
    by_slips.or_else(|| {
        let related = |candidate: &&&str| {
            let candidate = candidate.to_ascii_lowercase();
            name.len().min(candidate.len()) >= 4
                && (candidate.contains(&name) || name.contains(&candidate))
        };
        candidates.iter().find(related).copied()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_and_parts_are_understood() {
        let keys = ["listen", "request_timeout", "connections_max", "tls_key"];
        let cases = [
            ("lisen", Some("listen")),
            ("LISTEN", Some("listen")),
            ("lsiten", Some("listen")),
            ("request-timeout", Some("request_timeout")),
            ("requestTimeout", Some("request_timeout")),
            ("timeout", Some("request_timeout")),
            ("max_connections", None),
            ("port", None),
            ("", None),
            ("x", None),
        ];
        for (name, nearest_key) in cases {
            assert_eq!(nearest(name, &keys), nearest_key, "{name}");
        }
    }

    #[test]
    fn an_endless_name_is_not_compared() {
        assert_eq!(nearest(&"listen".repeat(1_000_000), &["listen"]), None);
    }
}
