//! Errors to Sentry: what happened, where, in which request and with which stack. Never a name, token, body, address or error text.
//!
//! Invariant: a report is put together from a list of harmless fields. What is not on the list stays in the log of this machine.

use crate::config;
use crate::log::SpanFields;
use anyhow::{Context as _, Result};
use sentry::protocol::{Event, Exception, Level, User, Values};
use sentry::types::Dsn;
use sentry::{ClientInitGuard, ClientOptions};
use std::fmt::Debug;
use std::time::Duration;
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

/// Fields that hold nothing of a stranger's: our own words, codes and numbers.
const HARMLESS: [&str; 12] = [
    "request_id",
    "route",
    "code",
    "status",
    "method",
    "took_ms",
    "requests",
    "attempt",
    "job",
    "kind",
    "connection",
    "location",
];
/// Reports that wait to be sent; further ones are dropped.
const REPORTS_WAITING_MAX: usize = 64;
/// How long a stopping server waits for its last reports to leave.
const LAST_REPORTS: Duration = Duration::from_secs(2);

/// Connects to Sentry when an address is given. What waits is sent when the guard is dropped.
pub(crate) fn start(config: &config::Telemetry) -> Result<Option<ClientInitGuard>> {
    let Some(dsn) = &config.sentry_dsn else { return Ok(None) };
    // The address holds a key: the parser's own words might show it.
    dsn.parse::<Dsn>().ok().context("telemetry.sentry_dsn is not the address of a Sentry project")?;
    let release = config.sentry_release.clone().unwrap_or_else(|| format!("campanile@{}", env!("CARGO_PKG_VERSION")));
    let options = ClientOptions::new()
        .dsn(dsn)
        .environment(config.sentry_environment.clone())
        .release(release)
        .sample_rate(config.sentry_sample_rate.clamp(0.0, 1.0))
        .send_default_pii(false)
        .max_breadcrumbs(0)
        // Each of them adds something of the machine or the request; what a report holds is decided here alone.
        .default_integrations(false)
        .transport_channel_capacity(REPORTS_WAITING_MAX)
        .shutdown_timeout(LAST_REPORTS)
        .before_send(|event| Some(scrubbed(event)));
    Ok(Some(sentry::init(options)))
}

/// The last look at a report, whoever made it.
fn scrubbed(event: Event<'static>) -> Event<'static> {
    let user = event.user.and_then(|user| user.id).map(|id| User { id: Some(id), ..User::default() });
    Event { user, request: None, server_name: None, breadcrumbs: Values::default(), extra: Default::default(), ..event }
}

/// Turns our own error events into reports.
pub(crate) struct Reports;

impl<S: tracing::Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Reports {
    fn on_event(&self, event: &tracing::Event<'_>, context: Context<'_, S>) {
        // Other crates put other people's text into their messages.
        if !event.metadata().target().starts_with("campanile") {
            return;
        }
        let mut found = Found::default();
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(SpanFields(fields)) = span.extensions().get::<SpanFields>() {
                fields.iter().for_each(|(name, value)| found.take(name, value.text()));
            }
        }
        event.record(&mut found);
        sentry::Hub::main().capture_event(found.into_report(event.metadata().target()));
    }
}

/// The harmless part of an error event and of the spans around it.
#[derive(Default)]
struct Found {
    message: String,
    user: Option<String>,
    tags: Vec<(&'static str, String)>,
}

impl Found {
    fn take(&mut self, name: &'static str, value: String) {
        match name {
            "message" => self.message = value,
            "user" => self.user = Some(value),
            name if HARMLESS.contains(&name) => self.tags.push((name, value)),
            _ => {}
        }
    }

    fn into_report(self, target: &str) -> Event<'static> {
        let exception = Exception {
            ty: self.message.clone(),
            value: None,
            stacktrace: sentry::integrations::backtrace::current_stacktrace(),
            ..Exception::default()
        };
        Event {
            level: Level::Error,
            logger: Some(target.to_owned()),
            transaction: self.tags.iter().find(|(name, _)| *name == "route").map(|(_, route)| route.clone()),
            exception: vec![exception].into(),
            tags: self.tags.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            user: self.user.map(|id| User { id: Some(id), ..User::default() }),
            ..Event::default()
        }
    }
}

impl Visit for Found {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.take(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.take(field.name(), value.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::{Found, scrubbed};
    use sentry::protocol::{Request, User};

    #[test]
    fn a_report_holds_codes_and_the_route_but_no_error_text() {
        let mut found = Found::default();
        for (name, value) in [
            ("message", "request failed"),
            ("route", "/api/events"),
            ("user", "0123"),
            ("code", "internal_error"),
            ("error", "no row for Ada Lovelace"),
            ("path", "/api/events?token=secret"),
            ("peer", "10.1.2.3:4"),
            ("panic", "Ada"),
        ] {
            found.take(name, value.into());
        }
        let report = found.into_report("campanile::http");
        let text = serde_json::to_string(&report).unwrap();
        assert!(text.contains("/api/events") && text.contains("internal_error") && text.contains("0123"), "{text}");
        assert!(report.exception[0].stacktrace.is_some());
        for secret in ["Ada", "secret", "10.1.2.3"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }

    #[test]
    fn the_last_look_leaves_only_the_opaque_id_of_a_person() {
        let user = User { id: Some("0123".into()), email: Some("ada@school.example".into()), ..User::default() };
        let request = Request { query_string: Some("token=secret".into()), ..Request::default() };
        let event = sentry::protocol::Event { user: Some(user), request: Some(request), ..Default::default() };
        let text = serde_json::to_string(&scrubbed(event)).unwrap();
        assert!(text.contains("0123") && !text.contains("ada@") && !text.contains("secret"), "{text}");
    }
}
