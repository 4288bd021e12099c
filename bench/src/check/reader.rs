//! One connection read from its start: where it stands, what it has passed, and whether it may say so.
//!
//! Invariant: the position only falls when a rewind takes effect. It takes effect with the first thing that lies at or below
//! the position, because what was on the wire when the rewind left still arrives in the old order. Where a second rewind left
//! before the first took effect, nobody can tell which of them an event answers: then the reading that accuses least counts.

use std::collections::VecDeque;

use super::audience;
use super::membership::{Standing, Story, revoked_before};
use super::report::Tallies;
use super::rules::Rule;
use super::truth::{Due, Kind, Truth};
use crate::history::{Channel, Conn, Person};

/// One channel that a person reads, or once read, and what was due in it.
pub struct Lane<'t> {
    /// Which channel.
    pub channel: Channel,
    /// The person's membership of it.
    pub story: &'t Story,
    /// Its events, rising.
    pub due: &'t [Due],
}

/// Whom a connection belongs to, and where its faults are counted.
pub struct Desk<'a, 't, 'h> {
    /// The run.
    pub truth: &'t Truth<'h>,
    /// Whose connection.
    pub person: Person,
    /// All that this person may ever have been due.
    pub lanes: &'a [Lane<'t>],
    /// The counters.
    pub tallies: &'a mut Tallies,
}

/// An event as it arrived on a connection.
#[derive(Clone, Copy)]
pub struct Arrival {
    /// When.
    pub at_us: u64,
    /// Where.
    pub conn: Conn,
    /// What.
    pub id: u64,
    /// Of which channel.
    pub channel: Channel,
}

/// A `replay_complete` as it arrived.
#[derive(Clone, Copy)]
pub struct Completed {
    /// When.
    pub at_us: u64,
    /// The cursor that was asked for.
    pub from: u64,
    /// Replayed up to here.
    pub to: u64,
    /// Events sent.
    pub count: u64,
}

/// Ids above `after`, up to and with `through`.
#[derive(Clone, Copy)]
pub struct Span {
    /// The cursor before.
    pub after: u64,
    /// The last id.
    pub through: u64,
}

/// The next due event of a lane that this connection has not passed yet.
#[derive(Clone, Copy)]
struct Ahead {
    index: usize,
    /// `u64::MAX` at the end of the lane.
    id: u64,
}

/// What arrived since a replay was asked for.
struct Replay {
    since: u64,
    received: Vec<u64>,
    /// Whether it is known where it began. Without a repeated event, the first ones received may still have been on the wire.
    begun: bool,
}

/// A rewind that has not taken effect.
struct Rewinding {
    at_us: u64,
    position: u64,
    replay: Replay,
}

/// What a pass over a due event means.
#[derive(Clone, Copy)]
struct Pass {
    at_us: u64,
    received: Option<u64>,
    /// Under which rule a missing event counts.
    rule: Rule,
}

/// One connection.
pub struct Reader {
    conn: Conn,
    decided_at_us: u64,
    resumed: bool,
    start: Option<u64>,
    position: Option<u64>,
    last_event: Option<u64>,
    last_cursor: Option<u64>,
    excuses: Vec<Span>,
    ahead: Vec<Ahead>,
    replay: Option<Replay>,
    /// In the order in which they left.
    rewinding: VecDeque<Rewinding>,
    /// A second rewind left before the first took effect: what a `replay_complete` counts cannot be told any more.
    rewinds_overlapped: bool,
}

// === impl Span ===

impl Span {
    /// Whether an id lies within.
    pub fn holds(self, id: u64) -> bool {
        self.after < id && id <= self.through
    }
}

// === impl Ahead ===

impl Ahead {
    fn at(lane: &Lane, index: usize) -> Self {
        Self { index, id: lane.due.get(index).map_or(u64::MAX, |due| due.id) }
    }

    fn after(lane: &Lane, position: u64) -> Self {
        Self::at(lane, lane.due.partition_point(|due| due.id <= position))
    }
}

// === impl Replay ===

impl Replay {
    fn fault(&self, Completed { from, to, count, .. }: Completed) -> Option<String> {
        let span = Span { after: from, through: to };
        let received = self.received.iter().filter(|id| span.holds(**id)).count() as u64;
        let plausible = if self.begun { received == count } else { received >= count };
        (!plausible).then(|| format!("replay_complete from {from} to {to} counts {count}, received were {received}"))
    }
}

// === impl Reader ===

impl Reader {
    /// A connection was asked for.
    pub fn connect(desk: &Desk, conn: Conn, at_us: u64, since: Option<u64>) -> Self {
        let mut reader = Self {
            conn,
            decided_at_us: at_us,
            resumed: since.is_some(),
            start: since,
            position: None,
            last_event: None,
            last_cursor: None,
            excuses: Vec::new(),
            ahead: Vec::new(),
            replay: since.map(|since| Replay { since, received: Vec::new(), begun: true }),
            rewinding: VecDeque::new(),
            rewinds_overlapped: false,
        };
        if let Some(since) = since {
            reader.stand_at(desk, since);
        }
        reader
    }

    /// Where the connection stands; nowhere before its connect answer, unless it passed a cursor.
    pub fn position(&self) -> Option<u64> {
        self.position
    }

    /// The connect answer: who passed no cursor begins at the head.
    pub fn established(&mut self, desk: &mut Desk, head: u64) {
        self.exists(desk, head);
        if self.position.is_none() {
            self.start = Some(head);
            self.stand_at(desk, head);
        }
    }

    /// A rewind was asked for.
    pub fn rewind(&mut self, at_us: u64, since: u64) {
        let Some(position) = self.position else { return };
        self.rewinds_overlapped |= !self.rewinding.is_empty();
        self.resumed = true;
        self.last_cursor = None;
        self.rewinding.push_back(Rewinding { at_us, position, replay: Replay { since, received: Vec::new(), begun: false } });
    }

    /// A gap was told: what it covers need not arrive any more.
    pub fn gap(&mut self, told: Span) {
        self.excuses.push(told);
    }

    /// An event arrived.
    pub fn event(&mut self, desk: &mut Desk, event: Arrival) {
        let Some(before) = self.position else {
            return desk.tallies.violation(Rule::RecordsSound, || {
                format!("connection {} got id {} before its connect answer", self.conn, event.id)
            });
        };
        if event.id <= before {
            self.turn_back(desk, event.id.saturating_sub(1));
        }
        self.order(desk, event.id);
        audience::check(desk.truth, desk.person, event, self.decided_at_us, desk.tallies);
        self.pass(desk, event.id, Pass { at_us: event.at_us, received: Some(event.id), rule: Rule::SilentGaps });
        let replays = self.replay.iter_mut().chain(self.rewinding.iter_mut().map(|rewinding| &mut rewinding.replay));
        replays.for_each(|replay| replay.received.push(event.id));
    }

    /// The server said that everything due up to `cursor` has been sent.
    pub fn cursor(&mut self, desk: &mut Desk, at_us: u64, cursor: u64) {
        if self.position.is_some_and(|position| cursor < position) {
            self.turn_back(desk, cursor);
        }
        desk.tallies.chances(Rule::CursorHonest, 1);
        self.exists(desk, cursor);
        if let Some(last) = self.last_cursor.filter(|last| cursor < *last) {
            desk.tallies
                .violation(Rule::CursorHonest, || format!("connection {} was told cursor {last} and then {cursor}", self.conn));
        }
        let told = cursor.min(desk.truth.highest_possible);
        self.pass(desk, told, Pass { at_us, received: None, rule: Rule::CursorHonest });
        self.last_cursor = Some(cursor);
    }

    /// A replay ended.
    pub fn replay_complete(&mut self, desk: &mut Desk, completed: Completed) {
        // Both a replay under way and a rewind to the same cursor may be meant: then what fits the count.
        let fits = |replay: &Replay| replay.since == completed.from && replay.fault(completed).is_none();
        if !self.replay.as_ref().is_some_and(fits) {
            self.replay_of_nothing(desk, completed);
        }
        let to = completed.to.min(desk.truth.highest_possible);
        self.pass(desk, to, Pass { at_us: completed.at_us, received: None, rule: Rule::SilentGaps });
        let replay = self.replay.take_if(|replay| replay.since == completed.from);
        if self.rewinds_overlapped {
            return;
        }
        desk.tallies.chances(Rule::ReplayCount, 1);
        if let Some(fault) = fault(replay, completed) {
            desk.tallies.violation(Rule::ReplayCount, || format!("connection {}: {fault}", self.conn));
        }
    }

    /// The run is over: what others were due and this connection passed were chances to see what is foreign.
    pub fn finish(&self, desk: &mut Desk) {
        let (Some(start), Some(position)) = (self.start, self.position) else { return };
        let all = desk.truth.rank(position).saturating_sub(desk.truth.rank(start));
        let own: usize = desk
            .lanes
            .iter()
            .map(|lane| Ahead::after(lane, position).index.saturating_sub(Ahead::after(lane, start).index))
            .sum();
        desk.tallies.chances(Rule::ForeignDeliveries, all.saturating_sub(own) as u64);
        let of_cadets = |id| desk.truth.of_cadets.partition_point(|of_cadet| *of_cadet <= id);
        let others = of_cadets(position).saturating_sub(of_cadets(start)).saturating_sub(own);
        desk.tallies.chances(Rule::OwnCadetOnly, others as u64);
    }

    fn stand_at(&mut self, desk: &Desk, position: u64) {
        self.position = Some(position);
        self.ahead = desk.lanes.iter().map(|lane| Ahead::after(lane, position)).collect();
    }

    /// Lets the first rewind take effect that reaches back below what arrived.
    fn turn_back(&mut self, desk: &Desk, after: u64) {
        let Some(place) = self.rewinding.iter().position(|rewinding| rewinding.replay.since <= after) else { return };
        let Some(Rewinding { at_us, replay, .. }) = self.rewinding.drain(..=place).next_back() else { return };
        let since = replay.since;
        // A later rewind may cut this replay short at any point and go on from its own cursor.
        let later = self.rewinding.iter().map(|later| later.replay.since).filter(|later| *later > since);
        self.excuses.extend(later.map(|later| Span { after: since, through: later }));
        self.decided_at_us = at_us;
        self.last_event = None;
        self.last_cursor = None;
        self.stand_at(desk, since);
        self.replay = Some(Replay { since, received: Vec::new(), begun: true });
    }

    /// A replay ended and nothing from below the old position had come of it: so nothing there may have been due.
    fn replay_of_nothing(&mut self, desk: &mut Desk, completed: Completed) {
        let answered = self.rewinding.iter().position(|rewinding| rewinding.replay.since == completed.from);
        let answered = answered.and_then(|place| self.rewinding.drain(..=place).next_back());
        let (Some(rewinding), Some(position)) = (answered, self.position) else { return };
        if !self.rewinds_overlapped {
            let decided_at_us = std::mem::replace(&mut self.decided_at_us, rewinding.at_us);
            self.stand_at(desk, rewinding.replay.since);
            let at_us = completed.at_us;
            self.pass(desk, rewinding.position, Pass { at_us, received: None, rule: Rule::SilentGaps });
            self.stand_at(desk, position);
            self.decided_at_us = decided_at_us;
        }
        self.replay = Some(rewinding.replay);
    }

    fn order(&mut self, desk: &mut Desk, id: u64) {
        if self.resumed {
            desk.tallies.chances(Rule::DuplicatesAfterTheCursor, 1);
        }
        if let Some(position) = self.position.filter(|position| id <= *position) {
            desk.tallies.violation(Rule::DuplicatesAfterTheCursor, || {
                format!("connection {} stood at {position} and got id {id}", self.conn)
            });
        }
        if let Some(last) = self.last_event {
            desk.tallies.chances(Rule::OutOfOrder, 1);
            if id < last {
                desk.tallies.violation(Rule::OutOfOrder, || format!("connection {} got id {id} after {last}", self.conn));
            }
        }
        self.last_event = self.last_event.max(Some(id));
    }

    fn exists(&self, desk: &mut Desk, cursor: u64) {
        let highest = desk.truth.highest_possible;
        if cursor > highest {
            desk.tallies.violation(Rule::CursorHonest, || {
                format!("connection {} was told {cursor}, no id above {highest} can exist", self.conn)
            });
        }
    }

    /// Moves the position up and weighs everything due on the way.
    fn pass(&mut self, desk: &mut Desk, to: u64, pass: Pass) {
        if self.position.is_none_or(|position| to <= position) {
            return;
        }
        let mut ahead = std::mem::take(&mut self.ahead);
        for (lane, ahead) in desk.lanes.iter().zip(&mut ahead) {
            while ahead.id <= to && ahead.index < lane.due.len() {
                self.weigh(desk.truth, desk.person, lane, ahead.id, pass, desk.tallies);
                *ahead = Ahead::at(lane, ahead.index + 1);
            }
        }
        self.ahead = ahead;
        self.position = Some(to);
    }

    fn weigh(&self, truth: &Truth, person: Person, lane: &Lane, id: u64, pass: Pass, tallies: &mut Tallies) {
        match lane.story.standing(id) {
            Standing::Member { later } if revoked_before(later, self.decided_at_us).is_some() => {
                // Of a cadet's channel everything is due but what came in between: it may arrive late, and did perhaps before.
                if truth.kinds.get(lane.channel as usize) != Some(&Kind::Cadet) {
                    tallies.chances(Rule::GrantBoundary, 1);
                }
            }
            Standing::Member { .. } => {
                let excused = self.excuses.iter().any(|told| told.holds(id));
                if excused || !lane.story.is_firm(id, pass.at_us) {
                    return;
                }
                tallies.chances(Rule::SilentGaps, 1);
                if pass.received != Some(id) {
                    tallies.violation(pass.rule, || {
                        let (name, channel) = (truth.person_name(person), truth.channel_name(lane.channel));
                        format!("{name} did not get id {id} of {channel} on connection {}, which passed it", self.conn)
                    });
                }
            }
            Standing::Revoked { .. } => tallies.chances(Rule::DeliveriesAfterRevocation, 1),
            Standing::NotYet { first_grant } if first_grant.acked_at_us < self.decided_at_us => {
                tallies.chances(Rule::GrantBoundary, 1);
            }
            Standing::NotYet { .. } | Standing::Never => {}
        }
    }
}

fn fault(replay: Option<Replay>, completed: Completed) -> Option<String> {
    let Completed { from, to, count, .. } = completed;
    match replay {
        Some(replay) => replay.fault(completed),
        None => (count > 0).then(|| format!("replay_complete from {from} to {to}, which nobody asked for")),
    }
}
