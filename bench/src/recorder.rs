//! Where publishers and clients write down what they did and heard, in the order in which it happened in this process.

use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Instant,
};

use crate::history::{Channel, Conn, History, Op, Person, Record, Transport};

/// One run's notebook. A record is stamped and appended under one lock, so that the order of the lines is the order of the stamps.
pub struct Recorder {
    start: Instant,
    book: Mutex<Book>,
    conns: AtomicU32,
    ops: AtomicU32,
}

struct Book {
    records: Vec<Record>,
    channels: Vec<String>,
    numbers: HashMap<String, Channel>,
}

// === impl Recorder ===

impl Recorder {
    /// An empty notebook that knows these channels by their place.
    pub fn new(channels: Vec<String>) -> Self {
        let numbers = (0..).zip(&channels).map(|(number, name)| (name.clone(), number)).collect();
        let book = Mutex::new(Book { records: Vec::new(), channels, numbers });
        Self { start: Instant::now(), book, conns: AtomicU32::new(0), ops: AtomicU32::new(0) }
    }

    /// Appends the record that `make` makes of the present instant.
    pub fn put(&self, make: impl FnOnce(u64) -> Record) {
        let mut book = self.book();
        let record = make(self.now_us());
        book.records.push(record);
    }

    /// Appends several records of one instant: the items of a batch leave and are answered together.
    pub fn put_all(&self, make: impl FnOnce(u64) -> Vec<Record>) {
        let mut book = self.book();
        let records = make(self.now_us());
        book.records.extend(records);
    }

    /// A connection is asked for.
    pub fn connect(&self, person: Person, transport: Transport, since: Option<u64>) -> Conn {
        let conn = self.conns.fetch_add(1, Ordering::Relaxed);
        self.put(|at_us| Record::Connect { at_us, conn, person, transport, since });
        conn
    }

    /// The number of the next publish or membership change.
    pub fn next_op(&self) -> Op {
        self.ops.fetch_add(1, Ordering::Relaxed)
    }

    /// An event arrived. A channel that nobody knew before gets a number too: the checker must see it.
    pub fn event(&self, conn: Conn, id: u64, seq: u64, channel: &str, mark: u64, recorded_at_ms: i64) {
        let mut book = self.book();
        let channel = book.number_of(channel);
        let at_us = self.now_us();
        book.records.push(Record::Event { at_us, conn, id, channel, seq, mark, recorded_at_ms });
    }

    /// The channel's number.
    pub fn channel(&self, name: &str) -> Channel {
        self.book().number_of(name)
    }

    /// Reads what stands in the notebook so far.
    pub fn read<T>(&self, look: impl FnOnce(&[Record]) -> T) -> T {
        look(&self.book().records)
    }

    /// Closes the notebook: what it holds becomes a history.
    pub fn take_history(&self, people: Vec<String>, registered: Vec<(Person, Channel)>, first_head: u64) -> History {
        let mut book = self.book();
        let (records, channels) = (std::mem::take(&mut book.records), std::mem::take(&mut book.channels));
        History { people, channels, registered, first_head, records }
    }

    fn now_us(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        // A panic elsewhere leaves whole records behind, so the notebook stays readable.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Book ===

impl Book {
    fn number_of(&mut self, name: &str) -> Channel {
        if let Some(&number) = self.numbers.get(name) {
            return number;
        }
        let number = u32::try_from(self.channels.len()).unwrap_or(u32::MAX);
        self.channels.push(name.to_owned());
        self.numbers.insert(name.to_owned(), number);
        number
    }
}
