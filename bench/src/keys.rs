//! The secrets of a server under test, and tokens made with them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rand::Rng;
use serde::Serialize;

/// Longer than any run.
const TOKEN_LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// What the config holds and the clients use.
#[derive(Clone)]
pub struct Keys {
    pub hs256_secret: String,
    pub api_key: String,
}

#[derive(Serialize)]
struct Claims<'a> {
    user_id: &'a str,
    role: &'a str,
    exp: u64,
    iat: u64,
}

// === impl Keys ===

impl Keys {
    /// Fresh secrets for a server that the bench starts itself. They come from the system, not from the run's seed.
    pub fn fresh() -> Self {
        let mut random = rand::rng();
        let mut text =
            |length| (&mut random).sample_iter(rand::distr::Alphanumeric).take(length).map(char::from).collect::<String>();
        Self { hs256_secret: text(48), api_key: format!("ck_{}", text(40)) }
    }

    /// A student's token.
    pub fn token(&self, person: &str) -> Result<String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let claims = Claims { user_id: person, role: "student", exp: (now + TOKEN_LIFETIME).as_secs(), iat: now.as_secs() };
        Ok(encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(self.hs256_secret.as_bytes()))?)
    }
}
