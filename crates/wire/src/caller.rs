//! Who calls: a person with a token, or a service with an API key.

use crate::id::Id;
use std::sync::Arc;

/// An authenticated caller. A request without one never reaches a command or a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// A person, known by a token or a ticket.
    Person(PersonCaller),
    /// A host platform or a tool, known by an API key.
    Service(ServiceCaller),
}

/// What a token says about a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersonCaller {
    /// The person's id, as the token spells it.
    pub id: Id,
    /// The token's role; the roster's wins where it knows the person.
    pub role: Option<String>,
    /// The cadet that the token names.
    pub cadet: Option<Id>,
    /// When the credential ends, in unix milliseconds.
    pub expires_at_ms: i64,
    /// By what the credential can be revoked alone: its `jti`, or a hash of it.
    pub token_id: Option<Arc<str>>,
    /// When the credential was issued, in unix milliseconds; signing a person out ends everything issued before.
    pub issued_at_ms: Option<i64>,
}

/// What the configuration says about an API key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceCaller {
    /// The key's name, for logs and idempotency scopes.
    pub name: String,
    /// What it may do: `publish`, `publish:announcement`, `roster`, …
    pub scopes: Vec<String>,
}

impl Caller {
    /// A text that tells this caller from every other; scopes idempotency keys.
    pub fn key(&self) -> String {
        match self {
            Self::Person(person) => format!("user:{}", person.id),
            Self::Service(service) => format!("key:{}", service.name),
        }
    }

    /// Whether the caller holds `scope`, given exactly or by its part before the colon. People hold no scopes.
    pub fn has_scope(&self, scope: &str) -> bool {
        let Self::Service(service) = self else { return false };
        let family = scope.split_once(':').map_or(scope, |(family, _)| family);
        service.scopes.iter().any(|held| held == scope || held == family)
    }

    /// Whether the caller is a person whose role is `role`.
    pub fn has_role(&self, role: &str) -> bool {
        matches!(self, Self::Person(person) if person.role.as_deref() == Some(role))
    }
}
