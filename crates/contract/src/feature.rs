//! A feature: what one folder declares.

use crate::command::CommandType;
use crate::event_type::{ChannelKind, EventType};
use crate::job::JobType;
use crate::route::Route;
use crate::view::ViewType;
use campanile_journal::Migration;

/// Everything a feature brings. Its `mod.rs` is this value: the feature's table of contents.
#[derive(Clone, Copy)]
pub struct Feature {
    /// The folder's name.
    pub name: &'static str,
    /// Its tables, numbered from 1.
    pub migrations: &'static [Migration],
    /// The kinds of channel that it grants.
    pub channel_kinds: &'static [ChannelKind],
    /// The events that it emits or lets hosts publish.
    pub events: &'static [EventType],
    /// The commands that `command` frames may name.
    pub commands: &'static [CommandType],
    /// Its REST routes.
    pub routes: &'static [Route],
    /// Its views.
    pub views: &'static [ViewType],
    /// Its jobs.
    pub jobs: &'static [JobType],
}
