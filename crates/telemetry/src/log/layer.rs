//! The `tracing` layer that turns each event into one line.

use std::cell::Cell;
use std::sync::Arc;

use tenfold_context::Context as WorkContext;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::fields::{EventFields, SpanFields};
use super::level::Level;
use super::line::{LINE_BYTES_MAX, Line, SPAN_BYTES_MAX};
use super::queue::Queue;

thread_local! {
    /// Each thread writes its lines into the same memory. Taken out while a line is written,
    /// because a field's `Display` may log as well: the inner line then gets memory of its own.
    static SCRATCH: Cell<Option<Box<Line>>> = const { Cell::new(None) };
}

pub(crate) struct LogLayer {
    pub(crate) queue: Arc<Queue>,
}

/// A span's fields, ready to be copied.
struct Fields(Line);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for LogLayer {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut line = Line::new(SPAN_BYTES_MAX);
        attributes.record(&mut SpanFields(&mut line));
        span.extensions_mut().insert(Fields(line));
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        // Taken out meanwhile: a value's `Display` may log within this very span.
        let Some(mut fields) = span.extensions_mut().remove::<Fields>() else { return };
        values.record(&mut SpanFields(&mut fields.0));
        span.extensions_mut().replace(fields);
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let metadata = event.metadata();
        write_line(&self.queue, Level::from(metadata.level()), |line| {
            let named = |key| metadata.fields().field(key).is_some();
            name_work(line, named("reqId"), named("route"));
            event.record(&mut EventFields(line));
            for span in context.event_scope(event).into_iter().flatten() {
                if let Some(fields) = span.extensions().get::<Fields>() {
                    line.inherit(&fields.0);
                }
            }
        });
    }
}

/// Writes one line past `tracing`, and hands it to the writer.
pub(crate) fn write_line(queue: &Queue, level: Level, fill: impl FnOnce(&mut Line)) {
    let scratch = SCRATCH.try_with(Cell::take).ok().flatten();
    let mut line = scratch.unwrap_or_else(|| Box::new(Line::new(LINE_BYTES_MAX)));
    line.begin(level, queue.fixed());
    fill(&mut line);
    let (level, bytes) = line.finish();
    queue.push(level, bytes);
    // A thread that is ending has no memory to keep it in.
    let _ = SCRATCH.try_with(|scratch| scratch.set(Some(line)));
}

/// Says which request or job the line belongs to, unless the event says so itself.
pub(crate) fn name_work(line: &mut Line, has_request_id: bool, has_route: bool) {
    let Some(work) = WorkContext::current() else { return };
    if !has_request_id {
        line.formatted("reqId", format_args!("{}", work.request_id()));
    }
    if let Some(route) = work.route().filter(|_| !has_route) {
        line.text("route", route);
    }
}
