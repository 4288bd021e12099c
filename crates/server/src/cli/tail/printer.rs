//! What `campanile tail` shows of the frames that it hears.

use crate::cli::stream::Ear;
use crate::cli::stream::frame::Frame;
use crate::cli::terminal;
use std::ops::ControlFlow;

pub(super) struct Printer {
    types: Vec<String>,
    json: bool,
    count_max: Option<u64>,
    shown: u64,
    /// Connections that stood since somebody asked.
    opened: bool,
    /// Whether there has been one before.
    before: bool,
}

impl Printer {
    pub(super) fn new(types: Vec<String>, json: bool, count_max: Option<u64>) -> Self {
        Self { types, json, count_max, shown: 0, opened: false, before: false }
    }

    pub(super) fn shown(&self) -> u64 {
        self.shown
    }

    /// Whether a connection stood since this was asked last.
    pub(super) fn was_opened(&mut self) -> bool {
        std::mem::take(&mut self.opened)
    }
}

impl Ear for Printer {
    fn opened(&mut self) {
        if std::mem::replace(&mut self.before, true) {
            terminal::say("connected again");
        }
        self.opened = true;
    }

    fn hear(&mut self, frame: &Frame) -> anyhow::Result<ControlFlow<()>> {
        let is_asked_for = self.types.is_empty() || self.types.contains(&frame.kind);
        match frame.kind.as_str() {
            "gap" if self.json => terminal::out(&frame.text)?,
            "gap" => terminal::out(&frame.line())?,
            "error" => terminal::say(&frame.line()),
            _ if frame.is_event() && is_asked_for => {
                terminal::out(&if self.json { frame.text.clone() } else { frame.line() })?;
                self.shown += 1;
            }
            _ => {}
        }
        Ok(if self.count_max.is_some_and(|max| self.shown >= max) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }
}
