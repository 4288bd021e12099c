//! `[[auth.issuer]]`, `[auth.introspection]`, `[auth.cookie]`: who judges credentials that no configured key can.

use crate::auth::Algorithm;
use crate::introspection::IntrospectionConfig;
use serde::Deserialize;
use serde::de::value::SeqAccessDeserializer;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};
use std::collections::BTreeMap;
use std::time::Duration;

/// `auth.issuer`, which is a text or a list of tables.
#[derive(Clone, Debug)]
pub enum IssuerSetting {
    /// The `iss` of tokens by the configured keys.
    Name(String),
    /// Issuers that publish their keys.
    Tables(Vec<IssuerEntry>),
}

impl<'de> Deserialize<'de> for IssuerSetting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextOrTables)
    }
}

/// By hand, because an untagged enum would say of a wrong field only that nothing fits.
struct TextOrTables;

impl<'de> Visitor<'de> for TextOrTables {
    type Value = IssuerSetting;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a text, or tables [[auth.issuer]]")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<IssuerSetting, E> {
        Ok(IssuerSetting::Name(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, tables: A) -> Result<IssuerSetting, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(tables)).map(IssuerSetting::Tables)
    }
}

/// One issuer that publishes its keys. Its tokens are held against these keys and no other.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuerEntry {
    /// `iss` of its tokens, exactly.
    pub issuer: String,
    /// Where its key set is, over https. Redirects are not followed.
    pub jwks_url: String,
    /// The algorithms that count, of `RS256`, `ES256` and `EdDSA`.
    pub algorithms: Vec<Algorithm>,
    /// `aud` of its tokens must be or hold this; `auth.audience` by default.
    pub audience: Option<String>,
    /// Whether the key set may lie in the private network, and there be fetched over http.
    #[serde(default)]
    pub allow_private_addresses: bool,
}

/// The cookie that may speak for a person. A JWT in it is held against the keys; anything else is asked about as a session.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CookieEntry {
    /// Its name, as `sessionid`.
    pub name: String,
}

/// Whom to ask about opaque tokens and sessions. The request is `POST` with the form field `token` or `session` (RFC 7662); the answer
/// is `{"active": …, "user_id": …}` with the claims of our tokens.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IntrospectionEntry {
    /// The address: https, or http within a private network.
    pub url: String,
    /// Sent as `Authorization: Bearer …`, so that nobody else can ask.
    pub secret: Option<String>,
    /// Further headers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// How long an answer may take, in milliseconds.
    #[serde(default = "timeout_ms")]
    pub timeout_ms: u64,
    /// How long a good answer counts, in seconds.
    #[serde(default = "cache_s")]
    pub cache_s: u32,
    /// How long a refusal counts, in seconds.
    #[serde(default = "negative_cache_s")]
    pub negative_cache_s: u32,
    /// How long a connection lasts before its credential must be shown again, in seconds; sooner where the answer has `exp`.
    #[serde(default = "life_s")]
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
