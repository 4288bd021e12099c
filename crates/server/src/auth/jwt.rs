//! JSON Web Tokens: held against the configured keys and rules, never against what the token says about itself.
//!
//! Invariant: the algorithm comes from the key; no claim is looked at before the signature is verified.

use super::claims::{check_approved, read_cadet, read_instant_ms, read_role, read_user};
use super::keys::{Key, KeyError, refuse_repeated_kid};
use super::token_id;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use campanile_wire::caller::PersonCaller;
use campanile_wire::{ErrorCode, Id};
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde_json::{Map, Value};
use std::sync::Arc;

const KEYS_MAX: usize = 32;
/// Headers by which a token would bring or fetch its own key; they are refused so that no later code can trust them.
const KEY_CARRYING_HEADERS: [&str; 4] = ["jwk", "jku", "x5u", "x5c"];

/// What a token has to satisfy beside its signature.
#[derive(Clone, Debug)]
pub struct TokenRules {
    /// `iss` must be exactly this.
    pub issuer: Option<String>,
    /// `aud` must be, or contain, exactly this. Without it, a token that carries `aud` is for somebody else (RFC 7519 4.1.3).
    pub audience: Option<String>,
    /// How far the clocks of issuer and server may differ, in seconds.
    pub leeway_s: u32,
    /// The longest accepted time from `iat` (or from now, where there is none) to `exp`, in seconds.
    pub lifetime_s_max: Option<u32>,
    /// The longest accepted token, in bytes.
    pub token_bytes_max: usize,
}

impl Default for TokenRules {
    fn default() -> Self {
        Self { issuer: None, audience: None, leeway_s: 60, lifetime_s_max: Some(24 * 3600), token_bytes_max: 8 * 1024 }
    }
}

/// Whom a valid token speaks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// From `user_id`, or else from `sub`; the JSON type is preserved.
    pub user: Id,
    /// From `role`; the roster's role wins over it.
    pub role: Option<String>,
    /// From `cadet_id`.
    pub cadet: Option<Id>,
    /// The token's `exp` in milliseconds since 1970, without leeway.
    pub expires_at_ms: i64,
    /// The token's `iat` in milliseconds since 1970.
    pub issued_at_ms: Option<i64>,
    /// By what the token can be revoked.
    pub token_id: Arc<str>,
}

impl From<Claims> for PersonCaller {
    fn from(claims: Claims) -> Self {
        Self {
            id: claims.user,
            role: claims.role,
            cadet: claims.cadet,
            expires_at_ms: claims.expires_at_ms,
            token_id: Some(claims.token_id),
            issued_at_ms: claims.issued_at_ms,
        }
    }
}

/// A token is refused. `Display` shows the public code alone; the reason is for the log and never quotes the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Signature, algorithm, issuer, audience, shape or lifetime is wrong.
    #[error("{}", ErrorCode::InvalidToken)]
    Invalid(&'static str),
    /// Everything else is right, but `exp` is past.
    #[error("{}", ErrorCode::ExpiredToken)]
    Expired,
    /// The token says `is_approved: false`.
    #[error("{}", ErrorCode::NotApproved)]
    NotApproved,
}

impl TokenError {
    /// The documented code.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Invalid(_) => ErrorCode::InvalidToken,
            Self::Expired => ErrorCode::ExpiredToken,
            Self::NotApproved => ErrorCode::NotApproved,
        }
    }

    /// Why, for the log alone.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Invalid(reason) => reason,
            Self::Expired => "exp is past",
            Self::NotApproved => "is_approved is false",
        }
    }
}

/// Verifies tokens against a fixed set of keys and rules.
#[derive(Clone)]
pub struct Verifier {
    keys: Vec<Key>,
    rules: TokenRules,
}

impl Verifier {
    /// A verifier for these keys.
    ///
    /// # Errors
    /// A sentence, when there is no key, when there are more than 32, or when two share a `kid`.
    pub fn new(keys: Vec<Key>, rules: TokenRules) -> Result<Self, KeyError> {
        if keys.is_empty() || keys.len() > KEYS_MAX {
            return Err(KeyError(format!("{} token keys are configured; 1 to {KEYS_MAX} are accepted", keys.len())));
        }
        refuse_repeated_kid(&keys)?;
        Ok(Self { keys, rules })
    }

    /// The configured leeway in milliseconds: a connection may live that much longer than [`Claims::expires_at_ms`].
    pub fn leeway_ms(&self) -> i64 {
        i64::from(self.rules.leeway_s) * 1000
    }

    /// Whom the token speaks for at `now_ms` (milliseconds since 1970).
    ///
    /// # Errors
    /// [`TokenError::NotApproved`] when it says so, [`TokenError::Expired`] when only its time is over, [`TokenError::Invalid`] for
    /// everything else.
    pub fn verify(&self, token: &str, now_ms: i64) -> Result<Claims, TokenError> {
        let payload = self.signed_payload(token)?;
        let claims = strict_object(&payload).map_err(TokenError::Invalid)?;
        self.check_recipient(&claims)?;
        let (issued_at_ms, expires_at_ms) = self.check_instants(&claims, now_ms)?;
        let (user, role, cadet) = (read_user(&claims)?, read_role(&claims)?, read_cadet(&claims)?);
        check_approved(&claims)?;
        // Last, so that `expired_token` always means that a fresh token of the same kind would do.
        if now_ms >= expires_at_ms.saturating_add(self.leeway_ms()) {
            return Err(TokenError::Expired);
        }
        let token_id = token_id::of_jwt(claims.get("jti"), token);
        Ok(Claims { user, role, cadet, expires_at_ms, issued_at_ms, token_id })
    }

    /// The payload's bytes, once a configured key has verified the signature over it.
    pub(super) fn signed_payload(&self, token: &str) -> Result<Vec<u8>, TokenError> {
        if token.len() > self.rules.token_bytes_max {
            return Err(TokenError::Invalid("longer than the token size limit"));
        }
        let (header, payload, signature) = split(token).ok_or(TokenError::Invalid("not three segments"))?;
        let decode = |segment: &str| {
            URL_SAFE_NO_PAD.decode(segment).map_err(|_| TokenError::Invalid("a segment is not base64url without padding"))
        };
        let (alg, kid) = read_header(&strict_object(&decode(header)?).map_err(TokenError::Invalid)?)?;
        let (payload_bytes, _) = (decode(payload)?, decode(signature)?);
        let message = &token.as_bytes()[..header.len() + 1 + payload.len()];
        let mut refusal = TokenError::Invalid("no configured key has the token's algorithm");
        for key in self.candidates(kid.as_deref()).filter(|key| key.algorithm.is_named(&alg)) {
            if key.verifies(signature, message) {
                return Ok(payload_bytes);
            }
            refusal = TokenError::Invalid("the signature does not verify");
        }
        Err(refusal)
    }

    /// The key of that name alone; where none has it, the keys that were configured without a name.
    fn candidates(&self, kid: Option<&str>) -> impl Iterator<Item = &Key> {
        let is_known = kid.is_some() && self.keys.iter().any(|key| key.kid.as_deref() == kid);
        self.keys.iter().filter(move |key| match kid {
            None => true,
            Some(_) if is_known => key.kid.as_deref() == kid,
            Some(_) => key.kid.is_none(),
        })
    }

    fn check_recipient(&self, claims: &Map<String, Value>) -> Result<(), TokenError> {
        if let Some(issuer) = &self.rules.issuer
            && claims.get("iss").and_then(Value::as_str) != Some(issuer)
        {
            return Err(TokenError::Invalid("iss is not the configured issuer"));
        }
        match (&self.rules.audience, claims.get("aud")) {
            (None, None) => Ok(()),
            (None, Some(_)) => Err(TokenError::Invalid("the token carries aud, but no audience is configured")),
            (Some(audience), Some(Value::String(text))) if text == audience => Ok(()),
            (Some(audience), Some(Value::Array(list))) if list.iter().any(|one| one == audience.as_str()) => Ok(()),
            (Some(_), _) => Err(TokenError::Invalid("aud is not the configured audience")),
        }
    }

    /// Checks every instant but the expiry itself, and returns `iat` and `exp` in milliseconds.
    fn check_instants(&self, claims: &Map<String, Value>, now_ms: i64) -> Result<(Option<i64>, i64), TokenError> {
        let latest_ms = now_ms.saturating_add(self.leeway_ms());
        let expires_at_ms = read_instant_ms(claims, "exp")?.ok_or(TokenError::Invalid("exp is missing"))?;
        if read_instant_ms(claims, "nbf")?.is_some_and(|not_before_ms| not_before_ms > latest_ms) {
            return Err(TokenError::Invalid("nbf is in the future"));
        }
        let issued_at_ms = read_instant_ms(claims, "iat")?;
        if issued_at_ms.is_some_and(|issued_at_ms| issued_at_ms > latest_ms) {
            return Err(TokenError::Invalid("iat is in the future"));
        }
        if let Some(lifetime_s_max) = self.rules.lifetime_s_max {
            let lifetime_ms = expires_at_ms.saturating_sub(issued_at_ms.unwrap_or(now_ms));
            if lifetime_ms > i64::from(lifetime_s_max) * 1000 {
                return Err(TokenError::Invalid("the lifetime is over the configured maximum"));
            }
        }
        Ok((issued_at_ms, expires_at_ms))
    }
}

/// Header, payload and signature, when there are exactly three segments.
fn split(token: &str) -> Option<(&str, &str, &str)> {
    let mut segments = token.splitn(4, '.');
    let three = (segments.next()?, segments.next()?, segments.next()?);
    segments.next().is_none().then_some(three)
}

/// `alg` and `kid`; `alg` is only compared with the key's own, `none` fits no key.
fn read_header(header: &Map<String, Value>) -> Result<(String, Option<String>), TokenError> {
    if header.contains_key("crit") {
        return Err(TokenError::Invalid("crit names extensions, and none is understood"));
    }
    if KEY_CARRYING_HEADERS.iter().any(|name| header.contains_key(*name)) {
        return Err(TokenError::Invalid("the header brings its own key"));
    }
    // RFC 8725 section 3.11: a logout token or a DPoP proof by the same issuer is not an access token.
    let typ_fits = header.get("typ").is_none_or(|typ| {
        typ.as_str().is_some_and(|typ| {
            ["jwt", "at+jwt", "application/jwt", "application/at+jwt"].iter().any(|known| typ.eq_ignore_ascii_case(known))
        })
    });
    if !typ_fits {
        return Err(TokenError::Invalid("typ is neither JWT nor at+jwt"));
    }
    let Some(Value::String(alg)) = header.get("alg") else {
        return Err(TokenError::Invalid("alg is not a text"));
    };
    match header.get("kid") {
        None => Ok((alg.clone(), None)),
        Some(Value::String(kid)) => Ok((alg.clone(), Some(kid.clone()))),
        Some(_) => Err(TokenError::Invalid("kid is not a text")),
    }
}

/// A JSON object in which no member stands twice: two readers must never see two different values (RFC 7515 section 4).
pub(super) fn strict_object(bytes: &[u8]) -> Result<Map<String, Value>, &'static str> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let object = reader.deserialize_map(StrictObject).map_err(|_| "not a JSON object without repeated members")?;
    reader.end().map_err(|_| "something follows the JSON object")?;
    Ok(object)
}

struct StrictObject;

impl<'de> Visitor<'de> for StrictObject {
    type Value = Map<String, Value>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut object = Map::new();
        while let Some((name, value)) = members.next_entry::<String, Value>()? {
            if object.insert(name, value).is_some() {
                return Err(A::Error::custom("a member stands twice"));
            }
        }
        Ok(object)
    }
}
