//! From the fields of `tracing` to the fields of a line.

use std::error::Error;
use std::fmt::Debug;

use tracing::field::{Field, Visit};

use super::line::Line;

/// Writes the fields of an event into a line.
pub(crate) struct EventFields<'a>(pub(crate) &'a mut Line);

/// Writes the fields of a span; one that is there already is replaced.
pub(crate) struct SpanFields<'a>(pub(crate) &'a mut Line);

impl Visit for EventFields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.text(event_key(field), value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.formatted(event_key(field), format_args!("{value:?}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        if value && field.name() == "fatal" {
            self.0.make_fatal();
        } else {
            self.0.boolean(event_key(field), value);
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let key = match event_key(field) {
            // Both names in one event: the second keeps its own.
            "error" if !self.0.has("err") => "err",
            key => key,
        };
        self.0.error(key, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.number(event_key(field), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.number(event_key(field), value);
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.0.number(event_key(field), value);
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.0.number(event_key(field), value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.0.float(event_key(field), value);
    }
}

impl SpanFields<'_> {
    fn key(&mut self, field: &Field) -> &'static str {
        let key = own_key(field);
        self.0.remove(key);
        key
    }
}

impl Visit for SpanFields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        let key = self.key(field);
        self.0.text(key, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let key = self.key(field);
        self.0.formatted(key, format_args!("{value:?}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        let key = self.key(field);
        self.0.boolean(key, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let key = self.key(field);
        self.0.error(key, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        let key = self.key(field);
        self.0.number(key, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        let key = self.key(field);
        self.0.number(key, value);
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        let key = self.key(field);
        self.0.number(key, value);
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        let key = self.key(field);
        self.0.number(key, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        let key = self.key(field);
        self.0.float(key, value);
    }
}

/// The key of an event's field: the message is pino's `msg`.
fn event_key(field: &Field) -> &'static str {
    match field.name() {
        "message" => "msg",
        _ => own_key(field),
    }
}

/// The key of a field that must not stand in for one of the fixed ones.
fn own_key(field: &Field) -> &'static str {
    match field.name() {
        "level" => "level_",
        "time" => "time_",
        "pid" => "pid_",
        "hostname" => "hostname_",
        "name" => "name_",
        "msg" => "msg_",
        name => name.strip_prefix("r#").unwrap_or(name),
    }
}
