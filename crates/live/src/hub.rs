//! Channel to sessions of this node. Subscriptions are decided here, from membership and what the connection chose to read.

use crate::delivery::Delivery;
use crate::limits::LiveLimits;
use crate::mailbox::Mailbox;
use crate::members::{Change, Members};
use crate::metrics::Transport;
use crate::session::Ending;
use campanile_wire::{Channel, CloseReason, EventId, Id};
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

/// A session's name within its node.
pub(crate) type SessionKey = u64;

/// Every session of this node, by channel, person and address.
#[derive(Default)]
pub(crate) struct Hub {
    sessions: HashMap<SessionKey, Entry>,
    channels: HashMap<Channel, HashMap<SessionKey, Arc<Mailbox>>>,
    /// Sessions to which every channel of a kind is due, by a role.
    overseers: HashMap<&'static str, HashMap<SessionKey, Arc<Mailbox>>>,
    people: HashMap<String, Vec<SessionKey>>,
    addresses: HashMap<IpAddr, usize>,
    next: SessionKey,
}

/// Who holds a session, and with what credential.
pub(crate) struct Holder {
    pub(crate) id: Id,
    pub(crate) token_id: Option<Arc<str>>,
    pub(crate) issued_at_ms: Option<i64>,
    pub(crate) transport: Transport,
    pub(crate) since_ms: i64,
}

/// What the hub knows of one session.
pub(crate) struct Entry {
    pub(crate) person: String,
    pub(crate) holder: Holder,
    pub(crate) address: IpAddr,
    pub(crate) client: Option<Box<str>>,
    pub(crate) mailbox: Arc<Mailbox>,
    /// Channels that the credential itself gives: the person's own, and the token's role and cadet when the roster knows none.
    pub(crate) own: Vec<Channel>,
    pub(crate) selection: Selection,
    /// Whether it was ended at a moment of the log: then nothing makes it read again.
    pub(crate) is_cut: bool,
}

/// What a connection chose to read of what it may.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selection {
    /// Only these, when given.
    pub(crate) only: Option<HashSet<Channel>>,
    /// Not these.
    pub(crate) muted: HashSet<Channel>,
}

impl Selection {
    pub(crate) fn reads(&self, channel: &Channel) -> bool {
        self.only.as_ref().is_none_or(|only| only.contains(channel)) && !self.muted.contains(channel)
    }
}

impl Hub {
    /// Adds a session; it gets every event that is dispatched from now on in what it may and chose to read.
    pub(crate) fn add(&mut self, entry: Entry, members: &Members) -> SessionKey {
        self.next += 1;
        let key = self.next;
        self.people.entry(entry.person.clone()).or_default().push(key);
        *self.addresses.entry(entry.address).or_default() += 1;
        for channel in Self::readable(&entry, members) {
            self.channels.entry(channel).or_default().insert(key, Arc::clone(&entry.mailbox));
        }
        self.sessions.insert(key, entry);
        self.place_overseer(key, members);
        key
    }

    /// Notes which kinds of channel are due to the session as a whole.
    fn place_overseer(&mut self, key: SessionKey, members: &Members) {
        let Some(entry) = self.sessions.get(&key).filter(|entry| !entry.is_cut) else { return };
        for (kind, roles) in members.overseen() {
            if members.oversees(&entry.person, kind) || roles.iter().any(|role| entry.own.contains(role)) {
                self.overseers.entry(kind).or_default().insert(key, Arc::clone(&entry.mailbox));
            } else if let Some(sessions) = self.overseers.get_mut(kind) {
                sessions.remove(&key);
            }
        }
    }

    pub(crate) fn remove(&mut self, key: SessionKey, members: &Members) {
        let Some(entry) = self.sessions.remove(&key) else { return };
        for channel in Self::readable(&entry, members) {
            self.drop_from(&channel, key);
        }
        self.overseers.values_mut().for_each(|sessions| drop(sessions.remove(&key)));
        if let Some(keys) = self.people.get_mut(&entry.person) {
            keys.retain(|known| *known != key);
            if keys.is_empty() {
                self.people.remove(&entry.person);
            }
        }
        if let Some(count) = self.addresses.get_mut(&entry.address) {
            *count -= 1;
            if *count == 0 {
                self.addresses.remove(&entry.address);
            }
        }
    }

    fn drop_from(&mut self, channel: &Channel, key: SessionKey) {
        if let Some(sessions) = self.channels.get_mut(channel) {
            sessions.remove(&key);
            if sessions.is_empty() {
                self.channels.remove(channel);
            }
        }
    }

    fn readable(entry: &Entry, members: &Members) -> Vec<Channel> {
        if entry.is_cut {
            return Vec::new();
        }
        let mut channels = members.channels(&entry.person);
        channels.extend(entry.own.iter().cloned());
        channels.retain(|channel| entry.selection.reads(channel));
        channels
    }

    /// Follows a change of membership, which `members` knows already: O(1) for each session of the person.
    pub(crate) fn follow(&mut self, person: &str, change: &Change, members: &Members) {
        let keys = self.people.get(person).cloned().unwrap_or_default();
        for key in keys {
            let entry = &self.sessions[&key];
            match change {
                Change::Granted(channel) => {
                    if !entry.is_cut && entry.selection.reads(channel) {
                        let mailbox = Arc::clone(&entry.mailbox);
                        self.channels.entry(channel.clone()).or_default().insert(key, mailbox);
                    }
                    self.roster_wins(key, channel.kind(), members);
                }
                Change::Revoked(channel) if !entry.own.contains(channel) => self.drop_from(channel, key),
                Change::Revoked(_) => {}
                Change::Suspended => self.cut(key, Ending::now(CloseReason::NotApproved), members),
            }
            if matches!(change, Change::Granted(channel) | Change::Revoked(channel) if channel.kind() == "role") {
                self.place_overseer(key, members);
            }
        }
    }

    /// A role or cadet of the roster takes the place of the token's.
    fn roster_wins(&mut self, key: SessionKey, kind: &str, members: &Members) {
        let own = &self.sessions[&key].own;
        let is_displaced = |channel: &Channel| channel.kind() == kind && kind != "user";
        if own.iter().any(is_displaced) {
            let own = own.iter().filter(|channel| !is_displaced(channel)).cloned().collect();
            self.set_own(key, own, members);
        }
    }

    /// Changes what the credential itself gives.
    pub(crate) fn set_own(&mut self, key: SessionKey, own: Vec<Channel>, members: &Members) {
        let Some(entry) = self.sessions.get_mut(&key).filter(|entry| !entry.is_cut) else { return };
        let before = Self::readable(entry, members);
        entry.own = own;
        let after = Self::readable(entry, members);
        let mailbox = Arc::clone(&entry.mailbox);
        for channel in before.iter().filter(|channel| !after.contains(channel)) {
            self.drop_from(channel, key);
        }
        for channel in after {
            self.channels.entry(channel).or_default().insert(key, Arc::clone(&mailbox));
        }
        self.place_overseer(key, members);
    }

    /// Hands an event to every session that reads its channel; answers how many there were.
    pub(crate) fn dispatch(&self, delivery: &Arc<Delivery>, limits: &LiveLimits) -> usize {
        let mut readers = 0;
        for (_, mailbox) in self.readers_of(&delivery.event.channel) {
            mailbox.push_event(delivery, limits);
            readers += 1;
        }
        readers
    }

    /// Every session that reads a channel, each once.
    fn readers_of(&self, channel: &Channel) -> impl Iterator<Item = (SessionKey, &Arc<Mailbox>)> {
        let direct = self.channels.get(channel);
        let chose = |key: &SessionKey| self.sessions.get(key).is_some_and(|entry| entry.selection.reads(channel));
        let is_direct = move |key: &SessionKey| direct.is_some_and(|sessions| sessions.contains_key(key));
        let overseers = self.overseers.get(channel.kind()).into_iter().flatten();
        let overseers = overseers.filter(move |(key, _)| !is_direct(key) && chose(key));
        direct.into_iter().flatten().chain(overseers).map(|(key, mailbox)| (*key, mailbox))
    }

    /// The mailboxes that read a channel, except the sender's.
    pub(crate) fn readers(&self, channel: &Channel, except: SessionKey) -> Vec<Arc<Mailbox>> {
        self.readers_of(channel).filter(|(key, _)| *key != except).map(|(_, mailbox)| Arc::clone(mailbox)).collect()
    }

    /// A session that was not ended at a moment of the log.
    fn reading(&self, key: SessionKey) -> Option<&Entry> {
        self.sessions.get(&key).filter(|entry| !entry.is_cut)
    }

    /// Whether event `id` of `channel` is due to the session now.
    pub(crate) fn due(&self, key: SessionKey, members: &Members, channel: &Channel, id: EventId) -> bool {
        self.may_miss(key, members, channel, id.saturating_sub(1), id)
    }

    /// Whether something that was due to the session may have been pruned between `after` and `through` in the channel.
    pub(crate) fn may_miss(
        &self,
        key: SessionKey,
        members: &Members,
        channel: &Channel,
        after: EventId,
        through: EventId,
    ) -> bool {
        let Some(entry) = self.reading(key) else { return false };
        let by_credential = || self.is_by_credential(key, entry, channel);
        entry.selection.reads(channel)
            && (members.any_due(&entry.person, channel, after, through)
                || (by_credential() && members.any_due_by_credential(&entry.person, channel, after, through)))
    }

    /// Whether the credential itself gives the channel: by its own, or by a role that oversees the channel's kind.
    fn is_by_credential(&self, key: SessionKey, entry: &Entry, channel: &Channel) -> bool {
        // Of an overseer by the roster's role the roster's word stands: it has none but its own channels by the credential.
        let oversees = || self.overseers.get(channel.kind()).is_some_and(|sessions| sessions.contains_key(&key));
        entry.own.contains(channel) || (entry.own.iter().any(|own| own.kind() == "role") && oversees())
    }

    /// Whether the session may see the channel at all.
    pub(crate) fn may_see(&self, key: SessionKey, members: &Members, channel: &Channel) -> bool {
        let Some(entry) = self.reading(key) else { return false };
        let by_credential = self.is_by_credential(key, entry, channel) && !members.is_suspended(&entry.person);
        by_credential || members.may_see(&entry.person, channel)
    }

    /// Everything that the session reads.
    pub(crate) fn channels_of(&self, key: SessionKey, members: &Members) -> Vec<Channel> {
        self.sessions.get(&key).map(|entry| Self::readable(entry, members)).unwrap_or_default()
    }

    /// The kinds of channel that are due to the session as a whole.
    pub(crate) fn kinds_of(&self, key: SessionKey) -> Vec<&'static str> {
        self.overseers.iter().filter(|(_, sessions)| sessions.contains_key(&key)).map(|(kind, _)| *kind).collect()
    }

    /// Changes what the session reads of what it may.
    pub(crate) fn select(&mut self, key: SessionKey, channel: &Channel, reads: bool, members: &Members) {
        let Some(entry) = self.sessions.get_mut(&key).filter(|entry| !entry.is_cut) else { return };
        if reads {
            entry.selection.muted.remove(channel);
            if let Some(only) = &mut entry.selection.only {
                only.insert(channel.clone());
            }
            // An overseer gets it with the rest of its kind.
            if Self::readable(entry, members).contains(channel) {
                let mailbox = Arc::clone(&entry.mailbox);
                self.channels.entry(channel.clone()).or_default().insert(key, mailbox);
            }
        } else {
            entry.selection.muted.insert(channel.clone());
            self.drop_from(channel, key);
        }
    }

    /// The sessions of a person: key, client name and mailbox.
    pub(crate) fn of_person(&self, person: &str) -> impl Iterator<Item = (SessionKey, Option<&str>, &Arc<Mailbox>)> {
        let keys = self.people.get(person).map(Vec::as_slice).unwrap_or_default();
        keys.iter().map(|key| (*key, self.sessions[key].client.as_deref(), &self.sessions[key].mailbox))
    }

    /// The sessions of a person, or of all.
    pub(crate) fn keys(&self, person: Option<&str>) -> Vec<SessionKey> {
        match person {
            Some(person) => self.people.get(person).cloned().unwrap_or_default(),
            None => self.sessions.keys().copied().collect(),
        }
    }

    /// Who holds a session, and where it comes from.
    pub(crate) fn holder(&self, key: SessionKey) -> Option<(&Holder, IpAddr)> {
        self.sessions.get(&key).map(|entry| (&entry.holder, entry.address))
    }

    /// A session goes on with a fresh credential of the same person.
    pub(crate) fn set_credential(&mut self, key: SessionKey, token_id: Option<Arc<str>>, issued_at_ms: Option<i64>) {
        if let Some(entry) = self.sessions.get_mut(&key) {
            entry.holder.token_id = token_id;
            entry.holder.issued_at_ms = issued_at_ms;
        }
    }

    /// Ends a session at this moment of the log: of what comes from here on it reads nothing, live or from history.
    pub(crate) fn cut(&mut self, key: SessionKey, ending: Ending, members: &Members) {
        let Some(entry) = self.sessions.get_mut(&key) else { return };
        let before = Self::readable(entry, members);
        entry.is_cut = true;
        entry.mailbox.cut(ending);
        for channel in before {
            self.drop_from(&channel, key);
        }
        self.overseers.values_mut().for_each(|sessions| drop(sessions.remove(&key)));
    }

    pub(crate) fn at_address(&self, address: IpAddr) -> usize {
        self.addresses.get(&address).copied().unwrap_or(0)
    }

    pub(crate) fn mailboxes(&self) -> Vec<Arc<Mailbox>> {
        self.sessions.values().map(|entry| Arc::clone(&entry.mailbox)).collect()
    }

    #[cfg(test)]
    pub(crate) fn is_empty_everywhere(&self) -> bool {
        self.overseers.values().all(HashMap::is_empty)
            && self.sessions.is_empty()
            && self.channels.is_empty()
            && self.people.is_empty()
            && self.addresses.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.sessions.len()
    }
}
