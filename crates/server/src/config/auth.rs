//! `[auth]` and `[[api_key]]`: who people and services are.

use super::credential::{CookieEntry, IntrospectionEntry, JwksEntry};
use crate::auth::{
    Algorithm, ApiKeyConfig, ApiKeySecret, Key, KeyConfig, KeyMaterial, SecretRule, Source, TokenRules, Verifier,
};
use crate::introspection::Introspection;
use crate::issuer::{FETCH_TIME_MAX, IssuerConfig};
use anyhow::{Context, Result, bail};
use campanile_journal::Clock;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::path::Path;
use std::sync::Arc;

/// How tokens are judged.
#[derive(Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Auth {
    /// The secret of HS256 tokens, as Django's `SECRET_KEY` or SimpleJWT's `SIGNING_KEY`.
    #[serde(skip_serializing)]
    #[schemars(extend("x-secret" = true), example = &"at least 32 random bytes: openssl rand -base64 48")]
    pub hs256_secret: Option<String>,
    /// Further keys; each has exactly one of `secret`, `pem_file` and `jwk_file`.
    #[schemars(example = serde_json::json!([{ "algorithm": "ES256", "pem_file": "platform.pem" }]))]
    pub key: Vec<KeyEntry>,
    /// `iss` must be this.
    #[schemars(example = &"https://lms.example")]
    pub issuer: Option<String>,
    /// `aud` must be or hold this.
    #[schemars(example = &"campanile")]
    pub audience: Option<String>,
    /// How far the clocks of issuer and server may differ, in seconds.
    #[schemars(range(min = 0, max = 3_600), extend("default" = LEEWAY_S))]
    pub leeway_s: Option<u32>,
    /// The longest accepted life of a token, in seconds; any without it. Revocations are forgotten after so long, without it never.
    #[schemars(range(min = 1, max = 315_360_000), example = 86_400)]
    pub lifetime_s_max: Option<u32>,
    /// Issuers that publish their keys.
    #[schemars(example = serde_json::json!([{ "issuer": "https://sso.example", "jwks_url": "https://sso.example/jwks", "algorithms": ["RS256"] }]))]
    pub jwks: Vec<JwksEntry>,
    /// The cookie that may speak for a person, with a present and allowed Origin alone.
    pub cookie: Option<CookieEntry>,
    /// Whom to ask about opaque tokens and sessions.
    pub introspection: Option<IntrospectionEntry>,
    /// Where credentials are looked for; all places by default.
    #[schemars(extend("default" = Source::ALL))]
    pub sources: Option<Vec<Source>>,
    /// Whether the first message of a WebSocket may bring the token.
    #[schemars(extend("default" = true))]
    pub first_message: Option<bool>,
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Auth").field("issuer", &self.issuer).field("audience", &self.audience).finish_non_exhaustive()
    }
}

impl Auth {
    /// The verifier of tokens by configured keys; none where other judges are configured and no key is.
    pub(super) fn verifier(&self, rule: SecretRule) -> Result<Option<Verifier>> {
        let mut keys = Vec::new();
        if let Some(secret) = &self.hs256_secret {
            let config = KeyConfig { algorithm: Algorithm::Hs256, kid: None, material: KeyMaterial::Secret(secret.clone()) };
            keys.push(Key::new(&config, rule).context("auth.hs256_secret")?);
        }
        for entry in &self.key {
            let config = KeyConfig { algorithm: entry.algorithm, kid: entry.kid.clone(), material: entry.material()? };
            keys.push(Key::new(&config, rule).context("auth.key")?);
        }
        let has_other_judges = self.introspection.is_some() || !self.jwks.is_empty();
        if keys.is_empty() && has_other_judges {
            return Ok(None);
        }
        let rules = self.rules(self.issuer.clone(), self.audience.clone());
        Verifier::new(keys, rules)
            .map(Some)
            .context("auth: set hs256_secret, a [[auth.key]], an [[auth.jwks]] or [auth.introspection]")
    }

    fn rules(&self, issuer: Option<String>, audience: Option<String>) -> TokenRules {
        TokenRules {
            issuer,
            audience,
            leeway_s: self.leeway_s.unwrap_or(LEEWAY_S),
            lifetime_s_max: self.lifetime_s_max,
            ..TokenRules::default()
        }
    }

    /// The issuers that publish their keys.
    pub(crate) fn issuers(&self) -> Vec<IssuerConfig> {
        let config = |entry: &JwksEntry| IssuerConfig {
            issuer: entry.issuer.clone(),
            jwks_url: entry.jwks_url.clone(),
            algorithms: entry.algorithms.clone(),
            allow_private_addresses: entry.allow_private_addresses,
            fetch_time_max: FETCH_TIME_MAX,
            rules: self.rules(Some(entry.issuer.clone()), entry.audience.clone().or_else(|| self.audience.clone())),
        };
        self.jwks.iter().map(config).collect()
    }

    /// The host to ask about opaque tokens and sessions.
    pub(crate) fn introspection(&self, clock: &Arc<dyn Clock>) -> Result<Option<Arc<Introspection>>> {
        let port = |entry: &IntrospectionEntry| Introspection::new(entry.config(), Arc::clone(clock));
        self.introspection.as_ref().map(port).transpose()
    }

    /// From its revocation on, no token lives longer than this; none where lives are not limited.
    pub(crate) fn token_life_ms_max(&self) -> Option<i64> {
        let leeway_s = i64::from(self.leeway_s.unwrap_or(LEEWAY_S));
        self.lifetime_s_max.map(|life_s| (i64::from(life_s) + 2 * leeway_s) * 1_000)
    }
}

impl Auth {
    /// The first secret that tokens are signed with, and its `kid`; none where only public keys are configured.
    pub(crate) fn signing_secret(&self) -> Option<(&str, Option<&str>)> {
        let own = self.hs256_secret.as_deref().map(|secret| (secret, None));
        let entries = self.key.iter().filter(|entry| entry.algorithm.is_symmetric());
        own.or_else(|| entries.filter_map(|entry| Some((entry.secret.as_deref()?, entry.kid.as_deref()))).next())
    }
}

/// One key; exactly one of the three places.
#[derive(Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyEntry {
    /// The only algorithm that this key verifies.
    #[schemars(example = &"ES256")]
    algorithm: Algorithm,
    /// The key's name: a token that names a configured key is held against that key alone.
    #[schemars(example = &"2026-09")]
    kid: Option<String>,
    /// The secret of an HS256 key.
    #[serde(skip_serializing)]
    #[schemars(extend("x-secret" = true), example = &"at least 32 random bytes: openssl rand -base64 48")]
    secret: Option<String>,
    /// A file with a public key as PEM, beside the configuration file.
    #[schemars(extend("x-file" = true), example = &"platform.pem")]
    pem_file: Option<std::path::PathBuf>,
    /// A file with one public key as JWK, beside the configuration file.
    #[schemars(extend("x-file" = true), example = &"platform.jwk")]
    jwk_file: Option<std::path::PathBuf>,
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

/// One API key; the key itself or its SHA-256.
#[derive(Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApiKeyEntry {
    /// Its name in logs, limits and idempotency scopes.
    #[schemars(example = &"platform")]
    name: String,
    /// The key itself: `ck_` and at least 29 random signs. Better its hash.
    #[serde(skip_serializing)]
    #[schemars(extend("x-secret" = true), example = &"ck_ and at least 29 random signs: openssl rand -hex 24")]
    key: Option<String>,
    /// The SHA-256 of the whole key as 64 hex digits, instead of `key`: `printf %s "$KEY" | sha256sum`.
    #[schemars(example = &"64 hex digits")]
    key_sha256: Option<String>,
    /// What it may do: `publish`, `publish:<event type>`, `roster`, `grading`, `notifications`, `metrics`, `admin`.
    #[schemars(example = ["publish", "roster"])]
    scopes: Vec<String>,
    /// Requests a second; `limits.publishes_per_second` without it.
    #[schemars(range(min = 1, max = 1_000_000), example = 100)]
    rate_per_second: Option<u32>,
}

impl std::fmt::Debug for ApiKeyEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiKeyEntry").field("name", &self.name).field("scopes", &self.scopes).finish_non_exhaustive()
    }
}

impl ApiKeyEntry {
    /// The key as the verifier of API keys takes it.
    pub(super) fn config(&self, rule: SecretRule, rate_per_s: u32) -> Result<ApiKeyConfig> {
        let secret = match (&self.key, &self.key_sha256) {
            (Some(key), None) => {
                if rule == SecretRule::Strong && (key.len() < API_KEY_BYTES_MIN || !crate::auth::is_api_key(key)) {
                    bail!("api_key {}: a key begins with ck_ and has at least {API_KEY_BYTES_MIN} signs", self.name);
                }
                ApiKeySecret::Sha256Hex(hex(&Sha256::digest(key)))
            }
            (None, Some(hash)) => ApiKeySecret::Sha256Hex(hash.clone()),
            _ => bail!("api_key {}: give either key or key_sha256", self.name),
        };
        let rate_per_s = self.rate_per_second.unwrap_or(rate_per_s);
        Ok(ApiKeyConfig { name: self.name.clone(), secret, scopes: self.scopes.clone(), rate_per_s })
    }

    /// Whether it may publish events of some type.
    pub(crate) fn may_publish(&self) -> bool {
        self.scopes.iter().any(|scope| scope == "publish" || scope.starts_with("publish:"))
    }

    /// Whether it holds the key itself rather than its hash.
    pub(crate) fn holds_key(&self) -> bool {
        self.key.is_some()
    }

    /// An entry that holds the key itself.
    pub(crate) fn plain(name: &str, key: &str, scopes: Vec<String>) -> Self {
        Self { name: name.into(), key: Some(key.into()), key_sha256: None, scopes, rate_per_second: None }
    }
}

/// How far the issuer's clock may run before or behind ours.
const LEEWAY_S: u32 = 5;

/// The shortest API key outside of `--dev`, prefix included.
const API_KEY_BYTES_MIN: usize = 32;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
