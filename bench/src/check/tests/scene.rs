//! Finds places in a faithful run where a fault can be planted, and plants it.

use std::collections::{HashMap, HashSet};

use super::faithful::STEADY;
use crate::history::{Change, Channel, Conn, History, Person, Record, Transport};

/// An event as it was delivered.
#[derive(Clone, Copy, Debug)]
pub struct Delivery {
    pub index: usize,
    pub conn: Conn,
    pub person: Person,
    pub id: u64,
    pub channel: Channel,
}

/// A connection of the faithful run.
#[derive(Clone, Debug)]
pub struct Opened {
    pub conn: Conn,
    pub person: Person,
    pub transport: Transport,
    pub since: Option<u64>,
    pub start: u64,
    /// Places of its records, the connect first.
    pub records: Vec<usize>,
    pub rewound: bool,
}

/// One acknowledged membership change.
#[derive(Clone, Copy, Debug)]
pub struct Changed {
    pub person: Person,
    pub channel: Channel,
    pub change: Change,
    pub id: u64,
    pub sent: usize,
    pub acked: usize,
}

/// An acknowledged publish.
#[derive(Clone, Copy, Debug)]
pub struct Published {
    pub op: u32,
    pub channel: Channel,
    pub mark: u64,
    pub id: u64,
    pub sent: usize,
    pub acked: usize,
}

/// A faithful run, looked over before it is spoiled.
pub struct Scene {
    pub history: History,
    pub opened: Vec<Opened>,
    pub deliveries: Vec<Delivery>,
    pub changes: Vec<Changed>,
    pub published: Vec<Published>,
    /// Deliveries to steady people that stand between two others on a live connection, were acknowledged and came once.
    pub middles: Vec<Delivery>,
}

/// Sets a field of a record that must be of that kind.
macro_rules! set {
    ($record:expr, $kind:ident { $field:ident = $value:expr }) => {{
        let value = $value;
        match $record {
            Record::$kind { $field, .. } => *$field = value,
            other => panic!("{other:?} is not the record to spoil"),
        }
    }};
}
pub(super) use set;

// === impl Scene ===

impl Scene {
    pub fn new(history: History) -> Self {
        let opened = opened(&history);
        let people: HashMap<Conn, Person> = opened.iter().map(|opened| (opened.conn, opened.person)).collect();
        let records = history.records.iter().enumerate();
        let deliveries = records.filter_map(|(index, record)| match *record {
            Record::Event { conn, id, channel, .. } => Some(Delivery { index, conn, person: people[&conn], id, channel }),
            _ => None,
        });
        let deliveries = deliveries.collect();
        let (published, changes) = answered(&history);
        let mut scene = Self { history, opened, deliveries, changes, published, middles: Vec::new() };
        scene.middles = scene.find_middles();
        scene
    }

    /// The same run once more, to be spoiled in another way.
    pub fn again(&self) -> Self {
        let History { people, channels, registered, first_head, records } = &self.history;
        Self {
            history: History {
                people: people.clone(),
                channels: channels.clone(),
                registered: registered.clone(),
                first_head: *first_head,
                records: records.clone(),
            },
            opened: self.opened.clone(),
            deliveries: self.deliveries.clone(),
            changes: self.changes.clone(),
            published: self.published.clone(),
            middles: self.middles.clone(),
        }
    }

    pub fn head(&self) -> u64 {
        self.deliveries.iter().map(|delivery| delivery.id).max().unwrap()
    }

    /// The place of the last record of a kind.
    pub fn last(&self, kind: fn(&Record) -> bool) -> usize {
        self.history.records.iter().rposition(kind).unwrap()
    }

    pub fn on(&self, conn: Conn) -> &Opened {
        &self.opened[conn as usize]
    }

    /// The record before or after another one on the same connection.
    pub fn neighbour(&self, index: usize, conn: Conn, offset: isize) -> Option<usize> {
        let records = &self.on(conn).records;
        let place = records.binary_search(&index).unwrap();
        records.get(place.checked_add_signed(offset)?).copied()
    }

    fn find_middles(&self) -> Vec<Delivery> {
        let acked: HashSet<u64> = self.published.iter().map(|published| published.id).collect();
        let mut times: HashMap<(Person, u64), u32> = HashMap::new();
        self.deliveries.iter().for_each(|delivery| *times.entry((delivery.person, delivery.id)).or_default() += 1);
        let is_event =
            |index: Option<usize>| index.is_some_and(|index| matches!(self.history.records[index], Record::Event { .. }));
        let middle = |delivery: &&Delivery| {
            let Delivery { index, conn, person, id, .. } = **delivery;
            let replayed = || {
                self.on(conn)
                    .records
                    .iter()
                    .any(|place| *place > index && matches!(self.history.records[*place], Record::ReplayComplete { .. }))
            };
            let alone = person < STEADY && times[&(person, id)] == 1 && acked.contains(&id);
            alone && is_event(self.neighbour(index, conn, -1)) && is_event(self.neighbour(index, conn, 1)) && !replayed()
        };
        self.deliveries.iter().filter(middle).copied().collect()
    }

    /// One of [`Scene::middles`], from the middle of the run.
    pub fn middle(&self) -> Delivery {
        self.middles[self.middles.len() / 2]
    }

    /// Removes every delivery of an id to those people.
    pub fn unsee(&mut self, id: u64, who: impl Fn(Person) -> bool) {
        let unseen = self.deliveries.iter().filter(|delivery| delivery.id == id && who(delivery.person));
        let places: Vec<usize> = unseen.map(|delivery| delivery.index).collect();
        self.remove(&places);
    }

    pub fn remove(&mut self, places: &[usize]) {
        let mut index = 0..;
        self.history.records.retain(|_| !places.contains(&index.next().unwrap()));
    }

    pub fn insert(&mut self, index: usize, record: Record) {
        self.history.records.insert(index, record);
    }

    /// The delivery of an id as others got it, on a connection that did not.
    pub fn forged(&self, id: u64, conn: Conn) -> Record {
        let sample = self.deliveries.iter().find(|delivery| delivery.id == id).unwrap();
        let mut record = self.history.records[sample.index].clone();
        set!(&mut record, Event { conn = conn });
        record
    }

    /// Delivers an id on a connection where its turn is, if it has one: after the start, and not behind the position.
    pub fn deliver(&mut self, opened: &Opened, id: u64) -> bool {
        let last = *opened.records.last().unwrap();
        let turn = opened.records.iter().find(|index| match self.history.records[**index] {
            Record::Event { id: other, .. } => other >= id,
            Record::Cursor { cursor, .. } => cursor >= id,
            Record::ReplayComplete { to, .. } => to >= id,
            _ => false,
        });
        let Some(turn) = turn.copied().filter(|turn| opened.start < id && !opened.rewound && *turn <= last) else {
            return false;
        };
        let mut record = self.forged(id, opened.conn);
        let now = self.history.records[turn].clone();
        set!(&mut record, Event { at_us = at_us(&now) });
        self.insert(turn, record);
        true
    }

    /// Plants one delivery of a course's event to a person, on the first connection and id that fit.
    pub fn deliver_wrongly(&mut self, mut fits: impl FnMut(&Self, &Changed, &Opened, u64) -> bool) {
        for changed in self.changes.clone() {
            let ids: Vec<u64> = self.delivered_in(changed.channel);
            for opened in self.opened.clone().iter().filter(|opened| opened.person == changed.person) {
                for id in &ids {
                    if fits(self, &changed, opened, *id) && self.deliver(opened, *id) {
                        return;
                    }
                }
            }
        }
        panic!("the faithful run has no place for this fault");
    }

    pub fn delivered_in(&self, channel: Channel) -> Vec<u64> {
        let mut ids: Vec<u64> =
            self.deliveries.iter().filter(|delivery| delivery.channel == channel).map(|delivery| delivery.id).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// The next change of the same membership.
    pub fn next_change(&self, changed: &Changed) -> Option<&Changed> {
        self.changes_of(changed).into_iter().find(|other| other.id > changed.id)
    }

    /// The change of the same membership before.
    pub fn previous_change(&self, changed: &Changed) -> Option<&Changed> {
        self.changes_of(changed).into_iter().rfind(|other| other.id < changed.id)
    }

    fn changes_of(&self, changed: &Changed) -> Vec<&Changed> {
        let same = |other: &&Changed| (other.person, other.channel) == (changed.person, changed.channel);
        let mut changes: Vec<&Changed> = self.changes.iter().filter(same).collect();
        changes.sort_by_key(|changed| changed.id);
        changes
    }

    /// Adds an event above the head to the end of a steady person's last connection.
    pub fn append(&mut self, person: Person, mark: u64) {
        let opened = self.opened.iter().rfind(|opened| opened.person == person).unwrap();
        let (conn, index, id) = (opened.conn, *opened.records.last().unwrap(), self.head() + 1);
        let at_us = at_us(&self.history.records[index]);
        let event = Record::Event { at_us, conn, id, channel: person, seq: 1_000_000, mark, recorded_at_ms: i64::MAX };
        self.insert(index + 1, event);
    }

    /// Gives every id, cursor and head from a place on another number.
    pub fn renumber(&mut self, from: usize, other: impl Fn(u64) -> u64) {
        for record in &mut self.history.records[from..] {
            match record {
                Record::PublishAcked { id, .. } | Record::Event { id, .. } | Record::MemberAcked { id: Some(id), .. } => {
                    *id = other(*id);
                }
                Record::Connect { since: Some(cursor), .. }
                | Record::Rewind { since: cursor, .. }
                | Record::Established { head: cursor, .. }
                | Record::Cursor { cursor, .. } => *cursor = other(*cursor),
                Record::Gap { from, to, .. } | Record::ReplayComplete { from, to, .. } => {
                    (*from, *to) = (other(*from), other(*to));
                }
                _ => {}
            }
        }
    }

    /// Changes the seq and instant that everybody saw of an event.
    pub fn restamp(&mut self, other: impl Fn(u64, &mut u64, &mut i64)) {
        for record in &mut self.history.records {
            if let Record::PublishAcked { id, seq, recorded_at_ms, .. } | Record::Event { id, seq, recorded_at_ms, .. } = record
            {
                other(*id, seq, recorded_at_ms);
            }
        }
    }
}

fn opened(history: &History) -> Vec<Opened> {
    let mut opened: Vec<Opened> = Vec::new();
    for (index, record) in history.records.iter().enumerate() {
        match *record {
            Record::Connect { conn, person, transport, since, .. } => {
                let start = since.unwrap_or(0);
                opened.push(Opened { conn, person, transport, since, start, records: vec![index], rewound: false });
            }
            Record::Established { conn, head, .. } => {
                let opened = &mut opened[conn as usize];
                opened.start = opened.since.unwrap_or(head);
                opened.records.push(index);
            }
            Record::Event { conn, .. }
            | Record::Rewind { conn, .. }
            | Record::Gap { conn, .. }
            | Record::Cursor { conn, .. }
            | Record::ReplayComplete { conn, .. }
            | Record::Disconnect { conn, .. } => {
                let opened = &mut opened[conn as usize];
                opened.rewound |= matches!(record, Record::Rewind { .. });
                opened.records.push(index);
            }
            _ => {}
        }
    }
    opened
}

fn answered(history: &History) -> (Vec<Published>, Vec<Changed>) {
    let mut published: HashMap<u32, Published> = HashMap::new();
    let mut changes: HashMap<u32, Changed> = HashMap::new();
    for (index, record) in history.records.iter().enumerate() {
        match *record {
            Record::PublishSent { op, channel, mark, .. } => {
                published.insert(op, Published { op, channel, mark, id: 0, sent: index, acked: 0 });
            }
            Record::MemberSent { op, person, channel, change, .. } => {
                changes.insert(op, Changed { person, channel, change, id: 0, sent: index, acked: 0 });
            }
            Record::PublishAcked { op, id, .. } => {
                published.entry(op).and_modify(|published| (published.id, published.acked) = (id, index));
            }
            Record::MemberAcked { op, id: Some(id), .. } => {
                changes.entry(op).and_modify(|changed| (changed.id, changed.acked) = (id, index));
            }
            _ => {}
        }
    }
    let mut published: Vec<Published> = published.into_values().filter(|published| published.acked > 0).collect();
    let mut changes: Vec<Changed> = changes.into_values().filter(|changed| changed.acked > 0).collect();
    published.sort_by_key(|published| published.id);
    changes.sort_by_key(|changed| changed.id);
    (published, changes)
}

pub fn at_us(record: &Record) -> u64 {
    match *record {
        Record::PublishSent { at_us, .. }
        | Record::PublishAcked { at_us, .. }
        | Record::PublishRefused { at_us, .. }
        | Record::MemberSent { at_us, .. }
        | Record::MemberAcked { at_us, .. }
        | Record::Connect { at_us, .. }
        | Record::Established { at_us, .. }
        | Record::Event { at_us, .. }
        | Record::Rewind { at_us, .. }
        | Record::Gap { at_us, .. }
        | Record::Cursor { at_us, .. }
        | Record::ReplayComplete { at_us, .. }
        | Record::Disconnect { at_us, .. }
        | Record::Killed { at_us }
        | Record::Restarted { at_us }
        | Record::RowWritten { at_us, .. }
        | Record::SheetSent { at_us, .. }
        | Record::SheetAcked { at_us, .. }
        | Record::SheetRefused { at_us, .. }
        | Record::SheetRead { at_us, .. } => at_us,
    }
}
