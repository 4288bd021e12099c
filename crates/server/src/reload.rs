//! A reload: reads the configuration again and puts into force what may change while the server runs, all of it or nothing.

use crate::app::{self, App};
use crate::config::{Change, Faults, Given, Loaded};
use crate::log;
use crate::notify::{self, State};
use anyhow::Result;
use std::sync::Arc;

/// What a reload starts from.
pub(crate) struct Reload {
    given: Given,
    loaded: Loaded,
    app: Arc<App>,
}

impl Reload {
    /// `loaded` is what the server was started with.
    pub(crate) fn new(given: Given, loaded: Loaded, app: Arc<App>) -> Self {
        Self { given, loaded, app }
    }

    /// Reads the configuration again. What is wrong with it stands in the log, and then everything stays as it was.
    pub(crate) fn again(&mut self) {
        notify::tell(State::Reloading);
        match self.read() {
            Ok(changes) => tell(&changes),
            Err(error) => {
                let why = match error.downcast_ref::<Faults>() {
                    Some(faults) => faults.to_string().replace('\n', "; "),
                    None => format!("{error:#}"),
                };
                tracing::error!(why, "the configuration was not reloaded; the old one stays in force");
            }
        }
        notify::tell(State::Ready);
    }

    fn read(&mut self) -> Result<Vec<Change>> {
        let next = self.given.load()?;
        // What waits for a restart is judged too: a restart must not be the first to find out.
        drop(self.app.judged(&next.config)?);
        app::judge_start(&next.config)?;
        log::check(&next.config.log)?;
        let changes = self.loaded.changes(&next);
        let in_force = self.loaded.reloaded_as(&next)?;
        let mut judged = self.app.judged(&in_force.config)?;
        if !changes.iter().any(|change| change.path.starts_with("auth.")) {
            judged = self.app.keeping_answers(judged);
        }
        log::set_levels(&in_force.config.log)?;
        self.app.apply(in_force.config.clone(), judged);
        self.loaded = in_force;
        Ok(changes)
    }
}

/// The names of keys alone: values may be secrets.
fn tell(changes: &[Change]) {
    let named = |reloads: bool| {
        let of_kind = changes.iter().filter(|change| change.reloads == reloads);
        of_kind.map(|change| change.path.as_str()).collect::<Vec<_>>().join(", ")
    };
    let (changed, needs_restart) = (named(true), named(false));
    if needs_restart.is_empty() {
        tracing::info!(changed, "the configuration was reloaded");
    } else {
        tracing::warn!(changed, needs_restart, "the configuration was reloaded, but for the keys that need a restart");
    }
}
