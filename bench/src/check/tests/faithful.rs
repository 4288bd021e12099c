//! A small server that keeps every promise, and the history that its publishers and clients would write down.

use std::collections::HashMap;

use crate::history::{Change, Channel, Conn, History, Op, Person, Record, Transport};

/// These people never lose or regain a course, never rewind and are told no gap: a fault planted on them has one meaning.
pub const STEADY: Person = 10;
/// These people are told gaps now and then.
const GAPS_TOLD: std::ops::Range<Person> = 40..50;
/// These people sometimes rewind twice before they are answered.
const IMPATIENT: std::ops::Range<Person> = 20..30;
/// These people sometimes come back without a cursor.
const FORGETFUL: std::ops::Range<Person> = 30..34;
const FIRST_HEAD: u64 = 1000;

/// SplitMix64 (Steele, Lea and Flood, 2014): a whole run from one seed.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }
}

/// How large a run is.
#[derive(Clone, Copy)]
pub struct Size {
    pub people: Person,
    pub courses: u32,
    pub steps: u64,
}

#[derive(Clone, Copy)]
struct Stored {
    id: u64,
    channel: Channel,
    seq: u64,
    mark: u64,
    recorded_at_ms: i64,
}

#[derive(Clone, Copy)]
struct Replay {
    from: u64,
    count: u64,
    gap: bool,
}

struct Live {
    conn: Conn,
    /// How far the server has looked.
    position: u64,
    /// The client's cursor.
    heard: u64,
    /// The head when rights were decided.
    decided: u64,
    replay: Option<Replay>,
}

struct Client {
    transport: Transport,
    live: Option<Live>,
    reached: Option<u64>,
}

/// An operation under way.
struct Flight {
    op: Op,
    channel: Channel,
    mark: u64,
    membership: Option<(Person, Change)>,
    stored: Option<Stored>,
    nothing_changed: bool,
    /// The publisher gives up before it is answered.
    silent: bool,
}

struct World {
    random: Random,
    size: Size,
    history: History,
    clock_us: u64,
    log: Vec<Stored>,
    seqs: Vec<u64>,
    registered: HashMap<(Person, Channel), Vec<(u64, Change)>>,
    flights: Vec<Flight>,
    clients: Vec<Client>,
    ops: Op,
    conns: Conn,
}

/// The faithful run of a seed.
pub fn run(seed: u64, size: Size) -> History {
    let mut world = World::new(seed, size);
    for step in 1..=size.steps {
        world.step();
        if step == size.steps / 3 || step == size.steps * 2 / 3 {
            world.kill();
        }
    }
    world.end();
    world.history
}

// === impl World ===

impl World {
    fn new(seed: u64, size: Size) -> Self {
        let mut random = Random(seed);
        let people: Vec<String> = (1..=size.people).map(|number| number.to_string()).collect();
        let users = people.iter().map(|name| format!("user:{name}"));
        let channels: Vec<String> = users.chain((1..=size.courses).map(|course| format!("course:{course}"))).collect();
        let mut registered = HashMap::new();
        for person in 0..size.people {
            for course in 0..size.courses {
                if (person < STEADY && course < 2) || random.below(u64::from(size.courses)) < 2 {
                    registered.insert((person, size.people + course), vec![(0, Change::Grant)]);
                }
            }
        }
        let mut pairs: Vec<(Person, Channel)> = registered.keys().copied().collect();
        pairs.sort_unstable();
        let seqs = channels.iter().map(|_| random.below(50)).collect();
        let transport = |person| [Transport::Ws, Transport::Sse, Transport::Poll][person as usize % 3];
        let client = |person| Client { transport: transport(person), live: None, reached: None };
        Self {
            clients: (0..size.people).map(client).collect(),
            history: History { people, channels, registered: pairs, first_head: FIRST_HEAD, records: Vec::new() },
            random,
            size,
            clock_us: 0,
            log: Vec::new(),
            seqs,
            registered,
            flights: Vec::new(),
            ops: 0,
            conns: 0,
        }
    }

    fn now(&mut self) -> u64 {
        self.clock_us += 3;
        self.clock_us
    }

    fn write(&mut self, record: impl FnOnce(u64) -> Record) {
        let at_us = self.now();
        self.history.records.push(record(at_us));
    }

    fn head(&self) -> u64 {
        FIRST_HEAD + self.log.len() as u64
    }

    fn step(&mut self) {
        let person = self.random.below(u64::from(self.size.people)) as Person;
        match self.random.below(100) {
            0..15 => self.publish(),
            15..19 => self.change_membership(),
            19..50 => self.settle(),
            50..94 => {
                let slow = person % 7 == 3;
                let count = if slow { 1 } else { 1 + self.random.below(12) };
                let heartbeat = self.random.percent(30);
                self.connect(person);
                self.read(person, count, heartbeat);
            }
            94..97 => self.rewind(person),
            _ => self.disconnect(person),
        }
    }

    fn publish(&mut self) {
        let channel = self.random.below(u64::from(self.size.people + self.size.courses * 40)) as Channel;
        let channel = if channel < self.size.people { channel } else { self.size.people + channel % self.size.courses };
        let (op, mark) = (self.ops, self.random.next());
        self.ops += 1;
        self.write(|at_us| Record::PublishSent { at_us, op, channel, mark });
        if self.random.percent(3) {
            return self.write(|at_us| Record::PublishRefused { at_us, op });
        }
        let silent = self.random.percent(2);
        self.flights.push(Flight { op, channel, mark, membership: None, stored: None, nothing_changed: false, silent });
    }

    fn change_membership(&mut self) {
        let person = STEADY + self.random.below(u64::from(self.size.people - STEADY)) as Person;
        let channel = self.size.people + self.random.below(u64::from(self.size.courses)) as Channel;
        let under_way =
            |flight: &Flight| flight.channel == channel && flight.membership.is_some_and(|(other, _)| other == person);
        if self.flights.iter().any(under_way) {
            return;
        }
        let member = self.is_member(person, channel);
        // Now and then somebody is registered who is registered already.
        let change = if member && self.random.percent(80) { Change::Revoke } else { Change::Grant };
        let (op, mark) = (self.ops, self.random.next());
        self.ops += 1;
        self.write(|at_us| Record::MemberSent { at_us, op, person, channel, change });
        let nothing_changed = member == (change == Change::Grant);
        let silent = self.random.percent(2);
        let membership = Some((person, change));
        self.flights.push(Flight { op, channel, mark, membership, stored: None, nothing_changed, silent });
    }

    /// Moves one operation on: first it is stored, then it is answered.
    fn settle(&mut self) {
        if self.flights.is_empty() {
            return;
        }
        let index = self.random.below(self.flights.len() as u64) as usize;
        if self.flights[index].stored.is_none() && !self.flights[index].nothing_changed {
            return self.store(index);
        }
        let repeated = self.random.percent(10);
        if !self.flights[index].silent {
            let flight = self.flights.swap_remove(index);
            (0..=u8::from(repeated)).for_each(|_| self.answer(&flight));
        }
    }

    fn store(&mut self, index: usize) {
        let id = self.head() + 1;
        let recorded_at_ms = 1_768_000_000_000 + self.clock_us as i64 / 10;
        let flight = &mut self.flights[index];
        let channel = match flight.membership {
            Some((person, change)) => {
                self.registered.entry((person, flight.channel)).or_default().push((id, change));
                person
            }
            None => flight.channel,
        };
        self.seqs[channel as usize] += 1;
        let stored = Stored { id, channel, seq: self.seqs[channel as usize], mark: flight.mark, recorded_at_ms };
        flight.stored = Some(stored);
        self.log.push(stored);
    }

    fn answer(&mut self, flight: &Flight) {
        let op = flight.op;
        match (flight.membership, flight.stored) {
            (Some(_), stored) => self.write(|at_us| Record::MemberAcked { at_us, op, id: stored.map(|stored| stored.id) }),
            (None, Some(Stored { id, seq, recorded_at_ms, .. })) => {
                self.write(|at_us| Record::PublishAcked { at_us, op, id, seq, recorded_at_ms });
            }
            (None, None) => {}
        }
    }

    fn is_member(&self, person: Person, channel: Channel) -> bool {
        let changes = self.registered.get(&(person, channel));
        changes.and_then(|changes| changes.last()).is_some_and(|(_, change)| *change == Change::Grant)
    }

    /// Promise 3. A connection with an even number judges each event as of its place in the log, an odd one as of now: both are kept promises.
    fn is_due(&self, person: Person, event: &Stored, live: &Live) -> bool {
        if event.channel < self.size.people {
            return event.channel == person;
        }
        let Some(changes) = self.registered.get(&(person, event.channel)) else { return false };
        let before = changes.iter().rev().find(|(id, _)| *id < event.id);
        let decided = if live.conn.is_multiple_of(2) { live.decided } else { u64::MAX };
        let undone = changes.iter().any(|(id, _)| *id > event.id && *id <= decided);
        before.is_some_and(|(_, change)| *change == Change::Grant) && !undone
    }

    fn connect(&mut self, person: Person) {
        if self.clients[person as usize].live.is_some() {
            return;
        }
        let conn = self.conns;
        self.conns += 1;
        let head = self.head();
        let roll = self.random.below(100);
        let client = &mut self.clients[person as usize];
        if roll < 30 {
            client.transport = [Transport::Ws, Transport::Sse, Transport::Poll][roll as usize % 3];
        }
        // Some clients had not saved their latest cursor.
        let saved = if roll % 10 == 9 { 3 } else { 0 };
        let since = client.reached.map(|reached| reached.saturating_sub(saved).max(FIRST_HEAD));
        let since = if FORGETFUL.contains(&person) && roll > 70 { None } else { since };
        let (transport, replays) = (client.transport, client.transport != Transport::Poll);
        self.write(|at_us| Record::Connect { at_us, conn, person, transport, since });
        self.write(|at_us| Record::Established { at_us, conn, head, epoch: 1 });
        let mut replay = since.filter(|_| replays).map(|from| Replay { from, count: 0, gap: false });
        let mut position = since.unwrap_or(head);
        if let Some(from) = since.filter(|_| GAPS_TOLD.contains(&person) && roll < 50) {
            let to = head.min(from + 5 + roll);
            self.write(|at_us| Record::Gap { at_us, conn, from, to });
            replay.iter_mut().for_each(|replay| replay.gap = true);
            position = to;
        }
        let client = &mut self.clients[person as usize];
        client.reached = client.reached.max(Some(position));
        client.live = Some(Live { conn, position, heard: position, decided: head, replay });
    }

    fn read(&mut self, person: Person, count: u64, heartbeat: bool) {
        let Some(mut live) = self.clients[person as usize].live.take() else { return };
        let (conn, head) = (live.conn, self.head());
        let mut reached = self.clients[person as usize].reached;
        let mut left = count;
        while left > 0 && live.position < head {
            let event = self.log[(live.position - FIRST_HEAD) as usize];
            live.position = event.id;
            if self.is_due(person, &event, &live) {
                let Stored { id, channel, seq, mark, recorded_at_ms } = event;
                self.write(|at_us| Record::Event { at_us, conn, id, channel, seq, mark, recorded_at_ms });
                live.replay.iter_mut().for_each(|replay| replay.count += 1);
                live.heard = id;
                reached = reached.max(Some(id));
                left -= 1;
            }
        }
        if let Some(Replay { from, count, gap }) = live.replay.take_if(|_| live.position == head) {
            self.write(|at_us| Record::ReplayComplete { at_us, conn, from, to: head, count, gap });
            live.heard = head;
            reached = reached.max(Some(head));
        }
        let poll = self.clients[person as usize].transport == Transport::Poll;
        if heartbeat || poll {
            let cursor = live.position;
            self.write(|at_us| Record::Cursor { at_us, conn, cursor });
            live.heard = cursor;
            reached = reached.max(Some(cursor));
        }
        let client = &mut self.clients[person as usize];
        client.reached = reached;
        client.live = Some(live);
    }

    fn rewind(&mut self, person: Person) {
        let Some(mut rewound) = self.ask_to_rewind(person) else { return };
        // What was on the wire already still arrives in the old order.
        let in_flight = self.random.below(3);
        self.read(person, in_flight, false);
        if IMPATIENT.contains(&person) && self.random.percent(50) {
            // A second rewind leaves before the first is answered: the server begins with the first, or sees both at once.
            let Some(second) = self.ask_to_rewind(person) else { return };
            let begun = self.random.below(4);
            self.turn_back(person, rewound);
            self.read(person, begun, false);
            rewound = second;
        }
        self.turn_back(person, rewound);
    }

    fn ask_to_rewind(&mut self, person: Person) -> Option<u64> {
        let back = self.random.below(40);
        let client = &self.clients[person as usize];
        let live = client.live.as_ref().filter(|_| client.transport == Transport::Ws && person >= STEADY)?;
        let (conn, since) = (live.conn, live.heard.saturating_sub(back).max(FIRST_HEAD));
        self.write(|at_us| Record::Rewind { at_us, conn, since });
        Some(since)
    }

    fn turn_back(&mut self, person: Person, since: u64) {
        let decided = self.head();
        if let Some(live) = &mut self.clients[person as usize].live {
            live.position = since;
            live.decided = decided;
            live.replay = Some(Replay { from: since, count: 0, gap: false });
        }
    }

    fn disconnect(&mut self, person: Person) {
        if let Some(live) = self.clients[person as usize].live.take() {
            self.write(|at_us| Record::Disconnect { at_us, conn: live.conn, close_code: 0 });
        }
    }

    fn kill(&mut self) {
        self.write(|at_us| Record::Killed { at_us });
        (0..self.size.people).for_each(|person| self.disconnect(person));
        self.write(|at_us| Record::Restarted { at_us });
    }

    fn end(&mut self) {
        for _ in 0..self.flights.len() * 200 {
            self.settle();
        }
        for person in 0..self.size.people {
            self.connect(person);
            self.read(person, u64::MAX, true);
        }
    }
}
