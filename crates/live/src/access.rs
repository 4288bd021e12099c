//! Who people are to this node, who is connected with what, and how connections end whose credential has ended: at once, with nothing more handed out.

use crate::hub::{Holder, Hub, SessionKey};
use crate::metrics::Transport;
use crate::node::Node;
use crate::revocations::{Ended, Revocations};
use crate::session::Session;
use campanile_wire::caller::PersonCaller;
use campanile_wire::{ErrorCode, Id};
use std::net::IpAddr;
use std::sync::Arc;

/// Connections listed at once.
pub const CONNECTIONS_LISTED_MAX: usize = 1_000;

/// One open connection of this node, for whoever may look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenConnection {
    /// As `connection_established` named it.
    pub connection: String,
    /// Whose.
    pub user_id: Id,
    /// What its credential is called when it is revoked.
    pub token_id: Option<Arc<str>>,
    /// How it reads.
    pub transport: Transport,
    /// Where it comes from.
    pub address: IpAddr,
    /// Since when, in unix milliseconds.
    pub since_ms: i64,
}

impl Node {
    /// Whether the credential that made this caller was revoked.
    pub fn is_revoked(&self, caller: &PersonCaller) -> bool {
        self.core().revocations.holds(caller)
    }

    /// Whether the person is not approved, or not any more.
    pub fn is_suspended(&self, person: &str) -> bool {
        self.core().members.is_suspended(person)
    }

    /// What the roster says of a person's role, which wins over the token's.
    pub fn role_of(&self, person: &str) -> Option<String> {
        self.granted_id(person, "role")
    }

    /// Whom the roster says a person stands for as a cadet, which wins over the token's.
    pub fn cadet_of(&self, person: &str) -> Option<Id> {
        self.granted_id(person, "cadet").and_then(|id| Id::new(&id).ok())
    }

    fn granted_id(&self, person: &str, kind: &str) -> Option<String> {
        let channels = self.core().members.channels(person);
        channels.iter().find(|channel| channel.kind() == kind).map(|channel| channel.id().to_owned())
    }

    /// A connection's name: nowhere else in the site, and on no other start of this node, is there another of it.
    pub(crate) fn connection_name(&self, key: SessionKey) -> String {
        format!("c-{:08x}-{key}", self.start_id)
    }

    fn key_of(&self, connection: &str) -> Option<SessionKey> {
        let key = connection.rsplit_once('-')?.1.parse().ok()?;
        (self.connection_name(key) == connection).then_some(key)
    }

    /// The open connections of this node, of one person or of all, in the order in which they came; at most [`CONNECTIONS_LISTED_MAX`].
    pub fn open_connections(&self, person: Option<&str>) -> Vec<OpenConnection> {
        let core = self.core();
        let mut keys = core.hub.keys(person);
        keys.sort_unstable();
        keys.truncate(CONNECTIONS_LISTED_MAX);
        let listed = keys.into_iter().filter_map(|key| {
            let (holder, address) = core.hub.holder(key)?;
            Some(OpenConnection {
                connection: self.connection_name(key),
                user_id: holder.id.clone(),
                token_id: holder.token_id.clone(),
                transport: holder.transport,
                address,
                since_ms: holder.since_ms,
            })
        });
        listed.collect()
    }

    /// The sessions that an ended credential held, or that were ended by name.
    pub(crate) fn sessions_of(&self, hub: &Hub, revocations: &Revocations, ended: &Ended) -> Vec<SessionKey> {
        let shows_revoked = |key: &SessionKey| hub.holder(*key).is_some_and(|(holder, _)| holder.shows_revoked(revocations));
        match ended {
            Ended::OfPerson(person) => hub.keys(Some(person)).into_iter().filter(shows_revoked).collect(),
            // Rare, and an administrator's act: every session is looked at.
            Ended::OfToken(token_id) => {
                let shows = |key: &SessionKey| {
                    hub.holder(*key).is_some_and(|(holder, _)| holder.token_id.as_deref() == Some(token_id.as_str()))
                };
                hub.keys(None).into_iter().filter(shows).collect()
            }
            Ended::Session(connection, person) => {
                let key = self.key_of(connection).filter(|key| match person {
                    Some(person) => hub.keys(Some(person)).contains(key),
                    None => true,
                });
                key.into_iter().collect()
            }
        }
    }
}

impl Session {
    /// A fresh token of the same user: the connection now ends with it.
    pub(crate) fn renew(&mut self, caller: PersonCaller) -> Result<(), ErrorCode> {
        if caller.id != self.caller.id {
            return Err(ErrorCode::CredentialConflict);
        }
        let mut core = self.node.core();
        let core = &mut *core;
        if core.revocations.holds(&caller) {
            return Err(ErrorCode::RevokedToken);
        }
        let own = self.node.own_channels(&core.members, &caller);
        core.hub.set_own(self.key, own, &core.members);
        core.hub.set_credential(self.key, caller.token_id.clone(), caller.issued_at_ms);
        self.caller = caller;
        Ok(())
    }
}

impl Holder {
    fn shows_revoked(&self, revocations: &Revocations) -> bool {
        revocations.is_revoked(self.id.as_str(), self.token_id.as_deref(), self.issued_at_ms)
    }
}
