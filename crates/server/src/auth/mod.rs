//! Who is calling: finds the credentials in a request, judges them, and makes of them at most one caller.
//!
//! Everything here is pure: key files are read elsewhere, and the time is passed in. Of two sources that name different users
//! neither is believed.

pub mod api_key;
pub mod jwt;
pub mod keys;
pub mod origin;
pub mod secret;

#[cfg(test)]
mod tests;

pub use api_key::{ApiKey, ApiKeyConfig, ApiKeyError, ApiKeySecret, ApiKeys, is_api_key};
pub use jwt::{Claims, TokenError, TokenRules, Verifier};
pub use keys::{Algorithm, Key, KeyConfig, KeyError, KeyMaterial, keys_from_jwk_set};
pub use origin::{AllowedOrigins, Carried, OriginError};
pub use secret::{SecretRule, WeakSecret};

use campanile_wire::{Caller, ErrorCode};

/// Where a request can carry a credential, in the order in which they are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// `Authorization: Bearer <jwt or API key>`.
    Bearer,
    /// `Sec-WebSocket-Protocol: bearer, <jwt>`.
    Subprotocol,
    /// `?ticket=`.
    Ticket,
    /// `?token=`.
    Query,
}

impl Source {
    /// Every source, in order.
    pub const ALL: [Self; 4] = [Self::Bearer, Self::Subprotocol, Self::Ticket, Self::Query];
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
        };
        // An empty `?token=` is what a page without a token sends: no credential, rather than a wrong one.
        text.filter(|text| !text.is_empty()).map(|text| Credential { source, text })
    };
    Source::ALL.into_iter().filter(|source| sources.contains(source)).filter_map(read).collect()
}

/// Makes at most one caller of the credentials: the first decides, and none that is valid may name somebody else.
///
/// `judge` is called once for each credential, so that a ticket is used up even beside a better credential.
///
/// # Errors
/// The refusal of the first credential, `credential_conflict`, or `no_credential` when there is none.
pub fn choose<'a>(
    found: &[Credential<'a>],
    mut judge: impl FnMut(Credential<'a>) -> Result<Caller, ErrorCode>,
) -> Result<Caller, ErrorCode> {
    let mut judged = found.iter().map(|credential| judge(*credential));
    let first = judged.next().unwrap_or(Err(ErrorCode::NoCredential));
    // A later credential that does not verify names nobody, and so contradicts nobody.
    let others: Vec<Caller> = judged.filter_map(Result::ok).collect();
    let chosen = first?;
    if others.iter().any(|other| other.key() != chosen.key()) {
        return Err(ErrorCode::CredentialConflict);
    }
    Ok(chosen)
}

/// RFC 9110 section 11.1: the scheme's case does not matter.
fn bearer_token(header: &str) -> Option<&str> {
    let (scheme, token) = header.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_start())
}

fn subprotocol_token(header: &str) -> Option<&str> {
    let mut offered = header.split(',').map(str::trim);
    offered.find(|protocol| *protocol == "bearer")?;
    offered.next()
}
