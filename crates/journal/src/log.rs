//! The log: appending with dense ids and channel sequences, and reading in order.
//!
//! Invariant: the head row is raised last and held until COMMIT, so ids are dense and in commit order whoever writes.

use crate::db::{Conn, Row, Value};
use crate::error::JournalError;
use crate::insert::{Insert, LIST_MAX, in_list, list_size};
use crate::membership;
use crate::revocation;
use campanile_wire::{Channel, Effect, Event, EventId};
use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// An event that has not been committed yet.
#[derive(Clone, Debug, PartialEq)]
pub struct NewEvent {
    /// The channel it belongs to.
    pub channel: Channel,
    /// Its registered type.
    pub kind: Arc<str>,
    /// Its JSON data; passes through byte for byte.
    pub data: Arc<str>,
    /// What it changes in who may see what.
    pub effects: Vec<Effect>,
}

/// Taking the head row's lock makes every other writer wait until this transaction ends.
const RAISE_HEAD: &str = "UPDATE log_head SET head = head + $1, \
     recorded_at_ms = CASE WHEN recorded_at_ms > $2 THEN recorded_at_ms ELSE $2 END \
     WHERE singleton = 1 RETURNING head, recorded_at_ms";

const RAISE_SEQS: Insert = Insert {
    head: "INSERT INTO channel_head (channel, seq, pruned_through)",
    columns: 3,
    tail: "ON CONFLICT (channel) DO UPDATE SET seq = channel_head.seq + excluded.seq RETURNING channel, seq",
};

const INSERT_EVENTS: Insert =
    Insert { head: "INSERT INTO event (id, channel, seq, type, data, recorded_at_ms, effects)", columns: 7, tail: "" };

/// The last step of every writing transaction before COMMIT: gives the events their places and writes them.
pub(crate) async fn append(conn: &mut Conn, events: Vec<NewEvent>, now_ms: i64) -> Result<Vec<Event>, JournalError> {
    if events.is_empty() {
        return Ok(Vec::new());
    }
    let count = events.len() as u64;
    let head = conn.fetch(SqlStr::from_static(RAISE_HEAD), &[count.into(), now_ms.into()]).await?;
    let head = head.first().ok_or_else(|| JournalError::Unusable("the log's head row is missing".into()))?;
    let (last, recorded_at_ms) = (head.count("head")?, head.int("recorded_at_ms")?);
    let mut seqs = raise_seqs(conn, &events).await?;
    let placed: Vec<Event> = events
        .into_iter()
        .zip(last - count + 1..)
        .map(|(event, id)| {
            let next = seqs.get_mut(event.channel.as_str()).expect("every channel of the batch was raised");
            *next += 1;
            let seq = *next;
            Event {
                id,
                channel: event.channel,
                seq,
                kind: event.kind,
                data: event.data,
                recorded_at_ms,
                effects: event.effects,
            }
        })
        .collect();
    insert(conn, &placed).await?;
    membership::apply(conn, &placed).await?;
    revocation::apply(conn, &placed).await?;
    Ok(placed)
}

/// Raises each channel's seq by its share of the batch; answers the seq before it.
async fn raise_seqs(conn: &mut Conn, events: &[NewEvent]) -> Result<HashMap<String, u64>, JournalError> {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for event in events {
        *counts.entry(event.channel.as_str()).or_default() += 1;
    }
    let values: Vec<Value> =
        counts.iter().flat_map(|(channel, count)| [Value::from(*channel), (*count).into(), 0_i64.into()]).collect();
    let mut before = HashMap::with_capacity(counts.len());
    for row in RAISE_SEQS.rows(conn, &values).await? {
        let channel = row.text("channel")?;
        let raised_by = counts.get(channel.as_str()).copied().unwrap_or(0);
        before.insert(channel, row.count("seq")? - raised_by);
    }
    Ok(before)
}

async fn insert(conn: &mut Conn, events: &[Event]) -> Result<(), JournalError> {
    let mut values = Vec::with_capacity(events.len() * INSERT_EVENTS.columns);
    for event in events {
        let effects = (!event.effects.is_empty())
            .then(|| serde_json::to_string(&event.effects))
            .transpose()
            .map_err(|error| JournalError::Statement(error.to_string()))?;
        values.extend([
            Value::from(event.id),
            event.channel.as_str().into(),
            event.seq.into(),
            (&*event.kind).into(),
            (&*event.data).into(),
            event.recorded_at_ms.into(),
            effects.into(),
        ]);
    }
    INSERT_EVENTS.rows(conn, &values).await.map(drop)
}

const READ: &str = "SELECT id, channel, seq, type, data, recorded_at_ms, effects FROM event \
     WHERE id > $1 AND id <= $2 ORDER BY id LIMIT $3";

/// The events after `after` up to `upto`, at most `limit`, in order.
pub(crate) async fn read(conn: &mut Conn, after: EventId, upto: EventId, limit: u64) -> Result<Vec<Event>, JournalError> {
    let rows = conn.fetch(SqlStr::from_static(READ), &[after.into(), upto.into(), limit.into()]).await?;
    rows.iter().map(event_of).collect()
}

/// As [`read`], only events of these channels. Very many channels, or whole kinds of them, read everything; the caller sifts.
pub(crate) async fn read_channels(
    conn: &mut Conn,
    channels: &[Channel],
    kinds: &[&str],
    after: EventId,
    upto: EventId,
    limit: u64,
) -> Result<Vec<Event>, JournalError> {
    let Some(size) = list_size(channels.len()).filter(|_| kinds.is_empty()) else {
        return read(conn, after, upto, limit).await;
    };
    let Some(first) = channels.first() else { return Ok(Vec::new()) };
    let mut values: Vec<Value> = vec![after.into(), upto.into(), limit.into()];
    values.extend(channels.iter().map(|channel| Value::from(channel.as_str())));
    values.resize(size + 3, first.as_str().into());
    let sql = format!(
        "SELECT id, channel, seq, type, data, recorded_at_ms, effects FROM event \
         WHERE channel IN ({}) AND id > $1 AND id <= $2 ORDER BY id LIMIT $3",
        in_list(4, size)
    );
    let rows = conn.fetch(AssertSqlSafe(sql).into_sql_str(), &values).await?;
    rows.iter().map(event_of).collect()
}

/// Which of these channels, and of the channels of these kinds, have been pruned beyond `after`, and how far.
pub(crate) async fn pruned_through(
    conn: &mut Conn,
    channels: &[Channel],
    kinds: &[&str],
    after: EventId,
) -> Result<Vec<(String, EventId)>, JournalError> {
    let mut pruned = Vec::new();
    for chunk in channels.chunks(LIST_MAX) {
        let size = list_size(chunk.len()).expect("a chunk fits the largest list");
        let mut values: Vec<Value> = vec![after.into()];
        values.extend(chunk.iter().map(|channel| Value::from(channel.as_str())));
        values.resize(size + 1, chunk[0].as_str().into());
        let list = in_list(2, size);
        let sql = format!("SELECT channel, pruned_through FROM channel_head WHERE pruned_through > $1 AND channel IN ({list})");
        for row in conn.fetch(AssertSqlSafe(sql).into_sql_str(), &values).await? {
            pruned.push((row.text("channel")?, row.count("pruned_through")?));
        }
    }
    for kind in kinds {
        let sql = "SELECT channel, pruned_through FROM channel_head WHERE pruned_through > $1 AND channel LIKE $2";
        for row in conn.fetch(SqlStr::from_static(sql), &[after.into(), format!("{kind}:%").into()]).await? {
            pruned.push((row.text("channel")?, row.count("pruned_through")?));
        }
    }
    Ok(pruned)
}

fn event_of(row: &Row) -> Result<Event, JournalError> {
    let corrupt = |what: &str| JournalError::Statement(format!("a stored event has a broken {what}"));
    let effects = match row.text_or_null("effects")? {
        Some(json) => serde_json::from_str(&json).map_err(|_| corrupt("effect"))?,
        None => Vec::new(),
    };
    Ok(Event {
        id: row.count("id")?,
        channel: Channel::parse(&row.text("channel")?).map_err(|_| corrupt("channel"))?,
        seq: row.count("seq")?,
        kind: row.text("type")?.into(),
        data: row.text("data")?.into(),
        recorded_at_ms: row.int("recorded_at_ms")?,
        effects,
    })
}
