//! What leaves the process for those who watch over it: traces to an OpenTelemetry collector, errors to Sentry. Both are off by default.

pub(crate) mod reports;
mod traces;

use crate::config;
use anyhow::{Result, bail};
use aws_lc_rs::hmac;
use axum::http::{HeaderMap, Method};
use campanile_journal::Journal;
use campanile_wire::Id;
use std::sync::Arc;
use traces::Traces;

pub(crate) use traces::RequestSpan;

/// Bytes of a key that is worth being called one.
const USER_KEY_BYTES_MIN: usize = 32;
/// Signs of a hashed id: enough to tell people apart, too few to matter.
const OPAQUE_SIGNS: usize = 16;

/// What a running server needs of it.
pub(crate) struct Telemetry {
    traces: Option<Arc<Traces>>,
    /// Set when errors are reported: a person's id never leaves as it is.
    user_key: Option<hmac::Key>,
}

impl Telemetry {
    /// Prepares what the configuration asks for.
    pub(crate) fn start(config: &config::Telemetry) -> Result<Self> {
        let traces = config.otlp_endpoint.as_deref().map(|endpoint| Traces::start(endpoint, config.trace_ratio));
        let user_key = config.sentry_dsn.as_ref().map(|_| user_key(config)).transpose()?;
        Ok(Self { traces: traces.transpose()?.map(Arc::new), user_key })
    }

    /// Has the journal's commits and the node's work traced.
    pub(crate) fn follow(&self, journal: &Journal) {
        if let Some(traces) = &self.traces {
            journal.trace_with(Arc::clone(traces) as _);
        }
    }

    /// The span of a request, when traces are on.
    pub(crate) fn begin_request(&self, method: &Method, route: &str, headers: &HeaderMap) -> Option<RequestSpan> {
        self.traces.as_ref().map(|traces| traces.begin_request(method, route, headers))
    }

    /// Notes in the request's span who asks, under a name that only this installation can resolve.
    pub(crate) fn note_person(&self, id: &Id) {
        if let Some(key) = &self.user_key {
            tracing::Span::current().record("user", opaque(key, id.as_str()));
        }
    }

    /// Sends what has been collected. Blocks: to be called outside of the runtime's own threads.
    pub(crate) fn shut_down(&self) {
        if let Some(traces) = &self.traces {
            traces.shut_down();
        }
    }
}

fn user_key(config: &config::Telemetry) -> Result<hmac::Key> {
    match &config.user_key {
        Some(key) if key.len() < USER_KEY_BYTES_MIN => bail!("telemetry.user_key has at least {USER_KEY_BYTES_MIN} bytes"),
        Some(key) => Ok(hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes())),
        None => Ok(hmac::Key::new(hmac::HMAC_SHA256, &rand::random::<[u8; USER_KEY_BYTES_MIN]>())),
    }
}

fn opaque(key: &hmac::Key, id: &str) -> String {
    let hash = hmac::sign(key, id.as_bytes());
    hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>()[..OPAQUE_SIGNS].to_owned()
}

#[cfg(test)]
mod tests {
    use super::{Telemetry, opaque, user_key};
    use crate::config;

    fn config(user_key: Option<&str>) -> config::Telemetry {
        config::Telemetry { user_key: user_key.map(str::to_owned), ..config::Telemetry::default() }
    }

    #[test]
    fn an_id_is_hashed_with_the_installations_key_and_a_weak_key_is_refused() {
        let one = user_key(&config(Some("0123456789abcdef0123456789abcdef"))).unwrap();
        let other = user_key(&config(Some("fedcba9876543210fedcba9876543210"))).unwrap();
        assert_eq!(opaque(&one, "7"), opaque(&one, "7"));
        assert_ne!(opaque(&one, "7"), opaque(&one, "8"));
        assert_ne!(opaque(&one, "7"), opaque(&other, "7"));
        assert!(user_key(&config(Some("short"))).is_err());
    }

    #[test]
    fn nothing_is_prepared_unless_an_address_is_given() {
        let telemetry = Telemetry::start(&config(None)).unwrap();
        assert!(telemetry.traces.is_none() && telemetry.user_key.is_none());
    }
}
