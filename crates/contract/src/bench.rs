//! The test bench for one feature: a real SQLite journal in a temporary folder, a clock that moves when told, and the log to look at.

use crate::{Action, Caller, Feature, Id, Method, Refusal, Registry, Site};
use campanile_journal::{JournalLimits, ManualClock, Outcome};
use campanile_wire::caller::{PersonCaller, ServiceCaller};
use campanile_wire::{Event, EventId};
use serde_json::Value;
use std::sync::Arc;

/// A site with one feature, alone.
pub struct Bench {
    /// The site under test.
    pub site: Site,
    /// Its clock; starts at 2026-01-01T00:00:00Z.
    pub clock: Arc<ManualClock>,
    seen: EventId,
    // Removed with everything in it when the bench is dropped.
    _folder: tempfile::TempDir,
}

impl Bench {
    /// A fresh site with these features.
    ///
    /// # Panics
    /// When the store cannot be opened.
    pub async fn new(features: &[Feature]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let clock = ManualClock::at(1_767_225_600_000);
        let registry = Registry::new(features, Vec::new()).expect("the features' declarations agree");
        let store = format!("sqlite://{}/bench.db", folder.path().display());
        let site = Site::open(&store, registry, JournalLimits::default(), clock.clone()).await.expect("a fresh store opens");
        Self { site, clock, seen: 0, _folder: folder }
    }

    /// Runs a command by its name.
    ///
    /// # Errors
    /// The command's refusal.
    pub async fn run(&self, caller: &Caller, name: &str, fields: Value) -> Result<Outcome, Refusal> {
        let command = *self.site.registry.command(name)?;
        self.site.command(caller, &command, fields, None).await.map_err(Refusal::from)
    }

    /// Asks a GET route's query, with its fields.
    ///
    /// # Errors
    /// The query's refusal.
    ///
    /// # Panics
    /// When there is no such route.
    pub async fn ask(&self, caller: &Caller, path: &str, fields: Value) -> Result<Value, Refusal> {
        let route = self.site.registry.routes().iter().find(|route| route.path == path && route.method == Method::Get);
        let Some(Action::Query(query)) = route.map(|route| route.action) else { panic!("there is no query at {path}") };
        let answer = self.site.query(caller, &query, fields).await?;
        Ok(serde_json::from_str(&answer).expect("an answer is JSON"))
    }

    /// The events since the last look, each as `type channel data`.
    ///
    /// # Panics
    /// When the store fails.
    pub async fn new_events(&mut self) -> Vec<String> {
        let events = self.site.journal.read(self.seen, EventId::MAX >> 1, 10_000).await.expect("the log reads");
        self.seen = events.last().map_or(self.seen, |event| event.id);
        events.iter().map(line).collect()
    }
}

fn line(event: &Event) -> String {
    format!("{} {} {}", event.kind, event.channel, event.data)
}

/// A service with these scopes.
pub fn service(scopes: &[&str]) -> Caller {
    Caller::Service(ServiceCaller { name: "bench".into(), scopes: scopes.iter().map(ToString::to_string).collect() })
}

/// A person with this role.
pub fn person(id: i64, role: &str) -> Caller {
    Caller::Person(PersonCaller { id: Id::from(id), role: Some(role.into()), cadet: None, expires_at_ms: i64::MAX })
}
