//! Views on their way to readers: the whole picture at subscribe, then the newest at a bounded rate.

use crate::hub::SessionKey;
use crate::mailbox::Mailbox;
use campanile_contract::View;
use campanile_wire::frame::ServerFrame;
use campanile_wire::{Event, EventId, Id};
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// The states of every view, and who reads them.
pub(crate) struct Views {
    states: BTreeMap<&'static str, Box<dyn View>>,
    readers: HashMap<(&'static str, Id), HashMap<SessionKey, Reader>>,
    changed: HashSet<(&'static str, Id)>,
}

/// Who reads a view, and how it spelled the key: the type of an id survives the round trip.
struct Reader {
    key: Id,
    mailbox: Arc<Mailbox>,
}

impl Views {
    pub(crate) fn new(states: BTreeMap<&'static str, Box<dyn View>>) -> Self {
        Self { states, readers: HashMap::new(), changed: HashSet::new() }
    }

    /// Feeds an event to every view.
    pub(crate) fn apply(&mut self, event: &Event) {
        for (name, state) in &mut self.states {
            for key in state.apply(event) {
                if self.readers.contains_key(&(*name, key.clone())) {
                    self.changed.insert((*name, key));
                }
            }
        }
    }

    /// Adds a reader and gives it the whole picture.
    pub(crate) fn subscribe(
        &mut self,
        name: &'static str,
        key: Id,
        session: SessionKey,
        mailbox: Arc<Mailbox>,
        as_of: EventId,
    ) {
        if let Some(json) = self.picture(name, &key, as_of) {
            mailbox.push_view(name, key.as_str(), json);
        }
        self.readers.entry((name, key.clone())).or_default().insert(session, Reader { key, mailbox });
    }

    pub(crate) fn unsubscribe(&mut self, name: &'static str, key: &Id, session: SessionKey) {
        let at = (name, key.clone());
        if let Some(readers) = self.readers.get_mut(&at) {
            readers.remove(&session);
            if readers.is_empty() {
                self.readers.remove(&at);
                self.changed.remove(&at);
            }
        }
    }

    /// Sends every changed picture to those of its readers who still may see it.
    pub(crate) fn flush(&mut self, as_of: EventId, may_see: impl Fn(&'static str, &Id, SessionKey) -> bool) {
        for (name, key) in std::mem::take(&mut self.changed) {
            let Some(readers) = self.readers.get_mut(&(name, key.clone())) else { continue };
            readers.retain(|session, _| may_see(name, &key, *session));
            // Encoded once for each spelling of the key, of which there are two.
            let mut encoded: Vec<(Value, Arc<str>)> = Vec::new();
            for Reader { key, mailbox } in self.readers[&(name, key)].values() {
                let spelling = key.to_json();
                let known = encoded.iter().find(|(known, _)| *known == spelling).map(|(_, json)| Arc::clone(json));
                let Some(json) = known.or_else(|| self.picture(name, key, as_of)) else { continue };
                mailbox.push_view(name, key.as_str(), Arc::clone(&json));
                if encoded.iter().all(|(known, _)| *known != spelling) {
                    encoded.push((spelling, json));
                }
            }
        }
    }

    #[cfg(test)]
    pub(crate) fn has_no_readers(&self) -> bool {
        self.readers.is_empty()
    }

    fn picture(&self, name: &str, key: &Id, as_of: EventId) -> Option<Arc<str>> {
        let data = RawValue::from_string(self.states.get(name)?.show(key).to_string()).ok()?;
        Some(ServerFrame::View { view: name, key, data: &data, as_of }.to_json().into())
    }
}
