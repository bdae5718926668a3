//! How numbers are written in sentences and tables: three digits that mean something, and a unit.

/// A number of things, or of things per second: `12,346`, `7.5`.
pub(crate) fn count(number: f64) -> String {
    if !number.is_finite() {
        return "unknown".to_owned();
    }
    if number.abs() < 99.95 {
        let written = format!("{number:.1}");
        return written.strip_suffix(".0").map_or(written.clone(), str::to_owned);
    }
    let digits = format!("{:.0}", number.abs());
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if number <= -0.5 { format!("-{grouped}") } else { grouped }
}

/// A rate in a sentence: `1 request per second`, `0.5 requests per second`.
pub(crate) fn requests_per_second(rate: f64) -> String {
    let written = count(rate);
    let noun = if written == "1" { "request" } else { "requests" };
    format!("{written} {noun} per second")
}

/// So many things of a kind: `1 core`, `12 cores`.
pub(crate) fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number as f64), if number == 1 { one } else { many })
}

/// Statuses of answers that were not right, and how many had each: `503 × 1,204, 500 × 3`; none if
/// there was none. The rarest of many are told together.
pub(crate) fn answers(statuses: &[(u64, u64)], wrong_bodies: u64) -> Option<String> {
    let times = |name: &str, number: u64| format!("{name} × {}", count(number as f64));
    let (named, rest) = statuses.split_at(statuses.len().min(STATUSES_NAMED));
    let mut parts: Vec<String> =
        named.iter().map(|(status, number)| times(&status.to_string(), *number)).collect();
    let rest: u64 = rest.iter().map(|(_, number)| number).sum();
    parts.extend((rest > 0).then(|| times("others", rest)));
    parts.extend((wrong_bodies > 0).then(|| times("another body", wrong_bodies)));
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// A line holds so many.
const STATUSES_NAMED: usize = 6;

/// How long something took, given in milliseconds: `850 µs`, `12.3 ms`, `1.25 s`.
pub(crate) fn milliseconds(ms: f64) -> String {
    if !ms.is_finite() {
        return "never".to_owned();
    }
    match ms {
        _ if ms < 0.9995 => format!("{} µs", digits(ms * 1e3)),
        _ if ms < 999.5 => format!("{} ms", digits(ms)),
        _ => format!("{} s", digits(ms / 1e3)),
    }
}

/// How long something took, given in seconds.
pub(crate) fn seconds(seconds: f64) -> String {
    milliseconds(seconds * 1e3)
}

/// A part of one: `99.8 %`. What is not all is never written as all, and what is something never
/// as nothing.
pub(crate) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    match percent {
        _ if !percent.is_finite() => "unknown".to_owned(),
        _ if percent < 100.0 && percent > 99.9 => "99.9 %".to_owned(),
        _ if percent > 0.0 && percent < 0.1 => "0.1 %".to_owned(),
        _ if percent > 90.0 && percent.fract() != 0.0 => format!("{percent:.1} %"),
        _ if percent < 10.0 && percent.fract() != 0.0 => format!("{percent:.1} %"),
        _ => format!("{percent:.0} %"),
    }
}

/// A multiple: `10×`, `0.5×`.
pub(crate) fn times(times: f64) -> String {
    format!("{}×", digits(times))
}

/// Three digits at most, without zeros that say nothing.
fn digits(number: f64) -> String {
    let decimals = match number.abs() {
        magnitude if magnitude < 9.995 => 2,
        magnitude if magnitude < 99.95 => 1,
        _ => 0,
    };
    let written = format!("{number:.decimals$}");
    if !written.contains('.') {
        return written;
    }
    written.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_grouped() {
        for (number, written) in [
            (0.0, "0"),
            (7.53, "7.5"),
            (42.0, "42"),
            (91.96, "92"),
            (999.6, "1,000"),
            (12_345.6, "12,346"),
            (-1_234.0, "-1,234"),
            (f64::NAN, "unknown"),
        ] {
            assert_eq!(count(number), written);
        }
    }

    #[test]
    fn times_have_three_digits_and_a_unit() {
        for (ms, written) in [
            (0.0, "0 µs"),
            (0.25, "250 µs"),
            (0.9999, "1 ms"),
            (12.34, "12.3 ms"),
            (999.9, "1 s"),
            (1_250.0, "1.25 s"),
            (75_000.0, "75 s"),
            (f64::INFINITY, "never"),
        ] {
            assert_eq!(milliseconds(ms), written);
        }
    }

    #[test]
    fn almost_all_is_not_all_and_almost_nothing_not_nothing() {
        for (share, written) in [
            (1.0, "100 %"),
            (0.999_99, "99.9 %"),
            (0.0, "0 %"),
            (0.000_01, "0.1 %"),
            (0.975, "97.5 %"),
            (0.456, "46 %"),
            (0.034, "3.4 %"),
        ] {
            assert_eq!(percent(share), written);
        }
    }

    #[test]
    fn one_is_not_many() {
        let cores = [0, 1, 2, 4_096].map(|number| counted(number, "core", "cores"));
        assert_eq!(cores, ["0 cores", "1 core", "2 cores", "4,096 cores"]);
        let rates = [0.5, 1.0, 1.4, 400.0].map(requests_per_second);
        assert_eq!(rates[..2], ["0.5 requests per second", "1 request per second"]);
        assert_eq!(rates[2..], ["1.4 requests per second", "400 requests per second"]);
    }

    #[test]
    fn statuses_are_told_with_how_many_had_them_and_no_more_than_a_line_holds() {
        assert_eq!(answers(&[], 0), None);
        let told = answers(&[(503, 1_204), (500, 3)], 0);
        assert_eq!(told.as_deref(), Some("503 × 1,204, 500 × 3"));
        assert_eq!(answers(&[], 7).as_deref(), Some("another body × 7"));
        let many: Vec<(u64, u64)> = (400..500).map(|status| (status, 500 - status)).collect();
        let told = answers(&many, 1).unwrap();
        assert!(told.starts_with("400 × 100, 401 × 99, "), "{told}");
        assert!(told.chars().count() < 100, "{told}");
        assert!(told.ends_with(", others × 4,465, another body × 1"), "{told}");
    }

    #[test]
    fn multiples_are_short() {
        assert_eq!([times(10.0), times(0.5), times(2.25)], ["10×", "0.5×", "2.25×"]);
    }
}
