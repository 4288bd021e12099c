//! Configuration: campanile.toml, with a few flags above it. Unknown keys are refused.

use crate::auth::{
    Algorithm, AllowedOrigins, ApiKeyConfig, ApiKeySecret, ApiKeys, Key, KeyConfig, KeyMaterial, SecretRule, Source,
    TokenRules, Verifier,
};
use anyhow::{Context, Result, bail};
use campanile_contract::{Class, DataCheck, EventType, Retention, Subject};
use campanile_journal::JournalLimits;
use campanile_live::LiveLimits;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

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
            route: BTreeMap::new(),
            limits: Limits::default(),
            log: Log::default(),
        }
    }
}

/// How tokens are judged.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Auth {
    /// The secret of HS256 tokens, as Django's `SECRET_KEY` or SimpleJWT's `SIGNING_KEY`.
    pub hs256_secret: Option<String>,
    /// Further keys.
    pub key: Vec<KeyEntry>,
    /// `iss` must be this.
    pub issuer: Option<String>,
    /// `aud` must be or hold this.
    pub audience: Option<String>,
    /// How far clocks may differ, in seconds.
    pub leeway_s: Option<u32>,
    /// The longest accepted life of a token, in seconds.
    pub lifetime_s_max: Option<u32>,
    /// Where credentials are looked for; all places by default.
    pub sources: Option<Vec<Source>>,
    /// Whether the first message may bring the token.
    pub first_message: Option<bool>,
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Auth").field("issuer", &self.issuer).field("audience", &self.audience).finish_non_exhaustive()
    }
}

/// One key; exactly one of the three places.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyEntry {
    algorithm: Algorithm,
    kid: Option<String>,
    secret: Option<String>,
    pem_file: Option<std::path::PathBuf>,
    jwk_file: Option<std::path::PathBuf>,
}

/// One API key; the key itself or its SHA-256.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKeyEntry {
    name: String,
    key: Option<String>,
    key_sha256: Option<String>,
    scopes: Vec<String>,
    /// Requests a second; `limits.publishes_per_second` by default.
    rate_per_second: Option<u32>,
}

impl std::fmt::Debug for ApiKeyEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiKeyEntry").field("name", &self.name).field("scopes", &self.scopes).finish_non_exhaustive()
    }
}

/// A host's own event type.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventTypeEntry {
    name: String,
    channel_kind: String,
    class: Class,
    #[serde(default = "nobody")]
    subject: Subject,
    /// Days that its events are kept; for good without it.
    keep_days: Option<u32>,
    /// The newest so many of each channel are kept.
    keep_newest: Option<u64>,
    /// A JSON schema for its data.
    schema: Option<serde_json::Value>,
}

fn nobody() -> Subject {
    Subject::Nobody
}

/// One WebSocket route.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteEntry {
    /// How it refuses.
    pub reject: Reject,
}

/// How a route refuses a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reject {
    /// The handshake succeeds and the socket closes with a code: the only way a browser can see why.
    #[default]
    Close,
    /// The handshake is answered with a status.
    Http,
}

/// Limits that an operator may set; docs/limits.md lists all.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs, reason = "the names are those of LiveLimits, where each is described")]
pub struct Limits {
    pub connects_per_second: u32,
    pub connections_per_user: usize,
    pub connections_per_address: usize,
    pub messages_per_second: u32,
    pub publishes_per_second: u32,
    pub rest_per_hour_anonymous: u32,
    pub rest_per_hour_signed_in: u32,
    pub body_bytes: usize,
    pub mailbox_bytes: usize,
    pub tail_bytes: usize,
    pub heartbeat_ms: u64,
    pub sse_heartbeat_ms: u64,
    pub pong_ms: u64,
    pub stalled_ms: u64,
    pub auth_ms: u64,
    pub drain_ms: u64,
    pub reconnect_spread_ms: u64,
    pub command_ms: u64,
    pub lock_wait_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        let (live, journal) = (LiveLimits::default(), JournalLimits::default());
        Self {
            connects_per_second: live.connects_per_second_max,
            connections_per_user: live.connections_per_user_max,
            connections_per_address: live.connections_per_address_max,
            messages_per_second: live.messages_per_second_max,
            publishes_per_second: 10_000,
            rest_per_hour_anonymous: 100,
            rest_per_hour_signed_in: 1_000,
            body_bytes: 4 * 1024 * 1024,
            mailbox_bytes: live.mailbox_bytes_max,
            tail_bytes: live.tail_bytes_max,
            heartbeat_ms: live.heartbeat_ms,
            sse_heartbeat_ms: live.sse_heartbeat_ms,
            pong_ms: live.pong_ms_max,
            stalled_ms: live.stalled_ms_max,
            auth_ms: live.auth_ms_max,
            drain_ms: live.drain_ms_max,
            reconnect_spread_ms: live.reconnect_spread_ms,
            command_ms: journal.command_ms_max,
            lock_wait_ms: journal.lock_wait_ms_max,
        }
    }
}

impl Limits {
    /// Delivery's limits.
    pub fn live(&self) -> LiveLimits {
        LiveLimits {
            connects_per_second_max: self.connects_per_second,
            connections_per_user_max: self.connections_per_user,
            connections_per_address_max: self.connections_per_address,
            messages_per_second_max: self.messages_per_second,
            messages_burst: self.messages_per_second.saturating_mul(2),
            mailbox_bytes_max: self.mailbox_bytes,
            tail_bytes_max: self.tail_bytes,
            heartbeat_ms: self.heartbeat_ms,
            sse_heartbeat_ms: self.sse_heartbeat_ms,
            pong_ms_max: self.pong_ms,
            stalled_ms_max: self.stalled_ms,
            auth_ms_max: self.auth_ms,
            drain_ms_max: self.drain_ms,
            reconnect_spread_ms: self.reconnect_spread_ms,
            ..LiveLimits::default()
        }
    }

    /// The store's limits.
    pub fn journal(&self) -> JournalLimits {
        JournalLimits { command_ms_max: self.command_ms, lock_wait_ms_max: self.lock_wait_ms, ..JournalLimits::default() }
    }
}

/// Logging.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// `error`, `warn`, `info`, `debug`, or per component: `info,campanile_live=debug`.
    pub level: String,
    /// JSON lines, or text for people.
    pub json: bool,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: "info".into(), json: false }
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
        let mut keys = Vec::new();
        if let Some(secret) = &self.auth.hs256_secret {
            let config = KeyConfig { algorithm: Algorithm::Hs256, kid: None, material: KeyMaterial::Secret(secret.clone()) };
            keys.push(Key::new(&config, rule).context("auth.hs256_secret")?);
        }
        for entry in &self.auth.key {
            let config = KeyConfig { algorithm: entry.algorithm, kid: entry.kid.clone(), material: entry.material()? };
            keys.push(Key::new(&config, rule).context("auth.key")?);
        }
        let defaults = TokenRules::default();
        let rules = TokenRules {
            issuer: self.auth.issuer.clone(),
            audience: self.auth.audience.clone(),
            leeway_s: self.auth.leeway_s.unwrap_or(LEEWAY_S),
            lifetime_s_max: self.auth.lifetime_s_max,
            ..defaults
        };
        Verifier::new(keys, rules).context("auth: set hs256_secret, or a [[auth.key]]")
    }

    /// The known API keys.
    ///
    /// # Errors
    /// When one is too short, malformed or given twice.
    pub fn api_keys(&self, rule: SecretRule) -> Result<ApiKeys> {
        let entry = |entry: &ApiKeyEntry| {
            let secret = match (&entry.key, &entry.key_sha256) {
                (Some(key), None) => {
                    if rule == SecretRule::Strong && (key.len() < API_KEY_BYTES_MIN || !crate::auth::is_api_key(key)) {
                        bail!("api_key {}: a key begins with ck_ and has at least {API_KEY_BYTES_MIN} signs", entry.name);
                    }
                    ApiKeySecret::Sha256Hex(hex(&Sha256::digest(key)))
                }
                (None, Some(hash)) => ApiKeySecret::Sha256Hex(hash.clone()),
                _ => bail!("api_key {}: give either key or key_sha256", entry.name),
            };
            let rate_per_s = entry.rate_per_second.unwrap_or(self.limits.publishes_per_second);
            Ok(ApiKeyConfig { name: entry.name.clone(), secret, scopes: entry.scopes.clone(), rate_per_s })
        };
        let configs = self.api_key.iter().map(entry).collect::<Result<Vec<_>>>()?;
        Ok(ApiKeys::new(&configs, rule)?)
    }

    /// The origins whose pages may connect.
    ///
    /// # Errors
    /// When an entry is neither an origin nor a host.
    pub fn origins(&self) -> Result<AllowedOrigins> {
        Ok(AllowedOrigins::new(&self.allowed_origins)?)
    }

    /// The host's event types.
    ///
    /// # Errors
    /// When a schema is none, or a type says two things about how long it is kept.
    pub fn event_types(&self) -> Result<Vec<EventType>> {
        self.event_type.iter().map(EventTypeEntry::event_type).collect()
    }
}

/// How far the issuer's clock may run before or behind ours.
const LEEWAY_S: u32 = 5;
/// The shortest API key outside of `--dev`, prefix included.
const API_KEY_BYTES_MIN: usize = 32;
/// A day in milliseconds.
const DAY_MS: i64 = 86_400_000;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl ApiKeyEntry {
    /// An entry that holds the key itself.
    pub(crate) fn plain(name: &str, key: &str, scopes: Vec<String>) -> Self {
        Self { name: name.into(), key: Some(key.into()), key_sha256: None, scopes, rate_per_second: None }
    }
}

impl KeyEntry {
    fn material(&self) -> Result<KeyMaterial> {
        let read = |path: &Path| std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()));
        match (&self.secret, &self.pem_file, &self.jwk_file) {
            (Some(secret), None, None) => Ok(KeyMaterial::Secret(secret.clone())),
            (None, Some(path), None) => Ok(KeyMaterial::Pem(read(path)?)),
            (None, None, Some(path)) => Ok(KeyMaterial::Jwk(read(path)?)),
            _ => bail!("auth.key: give exactly one of secret, pem_file and jwk_file"),
        }
    }
}

impl EventTypeEntry {
    fn event_type(&self) -> Result<EventType> {
        let retention = match (self.keep_days, self.keep_newest) {
            (None, None) => Retention::Forever,
            (Some(days), None) => Retention::AgeMs(i64::from(days) * DAY_MS),
            (None, Some(count)) => Retention::Newest(count),
            _ => bail!("event_type {}: give keep_days or keep_newest, not both", self.name),
        };
        let data = match &self.schema {
            None => DataCheck::Any,
            Some(schema) => {
                let validator = jsonschema::validator_for(schema);
                let validator = validator.map_err(|error| anyhow::anyhow!("event_type {}: {error}", self.name))?;
                DataCheck::Schema(Arc::new(validator), schema.clone())
            }
        };
        Ok(EventType {
            name: self.name.clone().into(),
            channel_kind: self.channel_kind.clone().into(),
            class: self.class,
            subject: self.subject,
            retention,
            data,
        })
    }
}
