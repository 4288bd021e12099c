//! Configuration: defaults, campanile.toml, the environment, flags. One file here for each section, whose types describe every key.

mod auth;
mod bind;
mod credential;
mod event_type;
mod fault;
mod judge;
pub mod keys;
mod layers;
mod limits;
mod load;
mod log;
pub mod reference;
mod route;
mod spelling;
mod sync;
mod telemetry;
mod tls;

#[cfg(test)]
mod tests;

pub use auth::{ApiKeyEntry, Auth, KeyEntry};
pub use credential::{CookieEntry, IntrospectionEntry, JwksEntry};
pub use event_type::EventTypeEntry;
pub use fault::{Fault, Faults};
pub use layers::{Flag, Place};
pub use limits::Limits;
pub use load::{Change, Given, Loaded, Setting};
pub use log::{Log, LogFormat, LogLevel, LogLevels, LogRotation};
pub use route::{Reject, RouteEntry};
pub use sync::{SyncSetting, SyncSourceEntry};
pub use telemetry::Telemetry;
pub use tls::Tls;

use crate::auth::{AllowedOrigins, ApiKeys, SecretRule, Verifier};
use crate::proxy::TrustedProxies;
use anyhow::Result;
use campanile_contract::EventType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// The whole of campanile.toml.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Address and port, for HTTP and all that begins with it.
    pub listen: SocketAddr,
    /// With what the server speaks TLS itself; without it, plain HTTP.
    pub tls: Option<Tls>,
    /// Addresses or networks of your own proxies (`10.0.0.0/8`): what they say of where a request came from is believed.
    #[schemars(example = ["10.0.0.0/8"])]
    pub trusted_proxies: Vec<String>,
    /// Whether to listen without TLS and without a proxy where others can reach it: everybody on the way reads the tokens.
    pub insecure_public_bind: bool,
    /// `sqlite://path/to.db` (a relative path begins in the working directory) or `postgres://user@host/database`.
    pub store: String,
    /// Whose pages may connect: origins (`https://lms.example`), hosts (`lms.example`), or `null` for pages of files.
    #[schemars(extend("x-reload" = true), example = ["https://lms.example"])]
    pub allowed_origins: Vec<String>,
    /// Who people are: how their tokens are judged.
    #[schemars(extend("x-reload" = true))]
    pub auth: Auth,
    /// Who services are: one entry for each API key.
    #[schemars(
        extend("x-reload" = true),
        example = serde_json::json!([{ "name": "platform", "key_sha256": "64 hex digits", "scopes": ["publish", "roster"] }])
    )]
    pub api_key: Vec<ApiKeyEntry>,
    /// The host's own event types.
    pub event_type: Vec<EventTypeEntry>,
    /// Tables whose rows become events, beside our own `sync_events`.
    #[schemars(example = serde_json::json!([{ "name": "platform", "store": "postgres://campanile@db.example/school", "table": "sync_event" }]))]
    pub sync_source: Vec<SyncSourceEntry>,
    /// How each WebSocket route refuses: `[route."/ws"]`.
    #[schemars(extend("x-reload" = true), example = serde_json::json!({ "/ws": { "reject": "http" } }))]
    pub route: BTreeMap<String, RouteEntry>,
    /// Limits that differ from the defaults.
    pub limits: Limits,
    /// Logging.
    pub log: Log,
    /// Traces and error reports.
    pub telemetry: Telemetry,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8000)),
            tls: None,
            trusted_proxies: Vec::new(),
            insecure_public_bind: false,
            store: "sqlite://campanile.db".into(),
            allowed_origins: Vec::new(),
            auth: Auth::default(),
            api_key: Vec::new(),
            event_type: Vec::new(),
            sync_source: Vec::new(),
            route: BTreeMap::new(),
            limits: Limits::default(),
            log: Log::default(),
            telemetry: Telemetry::default(),
        }
    }
}

impl Config {
    /// The verifier of people's tokens by configured keys; none where only other judges are configured.
    ///
    /// # Errors
    /// When there is no key, or one is weak, malformed or not readable.
    pub fn verifier(&self, rule: SecretRule) -> Result<Option<Verifier>> {
        self.auth.verifier(rule)
    }

    /// The known API keys.
    ///
    /// # Errors
    /// When one is too short, malformed or given twice.
    pub fn api_keys(&self, rule: SecretRule) -> Result<ApiKeys> {
        let entries = self.api_key.iter().map(|entry| entry.config(rule, self.limits.publishes_per_second));
        Ok(ApiKeys::new(&entries.collect::<Result<Vec<_>>>()?, rule)?)
    }

    /// The origins whose pages may connect.
    ///
    /// # Errors
    /// When an entry is neither an origin nor a host.
    pub fn origins(&self) -> Result<AllowedOrigins> {
        Ok(AllowedOrigins::new(&self.allowed_origins)?)
    }

    /// Whose word is taken for where a request came from.
    ///
    /// # Errors
    /// When an entry is no network.
    pub(crate) fn proxies(&self) -> Result<TrustedProxies> {
        Ok(TrustedProxies::new(&self.trusted_proxies)?)
    }

    /// The tables whose rows become events.
    ///
    /// # Errors
    /// When two have one name, a name is none, or a number is out of its range.
    pub fn sync_sources(&self) -> Result<Vec<SyncSetting>> {
        sync::sources(&self.sync_source, &self.store)
    }

    /// The host's event types.
    ///
    /// # Errors
    /// When a schema is none, or a type says two things about how long it is kept.
    pub fn event_types(&self) -> Result<Vec<EventType>> {
        self.event_type.iter().map(EventTypeEntry::event_type).collect()
    }
}
