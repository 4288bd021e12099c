//! `[[auth.jwks]]`, `[auth.introspection]`, `[auth.cookie]`: who judges credentials that no configured key can.

use crate::auth::Algorithm;
use crate::introspection::IntrospectionConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// One issuer that publishes its keys. Its tokens are held against these keys and no other.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JwksEntry {
    /// `iss` of its tokens, exactly.
    #[schemars(example = &"https://sso.example")]
    pub issuer: String,
    /// Where its key set is, over https. Redirects are not followed.
    #[schemars(example = &"https://sso.example/.well-known/jwks.json")]
    pub jwks_url: String,
    /// The algorithms that count, of `RS256`, `ES256` and `EdDSA`.
    #[schemars(example = ["RS256"])]
    pub algorithms: Vec<Algorithm>,
    /// `aud` of its tokens must be or hold this; `auth.audience` by default.
    #[schemars(example = &"campanile")]
    pub audience: Option<String>,
    /// Whether the key set may lie in the private network, and there be fetched over http.
    #[serde(default)]
    pub allow_private_addresses: bool,
}

/// The cookie that may speak for a person. A JWT in it is held against the keys; anything else is asked about as a session.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CookieEntry {
    /// Its name, as `sessionid`.
    #[schemars(example = &"sessionid")]
    pub name: String,
}

/// Whom to ask about opaque tokens and sessions. The request is `POST` with the form field `token` or `session` (RFC 7662); the answer
/// is `{"active": …, "user_id": …}` with the claims of our tokens.
#[derive(Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IntrospectionEntry {
    /// The address: https, or http within a private network.
    #[schemars(example = &"https://lms.example/api/introspect")]
    pub url: String,
    /// Sent as `Authorization: Bearer …`, so that nobody else can ask.
    #[serde(skip_serializing)]
    #[schemars(extend("x-secret" = true), example = &"what only the host and this server know")]
    pub secret: Option<String>,
    /// Further headers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// How long an answer may take, in milliseconds.
    #[serde(default = "timeout_ms")]
    #[schemars(range(min = 1, max = 60_000))]
    pub timeout_ms: u64,
    /// How long a good answer counts, in seconds.
    #[serde(default = "cache_s")]
    #[schemars(range(min = 0, max = 86_400))]
    pub cache_s: u32,
    /// How long a refusal counts, in seconds.
    #[serde(default = "negative_cache_s")]
    #[schemars(range(min = 0, max = 3_600))]
    pub negative_cache_s: u32,
    /// How long a connection lasts before its credential must be shown again, in seconds; sooner where the answer has `exp`.
    #[serde(default = "life_s")]
    #[schemars(range(min = 10, max = 86_400))]
    pub life_s: u32,
}

impl std::fmt::Debug for IntrospectionEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IntrospectionEntry").field("timeout_ms", &self.timeout_ms).finish_non_exhaustive()
    }
}

impl IntrospectionEntry {
    pub(super) fn config(&self) -> IntrospectionConfig {
        IntrospectionConfig {
            url: self.url.clone(),
            secret: self.secret.clone(),
            headers: self.headers.clone(),
            timeout: Duration::from_millis(self.timeout_ms),
            cache_ms: i64::from(self.cache_s) * 1_000,
            negative_cache_ms: i64::from(self.negative_cache_s) * 1_000,
            life_ms: i64::from(self.life_s) * 1_000,
        }
    }
}

fn timeout_ms() -> u64 {
    2_000
}

fn cache_s() -> u32 {
    60
}

fn negative_cache_s() -> u32 {
    5
}

fn life_s() -> u32 {
    3_600
}
