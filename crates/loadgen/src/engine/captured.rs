//! What answers have brought for later requests to use.

/// How many values are remembered per name: enough that they differ, few enough to forget.
const VALUES_MAX: usize = 1024;

/// The latest values by name.
pub(crate) struct Captured {
    values: Vec<Vec<String>>,
    next: Vec<usize>,
}

impl Captured {
    pub(crate) fn new(names: usize) -> Captured {
        Captured { values: vec![Vec::new(); names], next: vec![0; names] }
    }

    pub(crate) fn values(&self) -> &[Vec<String>] {
        &self.values
    }

    /// Remembers a text or a number; the oldest goes when there are too many.
    pub(crate) fn add(&mut self, name: usize, found: &serde_json::Value) {
        let text = match found {
            serde_json::Value::String(text) => text.clone(),
            serde_json::Value::Number(number) => number.to_string(),
            serde_json::Value::Bool(truth) => truth.to_string(),
            _ => return,
        };
        let values = &mut self.values[name];
        if values.len() < VALUES_MAX {
            values.push(text);
        } else {
            values[self.next[name]] = text;
            self.next[name] = (self.next[name] + 1) % VALUES_MAX;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_latest_are_remembered_and_no_more() {
        let mut captured = Captured::new(1);
        for found in [json!(null), json!({"a": 1}), json!([1])] {
            captured.add(0, &found);
        }
        assert!(captured.values()[0].is_empty(), "what cannot be written is not remembered");
        captured.add(0, &json!("first"));
        for number in 0..VALUES_MAX {
            captured.add(0, &json!(number));
        }
        let values = &captured.values()[0];
        assert_eq!(values.len(), VALUES_MAX);
        assert!(!values.contains(&"first".to_owned()));
        assert!(values.contains(&(VALUES_MAX - 1).to_string()));
    }
}
