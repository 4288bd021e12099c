//! Who calls: finds the credentials of a request, judges them with keys, tickets and the roster.

use crate::auth::{ApiKeys, Carriers, Credential, Source, Verifier, choose, find_credentials, is_api_key};
use arc_swap::ArcSwap;
use campanile_contract::{Authenticate, Site};
use campanile_live::Node;
use campanile_wire::caller::PersonCaller;
use campanile_wire::{Caller, ErrorCode, Id, Refusal};
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::Arc;

/// How long a ticket lives.
pub(crate) const TICKET_MS: i64 = 30_000;

/// What is needed to judge a credential.
pub(crate) struct Identity {
    /// A reload puts another in its place: a removed API key is unknown from the next request on. A connection that a removed token key
    /// opened lives on to its token's end.
    pub(crate) known: ArcSwap<Known>,
    pub(crate) site: Site,
}

/// The keys, and where credentials are looked for.
pub(crate) struct Known {
    pub(crate) verifier: Verifier,
    pub(crate) api_keys: ApiKeys,
    pub(crate) sources: Vec<Source>,
}

/// The port by which delivery refreshes and authenticates in-band.
pub(crate) struct TokenPort(pub(crate) Arc<Identity>);

impl Authenticate for TokenPort {
    fn authenticate<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Result<PersonCaller, Refusal>> {
        Box::pin(async move { self.0.person(token).map_err(Refusal::from) })
    }
}

/// What a ticket stands for, as it is stored.
#[derive(Serialize, Deserialize)]
struct TicketHolder {
    id: Id,
    role: Option<String>,
    cadet: Option<Id>,
    expires_at_ms: i64,
}

impl Identity {
    fn person(&self, token: &str) -> Result<PersonCaller, ErrorCode> {
        let now_ms = self.site.journal.clock().now_ms();
        self.known.load().verifier.verify(token, now_ms).map(PersonCaller::from).map_err(|error| {
            tracing::debug!(reason = error.reason(), "a token was refused");
            error.code()
        })
    }

    /// The caller of a request, with the role that the roster knows.
    pub(crate) async fn caller(&self, carriers: &Carriers<'_>, node: &Node) -> Result<Caller, Refusal> {
        let known = self.known.load_full();
        let found = find_credentials(carriers, &known.sources);
        // Tickets live in the store, so they are taken before the choice, each once, even beside a better credential.
        let mut tickets = HashMap::new();
        for credential in found.iter().filter(|credential| credential.source == Source::Ticket) {
            tickets.insert(credential.text, self.ticket_holder(credential.text).await?);
        }
        let judge = |credential: Credential<'_>| match credential.source {
            Source::Ticket => tickets[credential.text].clone().map(Caller::Person).ok_or(ErrorCode::InvalidTicket),
            Source::Bearer if is_api_key(credential.text) => {
                known.api_keys.find(credential.text).map(|key| Caller::Service(key.into())).ok_or(ErrorCode::InvalidToken)
            }
            _ => self.person(credential.text).map(Caller::Person),
        };
        let mut caller = choose(&found, judge).map_err(Refusal::from)?;
        if let Caller::Person(person) = &mut caller {
            person.role = node.role_of(person.id.as_str()).or(person.role.take());
            person.cadet = node.cadet_of(person.id.as_str()).or(person.cadet.take());
        }
        Ok(caller)
    }

    async fn ticket_holder(&self, ticket: &str) -> Result<Option<PersonCaller>, Refusal> {
        let holder = self.site.journal.redeem_ticket(ticket).await.map_err(Refusal::from)?;
        let holder: Option<TicketHolder> = holder.and_then(|json| serde_json::from_str(&json).ok());
        Ok(holder.map(|TicketHolder { id, role, cadet, expires_at_ms }| PersonCaller { id, role, cadet, expires_at_ms }))
    }

    /// Makes a one-use ticket that stands for the person for [`TICKET_MS`].
    pub(crate) async fn issue_ticket(&self, person: &PersonCaller) -> Result<String, Refusal> {
        let PersonCaller { id, role, cadet, expires_at_ms } = person.clone();
        let holder = serde_json::to_string(&TicketHolder { id, role, cadet, expires_at_ms });
        let holder = holder.map_err(|_| Refusal::from(ErrorCode::InternalError))?;
        let ticket = format!("tk_{:032x}", rand::random::<u128>());
        let expires_at_ms = self.site.journal.clock().now_ms() + TICKET_MS;
        self.site.journal.issue_ticket(&ticket, holder, expires_at_ms).await.map_err(Refusal::from)?;
        Ok(ticket)
    }

    /// How many requests a second a key may make.
    pub(crate) fn rate_of(&self, key: &str) -> Option<u32> {
        self.known.load().api_keys.rate_of(key)
    }
}
