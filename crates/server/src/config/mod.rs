//! Configuration: campanile.toml, with a few flags above it. One file here for each section; unknown keys are refused.

mod auth;
mod event_type;
mod limits;
mod log;
mod route;
mod sync;

pub use auth::{ApiKeyEntry, Auth, KeyEntry};
pub use event_type::EventTypeEntry;
pub use limits::Limits;
pub use log::Log;
pub use route::{Reject, RouteEntry};
pub use sync::{SyncSetting, SyncSourceEntry};

use crate::auth::{AllowedOrigins, ApiKeys, SecretRule, Verifier};
use anyhow::{Context, Result};
use campanile_contract::EventType;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

/// The whole of campanile.toml.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Address and port.
    pub listen: SocketAddr,
    /// `sqlite://path/to.db` or `postgres://user@host/database`.
    pub store: String,
    /// Whose pages may connect: origins (`https://lms.example`) or hosts (`lms.example`).
    pub allowed_origins: Vec<String>,
    /// Who people are.
    pub auth: Auth,
    /// Who services are.
    pub api_key: Vec<ApiKeyEntry>,
    /// The host's own event types.
    pub event_type: Vec<EventTypeEntry>,
    /// Tables whose rows become events, beside our own `sync_events`.
    pub sync_source: Vec<SyncSourceEntry>,
    /// How each WebSocket route refuses: `{"/ws": {"reject": "http"}}`.
    pub route: BTreeMap<String, RouteEntry>,
    /// Limits that differ from the defaults.
    pub limits: Limits,
    /// Logging.
    pub log: Log,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8000)),
            store: "sqlite://campanile.db".into(),
            allowed_origins: Vec::new(),
            auth: Auth::default(),
            api_key: Vec::new(),
            event_type: Vec::new(),
            sync_source: Vec::new(),
            route: BTreeMap::new(),
            limits: Limits::default(),
            log: Log::default(),
        }
    }
}

impl Config {
    /// Reads a file; its folder is where the files that it names lie.
    ///
    /// # Errors
    /// When it cannot be read, or holds an unknown key or a wrong value; the message points at the place.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        let mut config: Self = toml::from_str(&text).with_context(|| format!("in {}", path.display()))?;
        let folder = path.parent().unwrap_or(Path::new("."));
        for file in config.auth.key.iter_mut().flat_map(|key| key.pem_file.iter_mut().chain(key.jwk_file.iter_mut())) {
            *file = folder.join(&*file);
        }
        Ok(config)
    }

    /// The verifier of people's tokens.
    ///
    /// # Errors
    /// When there is no key, or one is weak, malformed or not readable.
    pub fn verifier(&self, rule: SecretRule) -> Result<Verifier> {
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
