//! A faithful run of a host platform: rows and changes of sheets in cadets' channels, staff who read all, approvals that come and go.

use std::collections::HashMap;

use super::faithful::Random;
use crate::history::{Change, Channel, Column, Conn, History, Op, Person, Record, Transport};

/// The first so many people are cadets, each with the channel of their number; the others are staff.
pub const CADETS: Person = 12;
const PEOPLE: Person = 15;
/// Cadets whose approval comes and goes.
const SENT_AWAY: Person = 5;
const STEPS: u64 = 3_000;
const FIRST_HEAD: u64 = 70;

#[derive(Clone, Copy)]
struct Stored {
    id: u64,
    channel: Channel,
    seq: u64,
    mark: u64,
}

#[derive(Default)]
struct Reader {
    conn: Option<Conn>,
    /// The cursor, once there is one.
    position: Option<u64>,
    /// The last un-approval, until the next approval.
    away_since: Option<u64>,
    away: Vec<(u64, u64)>,
}

struct Platform {
    random: Random,
    history: History,
    clock_us: u64,
    log: Vec<Stored>,
    seqs: HashMap<Channel, u64>,
    rows: Vec<(Channel, u64, bool)>,
    sums: HashMap<(Channel, Column), i64>,
    versions: HashMap<Channel, u64>,
    readers: Vec<Reader>,
    ops: Op,
    conns: Conn,
}

/// The faithful run of a seed.
pub fn run(seed: u64) -> History {
    let mut platform = Platform::new(seed);
    platform.read_sheets();
    (0..PEOPLE).for_each(|person| platform.listen(person));
    for step in 1..=STEPS {
        platform.step();
        if step == STEPS / 2 {
            platform.kill();
        }
    }
    (0..SENT_AWAY - 1)
        .filter(|person| platform.readers[*person as usize].away_since.is_some())
        .collect::<Vec<_>>()
        .into_iter()
        .for_each(|person| platform.approve(person));
    (0..PEOPLE).for_each(|person| platform.leave(person));
    (0..PEOPLE).for_each(|person| platform.listen(person));
    platform.read_sheets();
    platform.list_rows();
    platform.history
}

impl Platform {
    fn new(seed: u64) -> Self {
        let people: Vec<String> = (0..PEOPLE).map(|person| (person + 100).to_string()).collect();
        let cadets = (0..CADETS).map(|cadet| format!("cadet:{}", cadet + 500));
        let channels = cadets.chain(people.iter().map(|person| format!("user:{person}"))).collect();
        let own = (0..CADETS).map(|cadet| (cadet, cadet));
        let registered = own.chain((CADETS..PEOPLE).flat_map(|staff| (0..CADETS).map(move |cadet| (staff, cadet)))).collect();
        Self {
            random: Random(seed),
            history: History { people, channels, registered, first_head: FIRST_HEAD, records: Vec::new() },
            clock_us: 0,
            log: Vec::new(),
            seqs: HashMap::new(),
            rows: Vec::new(),
            sums: HashMap::new(),
            versions: HashMap::new(),
            readers: (0..PEOPLE).map(|_| Reader::default()).collect(),
            ops: 0,
            conns: 0,
        }
    }

    fn write(&mut self, record: impl FnOnce(u64) -> Record) {
        self.clock_us += 3;
        self.history.records.push(record(self.clock_us));
    }

    fn head(&self) -> u64 {
        FIRST_HEAD + self.log.len() as u64
    }

    fn next_op(&mut self) -> Op {
        self.ops += 1;
        self.ops - 1
    }

    fn store(&mut self, channel: Channel, mark: u64) -> u64 {
        let seq = self.seqs.entry(channel).or_insert(0);
        *seq += 1;
        let stored = Stored { id: FIRST_HEAD + self.log.len() as u64 + 1, channel, seq: *seq, mark };
        self.log.push(stored);
        stored.id
    }

    fn step(&mut self) {
        let person = self.random.below(u64::from(PEOPLE)) as Person;
        match self.random.below(100) {
            0..25 => self.write_row(),
            25..40 => self.change_sheet(),
            40..46 => self.change_approval(),
            46..55 => self.leave(person),
            _ => self.listen(person),
        }
    }

    fn write_row(&mut self) {
        let (channel, mark) = (self.random.below(u64::from(CADETS)) as Channel, self.random.next());
        let committed = !self.random.percent(15);
        self.rows.push((channel, mark, committed));
        if committed {
            self.store(channel, mark);
        }
    }

    fn change_sheet(&mut self) {
        let (op, channel) = (self.next_op(), self.random.below(3) as Channel);
        let person = CADETS + self.random.below(u64::from(PEOPLE - CADETS)) as Person;
        let column = [Column::MeritPoints, Column::FinalScore][self.random.below(2) as usize];
        let points = 1 + self.random.below(5) as i64;
        self.write(|at_us| Record::SheetSent { at_us, op, person, channel, column, points });
        if self.random.percent(20) {
            return self.write(|at_us| Record::SheetRefused { at_us, op });
        }
        let mark = self.random.next();
        let id = self.store(channel, mark);
        *self.sums.entry((channel, column)).or_default() += points;
        let version = self.versions.entry(channel).or_default();
        *version += 1;
        let version = *version;
        for _ in 0..=u8::from(self.random.percent(20)) {
            self.write(|at_us| Record::SheetAcked { at_us, op, id, version });
        }
    }

    fn change_approval(&mut self) {
        let person = self.random.below(u64::from(SENT_AWAY)) as Person;
        match self.readers[person as usize].away_since {
            Some(_) => self.approve(person),
            None => self.unapprove(person),
        }
    }

    fn unapprove(&mut self, person: Person) {
        let (op, channel) = (self.next_op(), person);
        self.write(|at_us| Record::MemberSent { at_us, op, person, channel, change: Change::Revoke });
        let mark = self.random.next();
        let id = self.store(CADETS + person, mark);
        self.leave(person);
        self.readers[person as usize].away_since = Some(id);
        self.write(|at_us| Record::MemberAcked { at_us, op, id: Some(id) });
    }

    fn approve(&mut self, person: Person) {
        let (op, channel) = (self.next_op(), person);
        self.write(|at_us| Record::MemberSent { at_us, op, person, channel, change: Change::Grant });
        let mark = self.random.next();
        let id = self.store(CADETS + person, mark);
        let reader = &mut self.readers[person as usize];
        let since = reader.away_since.take().unwrap();
        reader.away.push((since, id));
        self.write(|at_us| Record::MemberAcked { at_us, op, id: Some(id) });
    }

    fn is_due(&self, person: Person, event: &Stored) -> bool {
        let reads = match event.channel {
            cadet if cadet < CADETS => cadet == person || person >= CADETS,
            own => own == CADETS + person,
        };
        reads && !self.readers[person as usize].away.iter().any(|(after, through)| *after < event.id && event.id <= *through)
    }

    /// Connects whoever is not there, and reads to the head.
    fn listen(&mut self, person: Person) {
        if self.readers[person as usize].away_since.is_some() {
            return;
        }
        let (head, since) = (self.head(), self.readers[person as usize].position);
        let transport = [Transport::Ws, Transport::Sse, Transport::Poll][person as usize % 3];
        let fresh = self.readers[person as usize].conn.is_none();
        let conn = *self.readers[person as usize].conn.get_or_insert(self.conns);
        if fresh {
            self.conns += 1;
            self.write(|at_us| Record::Connect { at_us, conn, person, transport, since });
            self.write(|at_us| Record::Established { at_us, conn, head, epoch: 1 });
        }
        let position = since.unwrap_or(head);
        let due: Vec<Stored> =
            self.log.iter().filter(|event| event.id > position && self.is_due(person, event)).copied().collect();
        for Stored { id, channel, seq, mark } in due.iter().copied() {
            let recorded_at_ms = 1_768_000_000_000 + id as i64;
            self.write(|at_us| Record::Event { at_us, conn, id, channel, seq, mark, recorded_at_ms });
        }
        if let Some(from) = since.filter(|_| fresh && transport != Transport::Poll) {
            let count = due.len() as u64;
            self.write(|at_us| Record::ReplayComplete { at_us, conn, from, to: head, count, gap: false });
        }
        self.write(|at_us| Record::Cursor { at_us, conn, cursor: head });
        self.readers[person as usize].position = Some(head);
    }

    fn leave(&mut self, person: Person) {
        if let Some(conn) = self.readers[person as usize].conn.take() {
            self.write(|at_us| Record::Disconnect { at_us, conn, close_code: 0 });
        }
    }

    fn kill(&mut self) {
        self.write(|at_us| Record::Killed { at_us });
        (0..PEOPLE).for_each(|person| self.leave(person));
        self.write(|at_us| Record::Restarted { at_us });
    }

    fn read_sheets(&mut self) {
        for channel in 0..3 {
            for column in [Column::MeritPoints, Column::FinalScore] {
                let points = self.sums.get(&(channel, column)).copied().unwrap_or(0);
                self.write(|at_us| Record::SheetRead { at_us, channel, column, points });
            }
        }
    }

    fn list_rows(&mut self) {
        for (channel, mark, committed) in std::mem::take(&mut self.rows) {
            let op = self.next_op();
            self.write(|at_us| Record::RowWritten { at_us, op, channel, mark, committed });
        }
    }
}
