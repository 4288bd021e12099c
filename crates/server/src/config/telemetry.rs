//! `[telemetry]`: where traces and errors are sent. Nothing leaves the process unless an address stands here.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Traces and error reports.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Telemetry {
    /// An OpenTelemetry collector that speaks OTLP over HTTP, such as `http://127.0.0.1:4318`; none means no traces.
    #[schemars(example = &"http://127.0.0.1:4318")]
    pub otlp_endpoint: Option<String>,
    /// The share of requests without a sampled `traceparent` of their own that are traced, from 0 to 1.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub trace_ratio: f64,
    /// The project's address at Sentry; none means no reports.
    #[schemars(extend("x-secret" = true), example = &"https://key@sentry.example/42")]
    pub sentry_dsn: Option<String>,
    /// The environment that reports name.
    pub sentry_environment: String,
    /// The release that reports name; this build's version when it is not given.
    pub sentry_release: Option<String>,
    /// The share of errors that are reported, from 0 to 1.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub sentry_sample_rate: f32,
    /// What people's ids are hashed with before they are reported, at least 32 bytes; without it they are told apart only until the
    /// next start.
    #[schemars(extend("x-secret" = true), example = &"at least 32 random bytes: openssl rand -base64 48")]
    pub user_key: Option<String>,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self {
            otlp_endpoint: None,
            trace_ratio: 1.0,
            sentry_dsn: None,
            sentry_environment: "production".into(),
            sentry_release: None,
            sentry_sample_rate: 1.0,
            user_key: None,
        }
    }
}
