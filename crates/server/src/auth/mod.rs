//! Who is calling: finds the credentials in a request, judges them, and makes of them at most one caller.
//!
//! Everything here is pure: key files are read elsewhere, and the time is passed in. Of two sources that name different users
//! neither is believed.

pub mod address;
pub mod api_key;
mod claims;
pub mod cookie;
pub mod introspection;
pub mod jwks;
pub mod jwt;
pub mod keys;
pub mod origin;
pub mod peek;
pub mod secret;
pub mod token_id;

#[cfg(test)]
mod tests;

pub use address::is_public;
pub use api_key::{ApiKey, ApiKeyConfig, ApiKeyError, ApiKeySecret, ApiKeys, is_api_key};
pub use cookie::cookie_value;
pub use introspection::{Question, Vouched};
pub use jwt::{Claims, TokenError, TokenRules, Verifier};
pub use keys::{Algorithm, Key, KeyConfig, KeyError, KeyMaterial, keys_from_jwk_set};
pub use origin::{AllowedOrigins, Carried, OriginError};
pub use peek::{Peeked, peek};
pub use secret::{SecretRule, WeakSecret};

use campanile_wire::{Caller, ErrorCode};

/// Where a request can carry a credential, in the order in which they are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// `Authorization: Bearer <jwt, opaque token or API key>`, or `Authorization: Token <opaque token>`.
    Bearer,
    /// `Sec-WebSocket-Protocol: bearer, <jwt>`.
    Subprotocol,
    /// `?ticket=`.
    Ticket,
    /// `?token=`.
    Query,
    /// The configured cookie, with a present and allowed Origin alone.
    Cookie,
}

impl Source {
    /// Every source, in order.
    pub const ALL: [Self; 5] = [Self::Bearer, Self::Subprotocol, Self::Ticket, Self::Query, Self::Cookie];

    /// As counters and logs spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bearer => "bearer",
            Self::Subprotocol => "subprotocol",
            Self::Ticket => "ticket",
            Self::Query => "query",
            Self::Cookie => "cookie",
        }
    }
}

/// The parts of a request that can hold a credential; the query's values are already percent-decoded.
#[derive(Clone, Copy, Default)]
pub struct Carriers<'a> {
    /// The `Authorization` header.
    pub authorization: Option<&'a str>,
    /// The `Sec-WebSocket-Protocol` header.
    pub subprotocols: Option<&'a str>,
    /// The query's `ticket`.
    pub ticket: Option<&'a str>,
    /// The query's `token`.
    pub token: Option<&'a str>,
    /// The configured cookie's value. Given only where the request's Origin is present and allowed: a browser adds cookies to what any
    /// page sends.
    pub cookie: Option<&'a str>,
}

/// One credential as it was presented. Has no `Debug`: it is as good as a password.
#[derive(Clone, Copy)]
pub struct Credential<'a> {
    /// Where it stood.
    pub source: Source,
    /// The token, key or ticket.
    pub text: &'a str,
}

/// The credentials of a request in order, without those from sources that are switched off.
pub fn find_credentials<'a>(carriers: &Carriers<'a>, sources: &[Source]) -> Vec<Credential<'a>> {
    let read = |source| {
        let text = match source {
            Source::Bearer => carriers.authorization.and_then(bearer_token),
            Source::Subprotocol => carriers.subprotocols.and_then(subprotocol_token),
            Source::Ticket => carriers.ticket,
            Source::Query => carriers.token,
            Source::Cookie => carriers.cookie,
        };
        // An empty `?token=` is what a page without a token sends: no credential, rather than a wrong one.
        text.filter(|text| !text.is_empty()).map(|text| Credential { source, text })
    };
    Source::ALL.into_iter().filter(|source| sources.contains(source)).filter_map(read).collect()
}

/// Makes at most one caller of the judged credentials, in their order: the first decides, and none that is valid may name somebody else.
///
/// # Errors
/// The refusal of the first credential, `credential_conflict`, or `no_credential` when there is none.
pub fn choose(judged: Vec<Result<Caller, ErrorCode>>) -> Result<Caller, ErrorCode> {
    let mut judged = judged.into_iter();
    let chosen = judged.next().unwrap_or(Err(ErrorCode::NoCredential))?;
    // A later credential that does not verify names nobody, and so contradicts nobody.
    if judged.filter_map(Result::ok).any(|other| other.key() != chosen.key()) {
        return Err(ErrorCode::CredentialConflict);
    }
    Ok(chosen)
}

/// RFC 9110 section 11.1: the scheme's case does not matter. `Token` is what Django REST framework calls it.
fn bearer_token(header: &str) -> Option<&str> {
    let (scheme, token) = header.trim().split_once(' ')?;
    ["bearer", "token"].iter().any(|known| scheme.eq_ignore_ascii_case(known)).then(|| token.trim_start())
}

fn subprotocol_token(header: &str) -> Option<&str> {
    let mut offered = header.split(',').map(str::trim);
    offered.find(|protocol| *protocol == "bearer")?;
    offered.next()
}
