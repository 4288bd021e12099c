//! What a credential is called when it is revoked: its own `jti`, or a hash, so that the credential itself is never stored or shown.

use serde_json::Value;
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// What the id of an opaque token begins with. Such a token may have no end, so its revocation has none either.
pub const OPAQUE_PREFIX: &str = "opaque:";
/// The longest `jti` that is taken as it stands, in bytes.
const JTI_BYTES_MAX: usize = 255;
/// Hex digits of a hash: 128 bits, which nobody meets by chance.
const HASH_DIGITS: usize = 32;

/// The id of a JWT: its `jti` (RFC 7519 section 4.1.7), or `jwt:` and a hash where it has none that can be shown.
pub fn of_jwt(jti: Option<&Value>, token: &str) -> Arc<str> {
    let is_plain = |jti: &&str| (1..=JTI_BYTES_MAX).contains(&jti.len()) && !jti.chars().any(char::is_control);
    match jti.and_then(Value::as_str).filter(is_plain) {
        Some(jti) => jti.into(),
        None => format!("jwt:{}", short_hash(token)).into(),
    }
}

/// The id of a token or cookie that somebody else judges.
pub fn of_opaque(token: &str) -> Arc<str> {
    format!("{OPAQUE_PREFIX}{}", short_hash(token)).into()
}

fn short_hash(token: &str) -> String {
    let mut hex: String = Sha256::digest(token).iter().map(|byte| format!("{byte:02x}")).collect();
    hex.truncate(HASH_DIGITS);
    hex
}
