//! The test bench for one feature: a real journal of its own, a clock that moves when told, and the log to look at.

mod database;

use crate::{Action, Caller, Effect, Feature, Fields, Id, Method, Refusal, Registry, Site, View};
use campanile_journal::{Handlers, JournalLimits, ManualClock, Outcome, run_due};
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
    _folder: Option<tempfile::TempDir>,
    _database: Option<database::Database>,
}

impl Bench {
    /// A fresh site with these features, on SQLite.
    ///
    /// # Panics
    /// When the store cannot be opened.
    pub async fn new(features: &[Feature]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = format!("sqlite://{}/bench.db", folder.path().display());
        Self { _folder: Some(folder), ..Self::on(&store, features).await }
    }

    /// A site with these features in this store, which is left as it is afterwards.
    ///
    /// # Panics
    /// When the store cannot be opened.
    pub async fn on(store: &str, features: &[Feature]) -> Self {
        let clock = ManualClock::at(1_767_225_600_000);
        let registry = Registry::new(features, Vec::new()).expect("the features' declarations agree");
        let site = Site::open(store, registry, JournalLimits::default(), clock.clone()).await.expect("the store opens");
        Self { site, clock, seen: 0, _folder: None, _database: None }
    }

    /// Fresh sites with these features: one on SQLite, and one on PostgreSQL where `CAMPANILE_TEST_POSTGRES` names a server.
    ///
    /// # Panics
    /// When a store cannot be opened.
    pub async fn on_every_store(features: &[Feature]) -> Vec<Self> {
        let mut benches = vec![Self::new(features).await];
        if let Some(database) = database::Database::on_the_named_server() {
            let bench = Self::on(&database.url(), features).await;
            benches.push(Self { _database: Some(database), ..bench });
        }
        benches
    }

    /// Runs a command by its name.
    ///
    /// # Errors
    /// The command's refusal.
    pub async fn run(&self, caller: &Caller, name: &str, fields: impl Into<Fields>) -> Result<Outcome, Refusal> {
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

    /// A view by its name, rebuilt from the tables as they are now.
    ///
    /// # Panics
    /// When there is no such view, or the store fails.
    pub async fn build_view(&self, name: &str) -> Box<dyn View> {
        let view = *self.site.registry.view(name).expect("the view is declared");
        let mut reader = self.site.journal.reader().await.expect("a reader");
        (view.build)(&mut reader).await.expect("the view builds")
    }

    /// Runs every job that is due, inline, until none is; answers how many attempts there were.
    ///
    /// # Panics
    /// When the store fails, or a due job is of no declared kind.
    pub async fn run_due_jobs(&self) -> usize {
        let handlers =
            self.site.registry.jobs().fold(Handlers::default(), |all, job| all.with_shared(job.kind, (job.handler)()));
        run_due(&self.site.journal, &handlers).await.expect("the jobs run").len()
    }

    /// The events since the last look, each as `type channel data`, and then ` +person channel` for each grant and ` -person channel`
    /// for each revocation.
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
    let mut line = format!("{} {} {}", event.kind, event.channel, event.data);
    for effect in &event.effects {
        line += &match effect {
            Effect::Grant { person, channel } => format!(" +{person} {channel}"),
            Effect::Revoke { person, channel } => format!(" -{person} {channel}"),
            Effect::SignOut { person } => format!(" signs out {person}"),
            Effect::RevokeToken { token_id, person } => format!(" ends token {token_id}{}", of(person)),
            Effect::EndSession { connection, person } => format!(" ends {connection}{}", of(person)),
        };
    }
    line
}

fn of(person: &Option<Id>) -> String {
    person.as_ref().map_or_else(String::new, |person| format!(" of {person}"))
}

/// A service with these scopes.
pub fn service(scopes: &[&str]) -> Caller {
    Caller::Service(ServiceCaller { name: "bench".into(), scopes: scopes.iter().map(ToString::to_string).collect() })
}

/// A person with this role.
pub fn person(id: i64, role: &str) -> Caller {
    Caller::Person(PersonCaller {
        id: Id::from(id),
        role: Some(role.into()),
        cadet: None,
        expires_at_ms: i64::MAX,
        token_id: None,
        issued_at_ms: None,
    })
}
