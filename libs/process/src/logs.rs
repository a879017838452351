//! The log of a program, on stderr: for a person at a terminal, one coloured line each; for everything else one flat JSON
//! object a line, which a shipper can send on as it is.
//!
//! Messages, subjects and secrets never belong here, and a panic's own words may quote any of them (`"..."` of a slice out
//! of bounds), so that a panic is logged by its place alone.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::panic::PanicHookInfo;
use std::sync::Mutex;

use chrono::{SecondsFormat, Utc};
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::{LookupSpan, Registry};
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;

use crate::{console, sanitize};

/// The members every line has. A field of an event may not pretend to be one of them.
const ENVELOPE: [&str; 5] = ["timestamp", "level", "program", "target", "message"];

/// The log could not be started.
#[derive(Debug, thiserror::Error)]
pub enum LogsError {
    /// WARDPOST_LOG is not understood.
    #[error("{0}")]
    Filter(String),
    /// [`start`] was called twice.
    #[error("the log of this process was started before")]
    Started,
}

/// The log of this process, once it stands.
pub struct Log {
    filter: reload::Handle<Targets, Registry>,
}

/// Starts the log of this process. `program` is its name; `filter` says what is logged, see [`check_filter`].
pub fn start(program: &'static str, filter: &str) -> Result<Log, LogsError> {
    let (layer, filter) = reload::Layer::new(parse_filter(filter).map_err(LogsError::Filter)?);
    let terminal = io::stderr().is_terminal();
    let (human, machine) = if terminal {
        (Some(tracing_subscriber::fmt::layer().fmt_fields(HumanFields).with_writer(io::stderr)), None)
    } else {
        (None, Some(JsonLines::new(program, io::stderr())))
    };
    tracing_subscriber::registry().with(layer).with(human).with(machine).try_init().map_err(|_| LogsError::Started)?;
    Ok(Log { filter })
}

impl Log {
    /// From now on logs what another filter says. An error where it is no filter: then the one before stays in force.
    pub fn follow(&self, filter: &str) -> Result<(), LogsError> {
        let filter = parse_filter(filter).map_err(LogsError::Filter)?;
        // The log lives as long as the process, and so does what the handle leads to.
        let _ = self.filter.reload(filter);
        Ok(())
    }
}

/// From now on a panic leaves one line, with its place and nothing that it might quote: in the log, or on stderr where
/// there is no log yet or the log is off.
pub fn panics_quote_nothing(program: &'static str) {
    std::panic::set_hook(Box::new(move |panic| log_panic(program, panic)));
}

/// Checks a text such as `info` or `info,wardpost_web=debug`: a level for all, and levels for modules and what is inside
/// them. Gives it back, so that it serves to read WARDPOST_LOG.
pub fn check_filter(text: &str) -> Result<String, String> {
    parse_filter(text).map(|_| text.to_owned())
}

fn parse_filter(text: &str) -> Result<Targets, String> {
    let mut targets = Targets::new();
    for part in text.split(',').map(str::trim) {
        let (target, level) = part.split_once('=').map_or((None, part), |(target, level)| (Some(target), level));
        // Without this check, `inof` would be taken for a module of that name, and nothing else be logged.
        let level = parse_level(level).ok_or_else(|| {
            format!("`{part}` is neither a level (error, warn, info, debug, trace, off) nor module=level")
        })?;
        targets = match target.map(str::trim) {
            Some(target) if !is_module(target) => {
                return Err(format!("`{part}` does not name a module, such as wardpost_web, before the ="));
            }
            Some(target) => targets.with_target(target, level),
            None => targets.with_default(level),
        };
    }
    Ok(targets)
}

fn is_module(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ':'))
}

fn parse_level(text: &str) -> Option<LevelFilter> {
    // Numbers are levels to tracing, and a riddle to everybody else.
    text.chars().all(|c| c.is_ascii_alphabetic()).then(|| text.parse().ok()).flatten().filter(|_| !text.is_empty())
}

/// Logs where a panic happened. Its words are kept only when they stand in the program text as they are.
fn log_panic(program: &'static str, panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    let words = panic.payload().downcast_ref::<&'static str>().copied().unwrap_or("(not shown)");
    let thread = std::thread::current();
    let thread = thread.name().unwrap_or("unnamed");
    if tracing::enabled!(Level::ERROR) {
        tracing::error!(place, words, thread, "panic");
    } else {
        console::print_err(&sanitize::one_line(&format!("{program}: panic at {place}, in thread {thread}: {words}")));
    }
}

/// Writes each event as one JSON object with the fields of the event and of the spans around it, the inner ones winning.
struct JsonLines<W> {
    program: &'static str,
    writer: Mutex<W>,
}

/// The fields of a span, kept beside it.
struct SpanFields(Map<String, Value>);

impl<W: Write> JsonLines<W> {
    fn new(program: &'static str, writer: W) -> Self {
        JsonLines { program, writer: Mutex::new(writer) }
    }
}

impl<S, W> Layer<S> for JsonLines<W>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    W: Write + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = Map::new();
        attributes.record(&mut Collect(&mut fields));
        span.extensions_mut().insert(SpanFields(fields));
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(SpanFields(fields)) = span.extensions_mut().get_mut() {
            values.record(&mut Collect(fields));
        }
    }

    #[expect(clippy::disallowed_methods, reason = "the time of a line")]
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Map::new();
        for span in context.event_scope(event).into_iter().flat_map(|scope| scope.from_root()) {
            if let Some(SpanFields(outer)) = span.extensions().get() {
                fields.extend(outer.iter().map(|(name, value)| (name.clone(), value.clone())));
            }
        }
        let mut own = Map::new();
        event.record(&mut Collect(&mut own));
        let message = own.remove("message").unwrap_or_else(|| "".into());
        fields.extend(own);

        let metadata = event.metadata();
        let timestamp = Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true);
        let mut line = String::with_capacity(256);
        line.push('{');
        push_member(&mut line, "timestamp", &timestamp.into());
        push_member(&mut line, "level", &metadata.level().as_str().into());
        push_member(&mut line, "program", &self.program.into());
        push_member(&mut line, "target", &metadata.target().into());
        push_member(&mut line, "message", &message);
        for (name, value) in &fields {
            if ENVELOPE.contains(&name.as_str()) {
                push_member(&mut line, &format!("field_{name}"), value);
            } else {
                push_member(&mut line, name, value);
            }
        }
        line.push('}');
        // JSON itself leaves some characters as they are that command a terminal or turn a line round.
        let line = format!("{}\n", sanitize::one_line(&line));
        // Nothing can be done about a log that cannot be written, least of all by logging it. A thread that panicked in
        // here left at worst half a line behind, which is no reason to stop logging.
        let mut writer = self.writer.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let _ = writer.write_all(line.as_bytes()).and_then(|()| writer.flush());
    }
}

/// Fields for a person to read, `name=value` after the message. A value is written as JSON, so that none can pretend to be
/// two, or to end the line.
struct HumanFields;

impl<'writer> FormatFields<'writer> for HumanFields {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut values = Map::new();
        fields.record(&mut Collect(&mut values));
        let mut gap = "";
        if let Some(message) = values.remove("message") {
            let text = message.as_str().map_or_else(|| message.to_string(), str::to_owned);
            writer.write_str(&sanitize::one_line(&text))?;
            gap = " ";
        }
        for (name, value) in &values {
            write!(writer, "{gap}{name}={}", sanitize::one_line(&value.to_string()))?;
            gap = " ";
        }
        Ok(())
    }
}

/// Adds a member by hand, so that every line begins with the same five in the same order: a person reads these, too.
fn push_member(line: &mut String, name: &str, value: &Value) {
    if !line.ends_with('{') {
        line.push(',');
    }
    line.push_str(&Value::from(name).to_string());
    line.push(':');
    line.push_str(&value.to_string());
}

/// Collects fields as JSON values of their own kind.
struct Collect<'a>(&'a mut Map<String, Value>);

impl Collect<'_> {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Collect<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    fn record_error(&mut self, field: &Field, error: &(dyn std::error::Error + 'static)) {
        // The whole chain: a Display that does not repeat its source says little alone.
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(error) = source {
            text.push_str(": ");
            text.push_str(&error.to_string());
            source = error.source();
        }
        self.put(field, text);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests;
