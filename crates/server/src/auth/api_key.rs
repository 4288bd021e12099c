//! API keys: how a host platform or a tool signs in, known to the server by their hash alone.

use super::secret::SecretRule;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use campanile_wire::caller::ServiceCaller;
use sha2::{Digest, Sha256};

/// What every key begins with; tells it from a JWT in the same header.
pub const API_KEY_PREFIX: &str = "ck_";
/// The longest text that is hashed on behalf of a stranger, in bytes.
const API_KEY_BYTES_MAX: usize = 256;
/// A prefix and 128 random bits in the shortest usual spelling.
const API_KEY_BYTES_MIN: usize = API_KEY_PREFIX.len() + 22;
const RATE_PER_S_MAX: u32 = 1_000_000;

/// How the configuration names a key. Has no `Debug`: it may hold the key.
#[derive(Clone)]
pub enum ApiKeySecret {
    /// The SHA-256 of the whole key, prefix included, as 64 hex digits.
    Sha256Hex(String),
    /// The key itself; only under `--dev`.
    Plain(String),
}

/// One configured API key.
#[derive(Clone)]
pub struct ApiKeyConfig {
    /// Stands in logs, limits and idempotency scopes.
    pub name: String,
    /// The key, or its hash.
    pub secret: ApiKeySecret,
    /// `publish`, `publish:<event type>`, `roster`, `grading`, `notifications`, `metrics`, `admin`.
    pub scopes: Vec<String>,
    /// How many requests a second it may make.
    pub rate_per_s: u32,
}

/// A known API key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// Its configured name.
    pub name: String,
    /// Its scopes, as configured.
    pub scopes: Vec<String>,
    /// How many requests a second it may make.
    pub rate_per_s: u32,
}

impl ApiKey {
    /// Whether the key may do this: `publish:x` is allowed by `publish:x` and by `publish`, never the other way round.
    pub fn allows(&self, wanted: &str) -> bool {
        let family = wanted.split_once(':').map_or(wanted, |(family, _)| family);
        self.scopes.iter().any(|scope| scope == wanted || scope == family)
    }
}

impl From<&ApiKey> for ServiceCaller {
    fn from(key: &ApiKey) -> Self {
        Self { name: key.name.clone(), scopes: key.scopes.clone() }
    }
}

/// The configuration of an API key is refused; names the key, never holds it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("API key `{name}`: {why}")]
pub struct ApiKeyError {
    name: String,
    why: &'static str,
}

/// All configured API keys.
#[derive(Clone, Default)]
pub struct ApiKeys {
    keys: Vec<([u8; 32], ApiKey)>,
}

impl ApiKeys {
    /// Checks the configured keys.
    ///
    /// # Errors
    /// A sentence, when a name or hash repeats, a scope is unknown, a hash is malformed, or a plain key stands outside `--dev`.
    pub fn new(configs: &[ApiKeyConfig], rule: SecretRule) -> Result<Self, ApiKeyError> {
        let mut keys: Vec<([u8; 32], ApiKey)> = Vec::with_capacity(configs.len());
        for config in configs {
            let refused = |why| ApiKeyError { name: config.name.clone(), why };
            let hash = read_secret(&config.secret, rule).map_err(refused)?;
            if config.name.is_empty() || keys.iter().any(|(_, key)| key.name == config.name) {
                return Err(refused("the name is empty or given twice"));
            }
            if keys.iter().any(|(other, _)| *other == hash) {
                return Err(refused("another name has the same key, so that logs could not tell them apart"));
            }
            if config.scopes.is_empty() || !config.scopes.iter().all(|scope| is_scope(scope)) {
                return Err(refused(
                    "scopes are one or more of `publish`, `publish:<event type>`, `roster`, `grading`, `notifications`, `metrics`, `admin`",
                ));
            }
            if !(1..=RATE_PER_S_MAX).contains(&config.rate_per_s) {
                return Err(refused("the rate is 1 to 1,000,000 requests a second"));
            }
            let key = ApiKey { name: config.name.clone(), scopes: config.scopes.clone(), rate_per_s: config.rate_per_s };
            keys.push((hash, key));
        }
        Ok(Self { keys })
    }

    /// The key that was presented, if it is known.
    pub fn find(&self, presented: &str) -> Option<&ApiKey> {
        if !is_api_key(presented) || presented.len() > API_KEY_BYTES_MAX {
            return None;
        }
        let hash: [u8; 32] = Sha256::digest(presented.as_bytes()).into();
        // Every key is compared, and each in constant time: the duration tells neither how near a guess was nor which key it hit.
        self.keys.iter().fold(None, |found, (known, key)| match verify_slices_are_equal(known, &hash) {
            Ok(()) => Some(key),
            Err(_) => found,
        })
    }
}

impl ApiKeys {
    /// How many requests a second the key of this name may make.
    pub fn rate_of(&self, name: &str) -> Option<u32> {
        self.keys.iter().find(|(_, key)| key.name == name).map(|(_, key)| key.rate_per_s)
    }
}

/// Whether a credential has the form of an API key rather than of a JWT.
pub fn is_api_key(credential: &str) -> bool {
    credential.starts_with(API_KEY_PREFIX)
}

fn is_scope(scope: &str) -> bool {
    match scope.split_once(':') {
        None => ["publish", "roster", "grading", "notifications", "metrics", "admin"].contains(&scope),
        Some((family, event_type)) => family == "publish" && !event_type.is_empty() && !event_type.contains([':', ' ', '*']),
    }
}

fn read_secret(secret: &ApiKeySecret, rule: SecretRule) -> Result<[u8; 32], &'static str> {
    match secret {
        ApiKeySecret::Sha256Hex(hex) => read_hash(hex).ok_or("the hash is not 64 hex digits (printf %s \"$KEY\" | sha256sum)"),
        ApiKeySecret::Plain(_) if rule == SecretRule::Strong => {
            Err("the key itself stands in the configuration; outside --dev give its hash (printf %s \"$KEY\" | sha256sum)")
        }
        ApiKeySecret::Plain(key) if !is_api_key(key) => Err("the key does not begin with `ck_`"),
        ApiKeySecret::Plain(key) if !(API_KEY_BYTES_MIN..=API_KEY_BYTES_MAX).contains(&key.len()) => {
            Err("the key is not 25 to 256 bytes long")
        }
        ApiKeySecret::Plain(key) => Ok(Sha256::digest(key.as_bytes()).into()),
    }
}

fn read_hash(hex: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> =
        hex.chars().map(|digit| digit.to_digit(16).and_then(|value| u8::try_from(value).ok())).collect::<Option<_>>()?;
    let bytes: Vec<u8> = digits.chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| byte * 16 + digit)).collect();
    if digits.len() == 64 { bytes.try_into().ok() } else { None }
}
