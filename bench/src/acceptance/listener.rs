//! The ear of a person in the run: writes down what is heard and moves the cursor as a client of the protocol does.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use super::world::World;
use crate::{
    client::{Ear, Heard},
    history::{Conn, Record},
};

/// Listens to one connection.
pub struct Listener {
    world: Arc<World>,
    conn: Conn,
    /// What the client would resume from. With a cursor of its own it does not take the head for one.
    pub cursor: Option<u64>,
    /// The server's last advice when to come back.
    pub come_back: Option<Duration>,
    pub established: bool,
    counted: bool,
}

// === impl Listener ===

impl Listener {
    /// For a connection that was asked for with this cursor.
    pub fn new(world: Arc<World>, conn: Conn, cursor: Option<u64>) -> Self {
        Self { world, conn, cursor, come_back: None, established: false, counted: false }
    }

    /// The connection counts as one of those that are there now.
    pub fn count_connected(&mut self) {
        if !std::mem::replace(&mut self.counted, true) {
            self.world.connected.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn establish(&mut self, head: u64, epoch: Option<u64>) {
        let epoch = match epoch {
            Some(epoch) => {
                self.world.epoch.store(epoch, Ordering::Relaxed);
                epoch
            }
            None => self.world.epoch.load(Ordering::Relaxed),
        };
        self.established = true;
        self.count_connected();
        self.world.recorder.put(|at_us| Record::Established { at_us, conn: self.conn, head, epoch });
        self.cursor.get_or_insert(head);
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if self.counted {
            self.world.connected.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Ear for Listener {
    fn hear(&mut self, heard: Heard<'_>) {
        let (recorder, conn) = (&self.world.recorder, self.conn);
        match heard {
            Heard::Established { head, epoch } => self.establish(head, epoch),
            Heard::Event { id, seq, channel, mark, recorded_at_ms } => {
                recorder.event(conn, id, seq, channel, mark, recorded_at_ms);
                self.cursor = Some(id);
            }
            Heard::Gap { from, to } => {
                recorder.put(|at_us| Record::Gap { at_us, conn, from, to });
                self.cursor = Some(to);
            }
            Heard::Cursor(cursor) => {
                recorder.put(|at_us| Record::Cursor { at_us, conn, cursor });
                self.cursor = Some(cursor);
            }
            Heard::ReplayComplete { from, to, count, gap } => {
                recorder.put(|at_us| Record::ReplayComplete { at_us, conn, from, to, count, gap });
                self.cursor = Some(to);
            }
            Heard::ComeBack(pause) => self.come_back = Some(pause),
            Heard::Complaint(code) => self.world.tally.trouble(format!("connection {conn} got an error frame: {code}")),
        }
    }
}
