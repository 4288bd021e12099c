//! Who calls: finds the credentials of a request, and lets each be judged by whom it concerns: keys, issuers, the host, tickets, the roster.

use crate::auth::introspection::Question;
use crate::auth::{ApiKeys, Carriers, Credential, Source, Verifier, choose, find_credentials, is_api_key, peek};
use crate::introspection::Introspection;
use crate::issuer::Issuers;
use crate::refusals::{Counts, Refusals};
use arc_swap::ArcSwap;
use campanile_contract::{Authenticate, Site};
use campanile_live::Node;
use campanile_wire::caller::PersonCaller;
use campanile_wire::{Caller, ErrorCode, Id, Refusal};
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How long a ticket lives.
pub(crate) const TICKET_MS: i64 = 30_000;

/// What is needed to judge a credential.
pub(crate) struct Identity {
    /// A reload puts another in its place: a removed API key is unknown from the next request on. A connection that a removed token key
    /// opened lives on to its token's end.
    pub(crate) known: ArcSwap<Known>,
    pub(crate) site: Site,
    pub(crate) refusals: Refusals,
}

/// The keys, whom to ask, and where credentials are looked for.
pub(crate) struct Known {
    /// The configured keys.
    pub(crate) verifier: Option<Verifier>,
    /// Issuers whose keys are fetched.
    pub(crate) issuers: Issuers,
    /// The host that knows opaque tokens and sessions.
    pub(crate) introspection: Option<Arc<Introspection>>,
    pub(crate) api_keys: ApiKeys,
    pub(crate) sources: Vec<Source>,
}

/// The port by which delivery refreshes and authenticates in-band.
pub(crate) struct TokenPort(pub(crate) Arc<Identity>);

impl Authenticate for TokenPort {
    fn authenticate<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Result<PersonCaller, Refusal>> {
        Box::pin(async move {
            let judged = self.0.person(token, Question::Token).await;
            self.0.count("message", judged.as_ref().err().copied());
            judged.map_err(Refusal::from)
        })
    }
}

/// A good credential is not enough: it may have been revoked, and its holder may not be approved any more.
fn admitted(person: PersonCaller, node: &Node) -> Result<PersonCaller, ErrorCode> {
    if node.is_revoked(&person) {
        return Err(ErrorCode::RevokedToken);
    }
    if node.is_suspended(person.id.as_str()) {
        return Err(ErrorCode::NotApproved);
    }
    Ok(person)
}

/// What a ticket stands for, as it is stored.
#[derive(Serialize, Deserialize)]
struct TicketHolder {
    id: Id,
    role: Option<String>,
    cadet: Option<Id>,
    expires_at_ms: i64,
    token_id: Option<Arc<str>>,
    issued_at_ms: Option<i64>,
}

impl Identity {
    /// Whom a person's token or session speaks for.
    async fn person(&self, text: &str, asked: Question) -> Result<PersonCaller, ErrorCode> {
        // An API key elsewhere than in `Authorization` is a mistake, and nobody else's to see.
        if is_api_key(text) {
            return Err(ErrorCode::InvalidToken);
        }
        let known = self.known.load_full();
        let Some(peeked) = peek(text) else {
            let host = known.introspection.as_ref().ok_or(ErrorCode::InvalidToken)?;
            return host.judge(asked, text).await;
        };
        // An issuer whose keys are fetched judges its tokens alone.
        if let Some(judged) = known.issuers.verify(text, &peeked).await {
            return judged.map(PersonCaller::from);
        }
        let verifier = known.verifier.as_ref().ok_or(ErrorCode::InvalidToken)?;
        verifier.verify(text, self.now_ms()).map(PersonCaller::from).map_err(|error| {
            tracing::debug!(reason = error.reason(), "a token was refused");
            error.code()
        })
    }

    /// The caller of a request, with the role that the roster knows.
    pub(crate) async fn caller(&self, carriers: &Carriers<'_>, node: &Node) -> Result<Caller, Refusal> {
        let found = find_credentials(carriers, &self.known.load().sources);
        let mut judged = Vec::with_capacity(found.len());
        // All are judged, so that a ticket is used up even beside a better credential.
        for credential in &found {
            judged.push(self.judge(*credential, node).await?);
        }
        let chosen = choose(judged);
        let source = found.first().map_or("none", |credential| credential.source.as_str());
        self.count(source, chosen.as_ref().err().copied());
        let mut caller = chosen.map_err(Refusal::from)?;
        if let Caller::Person(person) = &mut caller {
            person.role = node.role_of(person.id.as_str()).or(person.role.take());
            person.cadet = node.cadet_of(person.id.as_str()).or(person.cadet.take());
        }
        Ok(caller)
    }

    /// The outer error is the store's, which says nothing about the credential.
    async fn judge(&self, credential: Credential<'_>, node: &Node) -> Result<Result<Caller, ErrorCode>, Refusal> {
        let text = credential.text;
        let person = match credential.source {
            Source::Bearer if is_api_key(text) => {
                let key = self.known.load().api_keys.find(text).map(|key| Caller::Service(key.into()));
                return Ok(key.ok_or(ErrorCode::InvalidToken));
            }
            Source::Ticket => self.ticket_holder(text).await?.ok_or(ErrorCode::InvalidTicket),
            Source::Cookie => self.still_good(text, Question::Session, node).await,
            _ => self.still_good(text, Question::Token, node).await,
        };
        Ok(person.and_then(|person| admitted(person, node)).map(Caller::Person))
    }

    /// As [`Identity::person`], but an answer of the host from before a sign-out is not believed: the host is asked again.
    async fn still_good(&self, text: &str, asked: Question, node: &Node) -> Result<PersonCaller, ErrorCode> {
        let person = self.person(text, asked).await?;
        match &self.known.load_full().introspection {
            Some(host) if peek(text).is_none() && node.is_revoked(&person) => {
                host.forget(asked, text);
                host.judge(asked, text).await
            }
            _ => Ok(person),
        }
    }

    async fn ticket_holder(&self, ticket: &str) -> Result<Option<PersonCaller>, Refusal> {
        let holder = self.site.journal.redeem_ticket(ticket).await.map_err(Refusal::from)?;
        let holder: Option<TicketHolder> = holder.and_then(|json| serde_json::from_str(&json).ok());
        Ok(holder.map(|holder| {
            let TicketHolder { id, role, cadet, expires_at_ms, token_id, issued_at_ms } = holder;
            PersonCaller { id, role, cadet, expires_at_ms, token_id, issued_at_ms }
        }))
    }

    /// Makes a one-use ticket that stands for the person for [`TICKET_MS`], and ends with the credential that it was made with.
    pub(crate) async fn issue_ticket(&self, person: &PersonCaller) -> Result<String, Refusal> {
        let PersonCaller { id, role, cadet, expires_at_ms, token_id, issued_at_ms } = person.clone();
        let holder = serde_json::to_string(&TicketHolder { id, role, cadet, expires_at_ms, token_id, issued_at_ms });
        let holder = holder.map_err(|_| Refusal::from(ErrorCode::InternalError))?;
        let ticket = format!("tk_{:032x}", rand::random::<u128>());
        let expires_at_ms = self.now_ms() + TICKET_MS;
        self.site.journal.issue_ticket(&ticket, holder, expires_at_ms).await.map_err(Refusal::from)?;
        Ok(ticket)
    }

    /// How many requests a second a key may make.
    pub(crate) fn rate_of(&self, key: &str) -> Option<u32> {
        self.known.load().api_keys.rate_of(key)
    }

    /// Counts an attempt that ended here, or where the request's origin was judged.
    pub(crate) fn count(&self, source: &'static str, refused: Option<ErrorCode>) {
        self.refusals.count(source, refused, self.now_ms());
    }

    /// Attempts and refusals since the start, for the metrics.
    pub(crate) fn counts(&self) -> Counts {
        self.refusals.counts()
    }

    fn now_ms(&self) -> i64 {
        self.site.journal.clock().now_ms()
    }
}
