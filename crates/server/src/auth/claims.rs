//! The claims that tell who a person is: the same in a token and in a host's answer about one.

use super::jwt::TokenError;
use campanile_wire::Id;
use serde_json::{Map, Value};

/// The last instant that a claim may name: the end of the year 9999, in seconds.
const INSTANT_S_MAX: f64 = 253_402_300_799.0;
const ROLE_BYTES_MAX: usize = 128;

/// A NumericDate (RFC 7519 section 2), which may be fractional. A value of another type must never count as absent.
pub(super) fn read_instant_ms(claims: &Map<String, Value>, name: &str) -> Result<Option<i64>, TokenError> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    let seconds = match value {
        Value::Number(number) => number.as_f64(),
        _ => None,
    };
    match seconds {
        Some(seconds) if (0.0..=INSTANT_S_MAX).contains(&seconds) => Ok(Some((seconds * 1000.0) as i64)),
        _ => Err(TokenError::Invalid("exp, nbf or iat is not a number in range")),
    }
}

/// The person, from `user_id` or else from `sub`.
pub(super) fn read_user(claims: &Map<String, Value>) -> Result<Id, TokenError> {
    // SimpleJWT signs refresh tokens with the same key; one of those must not open a connection.
    if claims.get("token_type").is_some_and(|token_type| token_type != "access") {
        return Err(TokenError::Invalid("token_type is not access"));
    }
    let user = match (claims.get("user_id"), claims.get("sub")) {
        (Some(user_id), _) => Id::from_json(user_id),
        // RFC 7519 section 4.1.2: sub is a text.
        (None, Some(sub @ Value::String(_))) => Id::from_json(sub),
        (None, _) => None,
    };
    user.ok_or(TokenError::Invalid("neither user_id nor sub is an id"))
}

/// A person of whom the issuer says nothing is approved. A value of another type must never count as absent.
pub(super) fn check_approved(claims: &Map<String, Value>) -> Result<(), TokenError> {
    match claims.get("is_approved") {
        None | Some(Value::Null | Value::Bool(true)) => Ok(()),
        Some(Value::Bool(false)) => Err(TokenError::NotApproved),
        Some(_) => Err(TokenError::Invalid("is_approved is neither true nor false")),
    }
}

/// The role; an empty one is none.
pub(super) fn read_role(claims: &Map<String, Value>) -> Result<Option<String>, TokenError> {
    match claims.get("role") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(role)) if role.is_empty() => Ok(None),
        Some(Value::String(role)) if role.len() <= ROLE_BYTES_MAX && !role.chars().any(char::is_control) => {
            Ok(Some(role.clone()))
        }
        Some(_) => Err(TokenError::Invalid("role is not a text of at most 128 bytes")),
    }
}

/// The cadet whose data the person may see.
pub(super) fn read_cadet(claims: &Map<String, Value>) -> Result<Option<Id>, TokenError> {
    match claims.get("cadet_id") {
        None | Some(Value::Null) => Ok(None),
        Some(value) => Id::from_json(value).map(Some).ok_or(TokenError::Invalid("cadet_id is not an id")),
    }
}
