//! Reads a recorded trace, so that yesterday's traffic can be offered again.

use std::fmt;
use std::time::Duration;

use super::RATE_MAX;

/// No clock of a service has run for longer than ten years, but a date in seconds since 1970
/// looks as if.
const SECONDS_MAX: f64 = 3.2e8;

/// Every line of a trace that is wrong. Displayed one per line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceErrors {
    /// At least one.
    pub errors: Vec<TraceError>,
}

/// What is wrong with one line of a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceError {
    /// The line, counted from one.
    pub line: u64,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl fmt::Display for TraceErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, TraceError { line, message }) in self.errors.iter().enumerate() {
            let newline = if index == 0 { "" } else { "\n" };
            write!(f, "{newline}line {line}: {message}")?;
        }
        Ok(())
    }
}

impl std::error::Error for TraceErrors {}

/// The rates and how long each is held.
pub(super) fn read(text: &str) -> Result<Vec<(f64, Duration)>, TraceErrors> {
    let mut rows: Vec<(f64, f64)> = Vec::new();
    let mut errors = Vec::new();
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .comment(Some(b'#'))
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    for (index, record) in reader.records().enumerate() {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                errors.push(TraceError { line: 0, message: error.to_string() });
                break;
            }
        };
        let line = record.position().map_or(0, csv::Position::line);
        if index == 0 && is_heading(&record) {
            continue;
        }
        let earlier = rows.last().map(|(second, _)| *second);
        match row(&record, earlier) {
            Ok(row) => rows.push(row),
            Err(message) => errors.push(TraceError { line, message }),
        }
    }
    if rows.is_empty() && errors.is_empty() {
        errors.push(TraceError { line: 1, message: "a line of second,rate is needed".to_owned() });
    }
    if errors.is_empty() { Ok(held(&rows)) } else { Err(TraceErrors { errors }) }
}

/// Words for columns, as a first line. Where a field begins as a number does, it was meant to be
/// one: `0;10` has another separator.
fn is_heading(record: &csv::StringRecord) -> bool {
    let begins_as_number = |field: &str| {
        let field = field.trim_start_matches(['+', '-', '.', ',']);
        field.starts_with(|first: char| first.is_ascii_digit())
    };
    let is_number = |field: &str| field.parse::<f64>().is_ok();
    !record.iter().any(|field| begins_as_number(field) || is_number(field))
}

/// The line with a comma, if two numbers stand in it with something else in between.
fn with_comma(field: &str) -> Option<String> {
    let parts = field.split([';', '\t', '|', ':', ' ']).filter(|part| !part.is_empty());
    let parts: Vec<&str> = parts.collect();
    let are_numbers = parts.iter().all(|part| part.parse::<f64>().is_ok());
    (parts.len() == 2 && are_numbers).then(|| parts.join(","))
}

fn row(record: &csv::StringRecord, earlier: Option<f64>) -> Result<(f64, f64), String> {
    let (Some(second), Some(rate), 2) = (record.get(0), record.get(1), record.len()) else {
        return Err(match (record.len(), record.get(0).unwrap_or_default()) {
            (1, field) => match with_comma(field) {
                Some(right) => format!("{field:?} has no comma: did you mean {right}?"),
                None => format!("{field:?} has no comma: second,rate is needed, such as 0,100"),
            },
            (several, _) => format!("{several} fields: two, second,rate, are needed"),
        });
    };
    let number = |text: &str, what: &str| match text.parse::<f64>() {
        Ok(number) if number.is_finite() && number >= 0.0 => Ok(number),
        _ => Err(format!("the {what} is {text:?}: a number of at least 0 is needed")),
    };
    let (second, rate) = (number(second, "second")?, number(rate, "rate")?);
    if second > SECONDS_MAX {
        return Err(format!("the second is {second}: seconds since the start are needed"));
    }
    if rate > RATE_MAX {
        return Err(format!("the rate is {:?}: no more than {RATE_MAX} is possible", &record[1]));
    }
    match earlier {
        Some(earlier) if second <= earlier => {
            Err(format!("second {second} comes after {earlier}: each line must be later"))
        }
        _ => Ok((second, rate)),
    }
}

/// The first line's second is the beginning: a trace may start at any second of a day.
fn held(rows: &[(f64, f64)]) -> Vec<(f64, Duration)> {
    let ends = rows.iter().skip(1).map(|(second, _)| *second);
    let last = rows.last().map(|(second, _)| second + 1.0);
    rows.iter()
        .zip(ends.chain(last))
        .map(|((second, rate), end)| (*rate, Duration::from_secs_f64(end - second)))
        .collect()
}
