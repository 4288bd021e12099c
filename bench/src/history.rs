//! What publishers and clients wrote down themselves during a run, in the order in which it happened in the bench's one process.
//!
//! Nothing here comes from the server's own state: the checker's truth is these records and the roster files.

use serde::{Deserialize, Serialize};

/// Index into [`History::people`].
pub type Person = u32;
/// Index into [`History::channels`].
pub type Channel = u32;
/// One publish or membership change, repeated under the same idempotency key until it is answered.
pub type Op = u32;
/// One connection (WebSocket, SSE) or one chain of polls of one client between a start and an end.
pub type Conn = u32;

/// How a connection reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// `/ws`
    Ws,
    /// `GET /api/events`
    Sse,
    /// `GET /api/poll`
    Poll,
}

/// What a membership operation asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// The person is registered in the course.
    Grant,
    /// The person is withdrawn from the course.
    Revoke,
}

/// A column of a cadet's sheet that graders add to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Column {
    /// The sum of all merits.
    MeritPoints,
    /// The score of the first exam.
    PrelimScore,
    /// The score of the second exam.
    MidtermScore,
    /// The score of the last exam.
    FinalScore,
}

/// One line of the history; `at_us` is the bench's monotonic clock in microseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub enum Record {
    /// The first attempt of a publish left. `mark` is the hash of type, channel and the data's bytes; unique per publish.
    PublishSent { at_us: u64, op: Op, channel: Channel, mark: u64 },
    /// The publish was acknowledged. Written once per positive answer, so a repeat under the same key shows twice.
    PublishAcked { at_us: u64, op: Op, id: u64, seq: u64, recorded_at_ms: i64 },
    /// The publish was refused for good: it must never be delivered.
    PublishRefused { at_us: u64, op: Op },
    /// The first attempt of a registration or withdrawal left.
    MemberSent { at_us: u64, op: Op, person: Person, channel: Channel, change: Change },
    /// It was acknowledged; `id` is its event's id, absent when nothing changed. Of a cadet's own channel this tells of approvals.
    MemberAcked { at_us: u64, op: Op, id: Option<u64> },
    /// A connection was asked for, with the cursor it passed.
    Connect { at_us: u64, conn: Conn, person: Person, transport: Transport, since: Option<u64> },
    /// The connect answer: the head and the epoch.
    Established { at_us: u64, conn: Conn, head: u64, epoch: u64 },
    /// An event arrived. `mark` is computed from what arrived.
    Event { at_us: u64, conn: Conn, id: u64, channel: Channel, seq: u64, mark: u64, recorded_at_ms: i64 },
    /// A `replay_request` was sent on a live connection: what follows may repeat from there.
    Rewind { at_us: u64, conn: Conn, since: u64 },
    /// A gap was told.
    Gap { at_us: u64, conn: Conn, from: u64, to: u64 },
    /// The server said that everything due up to `cursor` has been sent (heartbeat, poll answer, id-only SSE block).
    Cursor { at_us: u64, conn: Conn, cursor: u64 },
    /// A replay ended.
    ReplayComplete { at_us: u64, conn: Conn, from: u64, to: u64, count: u64, gap: bool },
    /// The connection ended, by either side; `close_code` is 0 where the transport has none.
    Disconnect { at_us: u64, conn: Conn, close_code: u16 },
    /// The server, or the database below it, was killed with SIGKILL.
    Killed { at_us: u64 },
    /// What was killed answered again.
    Restarted { at_us: u64 },
    /// The host platform's own word on a row of its sync events, noted when its list was read, at the run's end. `committed`: it became
    /// a fact and must be told; else its transaction was rolled back and nobody may ever hear of it.
    RowWritten { at_us: u64, op: Op, channel: Channel, mark: u64, committed: bool },
    /// A grader's change left: points to add to a column of the cadet of that channel.
    SheetSent { at_us: u64, op: Op, person: Person, channel: Channel, column: Column, points: i64 },
    /// It was acknowledged; `version` is the one that the sheet has now.
    SheetAcked { at_us: u64, op: Op, id: u64, version: u64 },
    /// It was refused, as one that was decided on a stale version: it must have changed nothing.
    SheetRefused { at_us: u64, op: Op },
    /// The column as a GET showed it: first before all changes, at last after them.
    SheetRead { at_us: u64, channel: Channel, column: Column, points: i64 },
}

/// A whole run.
#[derive(Default, Serialize, Deserialize)]
pub struct History {
    /// Person ids as the roster spells them.
    pub people: Vec<String>,
    /// Channels as `kind:id`.
    pub channels: Vec<String>,
    /// From the roster files: who is in which course channel before the run (`(person, channel)`), besides everyone's own `user:` channel.
    pub registered: Vec<(Person, Channel)>,
    /// The head when the run began: everything before belongs to the import and has no records here.
    pub first_head: u64,
    /// In the order in which it happened.
    pub records: Vec<Record>,
}
