//! Reads which statuses are right: a list of numbers, and of hundreds such as `2xx`.

use toml::de::DeValue;

use super::Statuses;
use super::fields::{Fields, Problems, integer, nearest, shown};

const HUNDREDS: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// The list, if there is one in which all is right.
pub(super) fn read(fields: &mut Fields<'_>, problems: &mut Problems<'_>) -> Option<Vec<Statuses>> {
    let (value, span) = fields.value("status")?;
    let Some(array) = value.as_array().filter(|array| !array.is_empty()) else {
        let right = "a list such as [200, 201] or [\"2xx\", 404]";
        fields.wrong("status", value, span.start, right, problems);
        return None;
    };
    let mut statuses = Vec::new();
    for (index, value) in array.iter().enumerate() {
        match one(value.get_ref()) {
            Some(status) => statuses.push(status),
            None => {
                let (number, path) = (index + 1, fields.path("status"));
                let right = right(value.get_ref());
                let message =
                    format!("`{path}`, value {number}, is {}: {right}", shown(value.get_ref()));
                problems.at(value.span().start, message);
            }
        }
    }
    (statuses.len() == array.len()).then_some(statuses)
}

fn one(value: &DeValue<'_>) -> Option<Statuses> {
    match value.as_str() {
        Some(text) => {
            let place = HUNDREDS.iter().position(|hundred| *hundred == text)?;
            Some(Statuses::Hundred(place as u16 + 1))
        }
        None => {
            let status = u16::try_from(integer(value)?).ok()?;
            (100..=599).contains(&status).then_some(Statuses::One(status))
        }
    }
}

/// What would be right instead.
fn right(value: &DeValue<'_>) -> String {
    let text = value.as_str().unwrap_or_default().trim().to_ascii_lowercase();
    let status = text.trim_start_matches('+').parse::<u16>().ok();
    match (status.filter(|status| (100..=599).contains(status)), nearest(&text, &HUNDREDS)) {
        (Some(status), _) => format!("did you mean {status}, without quotes?"),
        (None, Some(hundred)) => format!("did you mean {hundred:?}?"),
        (None, None) => {
            "a status from 100 to 599, or all of a hundred, such as \"2xx\", is needed".to_owned()
        }
    }
}
