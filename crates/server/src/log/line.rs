//! Events as lines. Written by hand so that every text in them is escaped, whoever brought it.

use super::escape;
use crate::config::LogFormat;
use campanile_journal::{Clock, SystemClock};
use campanile_wire::instant;
use std::fmt::{Debug, Write as _};
use std::io::Write;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_appender::non_blocking::NonBlocking;
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

/// What a field holds.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// May be anybody's.
    Text(String),
    /// A number or a truth value, as JSON spells it.
    Plain(String),
}

impl Value {
    pub(crate) fn text(&self) -> String {
        let (Self::Text(text) | Self::Plain(text)) = self;
        text.clone()
    }
}

/// A span's fields, kept beside it for the lines inside.
pub(crate) struct SpanFields(pub(crate) Vec<(&'static str, Value)>);

/// Keeps the fields of spans.
pub(super) struct Remember;

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Remember {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(SpanFields(fields.0));
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = Fields::default();
        values.record(&mut fields);
        if let Some(SpanFields(known)) = span.extensions_mut().get_mut::<SpanFields>() {
            known.extend(fields.0);
        }
    }
}

/// Writes events.
pub(super) struct Lines {
    pub(super) format: LogFormat,
    pub(super) colours: bool,
    pub(super) file: Option<NonBlocking>,
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let message = fields.take_message();
        // The innermost span that names a field wins, and the event itself wins over all.
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(SpanFields(around)) = span.extensions().get::<SpanFields>() {
                let fresh = around.iter().filter(|(name, _)| !fields.0.iter().any(|(known, _)| known == name));
                let fresh: Vec<_> = fresh.cloned().collect();
                fields.0.extend(fresh);
            }
        }
        let now = instant::format(SystemClock.now_ms());
        let line = |format, colours| render(format, colours, &now, event.metadata(), &message, &fields.0);
        // Nobody is left to be told when the log itself cannot be written.
        let _ = std::io::stderr().lock().write_all(line(self.format, self.colours).as_bytes());
        if let Some(file) = &self.file {
            let format = if self.format == LogFormat::Json { LogFormat::Json } else { LogFormat::Compact };
            let _ = file.clone().write_all(line(format, false).as_bytes());
        }
    }
}

/// One whole line.
pub(super) fn render(
    format: LogFormat,
    colours: bool,
    now: &str,
    metadata: &Metadata<'_>,
    message: &str,
    fields: &[(&'static str, Value)],
) -> String {
    let (level, target) = (metadata.level(), metadata.target());
    let mut line = match format {
        LogFormat::Json => return json(now, level, target, message, fields),
        LogFormat::Compact => format!("{now} {level:>5} {target}: {}", escape::message(message)),
        LogFormat::Pretty => {
            let time = now.get(11..23).unwrap_or(now);
            let (paint, dim, plain) = if colours { (colour(*level), "\x1b[2m", "\x1b[0m") } else { ("", "", "") };
            format!("{dim}{time}{plain} {paint}{level:>5}{plain} {} {dim}{target}{plain}", escape::message(message))
        }
    };
    for (name, value) in fields {
        let value = match value {
            Value::Text(text) => escape::value(text),
            Value::Plain(text) => text.clone(),
        };
        let _ = write!(line, " {name}={value}");
    }
    line.push('\n');
    line
}

fn json(now: &str, level: &Level, target: &str, message: &str, fields: &[(&'static str, Value)]) -> String {
    let mut line = format!(
        "{{\"timestamp\":\"{now}\",\"level\":\"{level}\",\"target\":{},\"message\":{}",
        escape::json(target),
        escape::json(message)
    );
    for (name, value) in fields {
        let value = match value {
            Value::Text(text) => escape::json(text),
            Value::Plain(text) => text.clone(),
        };
        let _ = write!(line, ",{}:{value}", escape::json(name));
    }
    line.push_str("}\n");
    line
}

fn colour(level: Level) -> &'static str {
    match level {
        Level::ERROR => "\x1b[31m",
        Level::WARN => "\x1b[33m",
        Level::INFO => "\x1b[32m",
        Level::DEBUG => "\x1b[34m",
        Level::TRACE => "\x1b[35m",
    }
}

/// Collects fields.
#[derive(Default)]
struct Fields(Vec<(&'static str, Value)>);

impl Fields {
    fn take_message(&mut self) -> String {
        let place = self.0.iter().position(|(name, _)| *name == "message");
        place.map(|place| self.0.remove(place).1.text()).unwrap_or_default()
    }

    fn put(&mut self, field: &Field, value: Value) {
        self.0.push((field.name(), value));
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.put(field, Value::Text(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, Value::Text(value.to_owned()));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, Value::Plain(value.to_string()));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, Value::Plain(value.to_string()));
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.put(field, Value::Plain(value.to_string()));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, Value::Plain(value.to_string()));
    }
}
