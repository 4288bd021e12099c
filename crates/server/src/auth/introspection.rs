//! What a host answers when it is asked who holds an opaque token or a session (RFC 7662, with the claims of our JWTs).

use super::claims::{check_approved, read_cadet, read_instant_ms, read_role};
use super::jwt::TokenError;
use super::token_id;
use campanile_wire::caller::PersonCaller;
use campanile_wire::{ErrorCode, Id};
use serde_json::{Map, Value};

/// What the host is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Question {
    /// A token, as the form field `token`.
    Token,
    /// A session cookie's value, as the form field `session`.
    Session,
}

impl Question {
    /// The form field.
    pub const fn field(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Session => "session",
        }
    }
}

/// The host's word on a credential: who holds it, or why nobody does.
pub type Vouched = Result<PersonCaller, ErrorCode>;

/// Reads the host's answer to a question of `now_ms`. Without `exp` it counts for `life_ms`, and never longer; without `iat` the credential
/// counts as issued when the host vouched for it, so that a sign-out makes it be asked again.
///
/// # Errors
/// A word for the log when the body is no answer: then the host has not said anything about the credential.
pub fn read_answer(body: &[u8], credential: &str, now_ms: i64, life_ms: i64) -> Result<Vouched, &'static str> {
    let mut answer = super::jwt::strict_object(body)?;
    // Hosts that have no value for a field say null.
    answer.retain(|_, value| !value.is_null());
    match answer.get("active") {
        Some(Value::Bool(true)) => {}
        Some(Value::Bool(false)) => return Ok(Err(ErrorCode::InvalidToken)),
        _ => return Err("active is neither true nor false"),
    }
    match read_person(&answer, credential, now_ms, life_ms) {
        Ok(person) => Ok(Ok(person)),
        Err(TokenError::Invalid(reason)) => Err(reason),
        Err(refused) => Ok(Err(refused.code())),
    }
}

fn read_person(answer: &Map<String, Value>, credential: &str, now_ms: i64, life_ms: i64) -> Result<PersonCaller, TokenError> {
    let named = ["user_id", "sub", "username"].iter().find_map(|name| answer.get(*name));
    let id = named.and_then(Id::from_json).ok_or(TokenError::Invalid("neither user_id, sub nor username is an id"))?;
    check_approved(answer)?;
    let latest_ms = now_ms.saturating_add(life_ms);
    let expires_at_ms = read_instant_ms(answer, "exp")?.map_or(latest_ms, |given_ms| given_ms.min(latest_ms));
    if expires_at_ms <= now_ms {
        return Err(TokenError::Expired);
    }
    Ok(PersonCaller {
        id,
        role: read_role(answer)?,
        cadet: read_cadet(answer)?,
        expires_at_ms,
        token_id: Some(token_id::of_opaque(credential)),
        issued_at_ms: Some(read_instant_ms(answer, "iat")?.unwrap_or(now_ms)),
    })
}
