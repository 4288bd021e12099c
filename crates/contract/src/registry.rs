//! The event registry: what all features and the host declare together.

use crate::command::CommandType;
use crate::event_type::{ChannelKind, EventType, History};
use crate::feature::Feature;
use crate::job::JobType;
use crate::route::Route;
use crate::view::ViewType;
use campanile_journal::Migration;
use campanile_wire::{Channel, ErrorCode, Refusal};
use std::collections::BTreeMap;

/// Channel kinds that exist without any feature: everyone's own, by role, by cadet, and plain rooms.
const OWN_KINDS: &[ChannelKind] = &[
    ChannelKind::new("user", History::All),
    ChannelKind::new("role", History::SinceGrant),
    ChannelKind::new("cadet", History::All).overseen_by(&["admin", "training_staff"]).named("cadet_id"),
];

/// Everything that is declared, by name.
pub struct Registry {
    events: BTreeMap<String, EventType>,
    channel_kinds: BTreeMap<&'static str, ChannelKind>,
    commands: BTreeMap<&'static str, CommandType>,
    views: BTreeMap<&'static str, ViewType>,
    jobs: BTreeMap<&'static str, JobType>,
    routes: Vec<Route>,
    migrations: Vec<Migration>,
}

impl Registry {
    /// The registry of these features and the host's own event types.
    ///
    /// # Errors
    /// A sentence when a host's type takes a feature's name or names an unknown channel kind.
    ///
    /// # Panics
    /// When two features declare the same name: a programmer's error.
    pub fn new(features: &[Feature], host_types: Vec<EventType>) -> Result<Self, String> {
        let mut registry = Self {
            events: BTreeMap::new(),
            channel_kinds: OWN_KINDS.iter().map(|kind| (kind.name, kind.clone())).collect(),
            commands: BTreeMap::new(),
            views: BTreeMap::new(),
            jobs: BTreeMap::new(),
            routes: Vec::new(),
            migrations: Vec::new(),
        };
        for feature in features {
            registry.add(feature);
        }
        for host_type in host_types {
            if !registry.channel_kinds.contains_key(&*host_type.channel_kind) {
                return Err(format!("event type {}: there is no channel kind {}", host_type.name, host_type.channel_kind));
            }
            if let Some(taken) = registry.events.insert(host_type.name.to_string(), host_type) {
                return Err(format!("event type {} is declared twice", taken.name));
            }
        }
        Ok(registry)
    }

    fn add(&mut self, feature: &Feature) {
        let once = |taken: bool, what: &str| assert!(!taken, "{what} of {} is declared twice", feature.name);
        for kind in feature.channel_kinds {
            once(self.channel_kinds.insert(kind.name, kind.clone()).is_some(), kind.name);
        }
        for event in feature.events {
            once(self.events.insert(event.name.to_string(), event.clone()).is_some(), &event.name);
        }
        for command in feature.commands {
            once(self.commands.insert(command.name, *command).is_some(), command.name);
        }
        for view in feature.views {
            once(self.views.insert(view.name, *view).is_some(), view.name);
        }
        for job in feature.jobs {
            once(self.jobs.insert(job.kind, *job).is_some(), job.kind);
        }
        self.routes.extend_from_slice(feature.routes);
        self.migrations.extend_from_slice(feature.migrations);
    }

    /// The event type of this name.
    ///
    /// # Errors
    /// `unknown_event_type`, with how to declare it.
    pub fn event_type(&self, name: &str) -> Result<&EventType, Refusal> {
        self.events.get(name).ok_or_else(|| {
            let name: String = name.chars().take(64).collect();
            let message = format!("{name:?} is no known event type; declare it in campanile.toml under [[event_type]]");
            Refusal::new(ErrorCode::UnknownEventType, message)
        })
    }

    /// A channel of a known kind; a bare course id means `course:`.
    ///
    /// # Errors
    /// `unknown_channel`, with the kinds there are.
    pub fn channel(&self, text: &str) -> Result<Channel, Refusal> {
        let parsed = Channel::parse(text).ok().filter(|channel| self.channel_kinds.contains_key(channel.kind()));
        parsed.ok_or_else(|| {
            let kinds = self.channel_kinds.keys().copied().collect::<Vec<_>>().join(", ");
            Refusal::new(ErrorCode::UnknownChannel, format!("a channel is kind:id, with one of the kinds {kinds}"))
        })
    }

    /// What a member of such a channel is due of the time before the latest grant.
    pub fn history(&self, channel_kind: &str) -> History {
        self.channel_kinds.get(channel_kind).map_or(History::SinceGrant, |kind| kind.history)
    }

    /// The roles whose members are due what every channel of this kind gets.
    pub fn overseers(&self, channel_kind: &str) -> &'static [&'static str] {
        self.channel_kinds.get(channel_kind).map_or(&[], |kind| kind.overseers)
    }

    /// The name under which a channel's id stands at the top level of event stream blocks, if it does.
    pub fn id_name(&self, channel_kind: &str) -> Option<&'static str> {
        self.channel_kinds.get(channel_kind).and_then(|kind| kind.id_name)
    }

    /// The kinds of channel that some role oversees.
    pub fn overseen_kinds(&self) -> impl Iterator<Item = &ChannelKind> {
        self.channel_kinds.values().filter(|kind| !kind.overseers.is_empty())
    }

    /// The command of this name.
    ///
    /// # Errors
    /// `unknown_command`.
    pub fn command(&self, name: &str) -> Result<&CommandType, Refusal> {
        self.commands.get(name).ok_or_else(|| ErrorCode::UnknownCommand.into())
    }

    /// The view of this name.
    ///
    /// # Errors
    /// `unknown_view`.
    pub fn view(&self, name: &str) -> Result<&ViewType, Refusal> {
        self.views.get(name).ok_or_else(|| ErrorCode::UnknownView.into())
    }

    /// Every event type, by name.
    pub fn event_types(&self) -> impl Iterator<Item = &EventType> {
        self.events.values()
    }

    /// Every command, by name.
    pub fn commands(&self) -> impl Iterator<Item = &CommandType> {
        self.commands.values()
    }

    /// Every view, by name.
    pub fn views(&self) -> impl Iterator<Item = &ViewType> {
        self.views.values()
    }

    /// Every job, by kind.
    pub fn jobs(&self) -> impl Iterator<Item = &JobType> {
        self.jobs.values()
    }

    /// Every REST route of the features.
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// Every migration of the features.
    pub fn migrations(&self) -> &[Migration] {
        &self.migrations
    }
}
