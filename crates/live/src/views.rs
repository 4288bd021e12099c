//! Views on their way to readers: the whole picture at subscribe, then the newest at a bounded rate.

use crate::hub::SessionKey;
use crate::mailbox::Mailbox;
use campanile_contract::View;
use campanile_wire::frame::ServerFrame;
use campanile_wire::{Event, EventId, Id};
use serde_json::value::RawValue;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// The states of every view, and who reads them.
pub(crate) struct Views {
    states: BTreeMap<&'static str, Box<dyn View>>,
    readers: HashMap<(&'static str, Id), HashMap<SessionKey, Arc<Mailbox>>>,
    changed: HashSet<(&'static str, Id)>,
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
        self.readers.entry((name, key)).or_default().insert(session, mailbox);
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
            let Some(json) = self.picture(name, &key, as_of) else { continue };
            let Some(readers) = self.readers.get_mut(&(name, key.clone())) else { continue };
            readers.retain(|session, _| may_see(name, &key, *session));
            for mailbox in readers.values() {
                mailbox.push_view(name, key.as_str(), Arc::clone(&json));
            }
        }
    }

    fn picture(&self, name: &str, key: &Id, as_of: EventId) -> Option<Arc<str>> {
        let data = RawValue::from_string(self.states.get(name)?.show(key).to_string()).ok()?;
        Some(ServerFrame::View { view: name, key, data: &data, as_of }.to_json().into())
    }
}
