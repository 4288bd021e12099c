//! Key sets that an issuer publishes (RFC 7517): which keys count, and when the set is fetched anew.
//!
//! Invariant: how often an issuer is asked is decided here alone, by time, never by how many tokens come.

use super::jwt::{Claims, TokenError, TokenRules, Verifier};
use super::keys::{Algorithm, Key, KeyError, keys_from_jwk_set};
use super::secret::SecretRule;
use std::sync::Arc;

/// An unknown `kid` makes the set be fetched again at most so often.
pub const UNKNOWN_KID_MS: i64 = 30_000;
/// After a fetch that failed, the next one waits so long.
pub const RETRY_MS: i64 = 5_000;
/// A set of this age is renewed in the background, while it still judges.
pub const RENEW_MS: i64 = 5 * 60_000;
/// A set of this age judges nothing more before it was renewed, unless the issuer cannot be reached.
pub const OLD_MS: i64 = 10 * 60_000;
/// While the issuer cannot be reached its last set judges for so long.
pub const STALE_MS_MAX: i64 = 24 * 3_600_000;

/// The keys of one issuer, ready to judge.
pub struct KeySet {
    verifier: Verifier,
    kids: Vec<String>,
}

impl KeySet {
    /// Reads a published set. Keys of other algorithms are left out, as are secrets: what is published is none.
    ///
    /// # Errors
    /// A sentence, when the set is malformed, ambiguous, too large, or holds no key of an allowed algorithm.
    pub fn read(text: &str, algorithms: &[Algorithm], rules: &TokenRules) -> Result<Self, KeyError> {
        let allowed = |key: &Key| algorithms.contains(&key.algorithm) && !key.algorithm.is_symmetric();
        let keys: Vec<Key> = keys_from_jwk_set(text, SecretRule::Strong)?.into_iter().filter(allowed).collect();
        let kids = keys.iter().filter_map(|key| key.kid.clone()).collect();
        Ok(Self { verifier: Verifier::new(keys, rules.clone())?, kids })
    }

    /// As [`Verifier::verify`].
    ///
    /// # Errors
    /// As [`Verifier::verify`].
    pub fn verify(&self, token: &str, now_ms: i64) -> Result<Claims, TokenError> {
        self.verifier.verify(token, now_ms)
    }

    fn knows(&self, kid: &str) -> bool {
        self.kids.iter().any(|known| known == kid)
    }
}

/// What to do with a token of an issuer.
pub enum Step {
    /// Hold it against this set.
    Judge(Arc<KeySet>),
    /// The same, and renew the set in the background.
    JudgeAndRenew(Arc<KeySet>),
    /// Fetch the set first, then ask again.
    Fetch,
    /// Nobody can say now.
    Unavailable,
}

/// The newest set of one issuer, and when it was asked for.
#[derive(Default)]
pub struct KeyCache {
    set: Option<Arc<KeySet>>,
    fetched_at_ms: i64,
    tried_at_ms: Option<i64>,
    failed: bool,
}

impl KeyCache {
    /// What to do with a token that names this key.
    pub fn step(&self, kid: Option<&str>, now_ms: i64) -> Step {
        let pause_ms = if self.failed { RETRY_MS } else { UNKNOWN_KID_MS };
        let may_fetch = self.tried_at_ms.is_none_or(|tried_at_ms| now_ms.saturating_sub(tried_at_ms) >= pause_ms);
        let age_ms = now_ms.saturating_sub(self.fetched_at_ms);
        let Some(set) = self.set.as_ref().filter(|_| age_ms < STALE_MS_MAX) else {
            return if may_fetch { Step::Fetch } else { Step::Unavailable };
        };
        match kid.is_none_or(|kid| set.knows(kid)) {
            true if may_fetch && age_ms >= OLD_MS && !self.failed => Step::Fetch,
            true if may_fetch && age_ms >= RENEW_MS => Step::JudgeAndRenew(Arc::clone(set)),
            true => Step::Judge(Arc::clone(set)),
            false if may_fetch => Step::Fetch,
            // It may be a new key: only an issuer that has just answered can say that it is none.
            false if self.failed => Step::Unavailable,
            false => Step::Judge(Arc::clone(set)),
        }
    }

    /// Takes in a set that came.
    pub fn fetched(&mut self, set: KeySet, now_ms: i64) {
        *self = Self { set: Some(Arc::new(set)), fetched_at_ms: now_ms, tried_at_ms: Some(now_ms), failed: false };
    }

    /// Takes in that none came.
    pub fn failed(&mut self, now_ms: i64) {
        self.tried_at_ms = Some(now_ms);
        self.failed = true;
    }
}
