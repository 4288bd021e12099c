//! Long poll: one session for one answer.

use crate::node::Refused;
use crate::session::{Ending, Outgoing, Session};
use bytes::Bytes;
use campanile_wire::{CloseReason, ErrorCode};
use futures_util::Stream;
use std::convert::Infallible;
use std::time::Duration;

/// How long a poll waits for history that the store is slow to give; then it answers `more` and the client asks again.
const HISTORY_WAIT_MAX: Duration = Duration::from_secs(5);

/// The answer to a poll.
pub struct Answer {
    /// `{"events":[…],"cursor":…,"epoch":…,"gap":…,"next_poll_ms":…,"more":…}`
    json: Bytes,
    /// Held until the answer is written, so that one that nobody reads counts for its person's connections.
    session: Session,
}

/// Bytes given to the socket at once.
const CHUNK_BYTES: usize = 16 * 1024;

impl Answer {
    /// The length of the JSON.
    pub fn json_bytes(&self) -> usize {
        self.json.len()
    }

    /// The JSON in pieces, as the socket takes them.
    pub fn into_stream(self) -> impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static {
        futures_util::stream::unfold((self.json, self.session), async |(mut left, session)| {
            let chunk = left.split_to(left.len().min(CHUNK_BYTES));
            (!chunk.is_empty()).then_some((Ok(chunk), (left, session)))
        })
    }
}

/// The answer to a client that has no cursor yet: the place where its reading begins, and no event, so that none stands before it.
pub fn head(session: Session) -> Answer {
    Gathered::default().into_answer(session)
}

/// Waits for anything due, at most `wait` and never beyond the credential's end.
///
/// # Errors
/// `server_draining` when the node goes down while nothing was due, `revoked_token` or `not_approved` when the right to read ends.
pub async fn answer(mut session: Session, wait: Duration) -> Result<Answer, Refused> {
    let limits = session.node.limits();
    let (events_max, wait_max) = (limits.poll_events_max, Duration::from_millis(limits.poll_wait_ms_max));
    let wait = wait.min(wait_max).min(Duration::from_millis(session.expires_in_ms()));
    let deadline = tokio::time::Instant::now() + wait;
    // What is there already is no waiting: with `wait=0` history is read too, or its client would never get it.
    let history_wait = HISTORY_WAIT_MAX.min(Duration::from_millis(session.expires_in_ms()));
    let history_deadline = deadline.max(tokio::time::Instant::now() + history_wait);
    let mut gathered = Gathered::default();
    loop {
        let mut out = Vec::new();
        let timed_out = if session.is_reading() {
            tokio::time::timeout_at(history_deadline, session.take_history(&mut out)).await.is_err()
        } else {
            tokio::time::timeout_at(deadline, session.take(&mut out)).await.is_err()
        };
        if timed_out && out.is_empty() {
            // Moves the cursor to the node's position.
            session.take_now(&mut out);
        }
        gathered.take(out);
        if let Some(refused) = gathered.ending.and_then(|ending| gathered.refused(ending)) {
            return Err(refused);
        }
        let heavy = gathered.bytes >= limits.page_bytes_max;
        let full = heavy || gathered.events.len() + limits.page_events_max > events_max;
        let settled = !session.is_reading() && (!gathered.events.is_empty() || gathered.gap.is_some());
        if full || settled || timed_out || gathered.ending.is_some() {
            return Ok(gathered.into_answer(session));
        }
    }
}

#[derive(Default)]
struct Gathered {
    events: Vec<String>,
    bytes: usize,
    gap: Option<String>,
    ending: Option<Ending>,
}

impl Gathered {
    fn take(&mut self, out: Vec<Outgoing>) {
        for outgoing in out {
            match outgoing {
                Outgoing::Event(delivery) => {
                    self.bytes += delivery.json().len();
                    self.events.push(String::from_utf8_lossy(delivery.json()).into_owned());
                }
                // A poll gets no frames but gaps; the newest reaches furthest.
                Outgoing::Frame(json) if json.starts_with("{\"type\":\"gap\"") => self.gap = Some(json),
                Outgoing::Frame(_) => {}
                Outgoing::End(ending) => self.ending = Some(ending),
            }
        }
    }

    /// How an ending is told, where it is not by the answer itself: what was due before a drain is still handed out.
    fn refused(&self, ending: Ending) -> Option<Refused> {
        match (ending.reason, ending.retry_after_ms) {
            (CloseReason::RevokedToken, _) => Some(Refused::of(ending.reason, ErrorCode::RevokedToken)),
            (CloseReason::NotApproved, _) => Some(Refused::of(ending.reason, ErrorCode::NotApproved)),
            (reason, Some(retry_after_ms)) if self.events.is_empty() => {
                Some(Refused { reason, refusal: ErrorCode::ServerDraining.into(), retry_after_ms: Some(retry_after_ms) })
            }
            _ => None,
        }
    }

    fn into_answer(self, session: Session) -> Answer {
        let more = session.is_reading();
        let next_poll_ms = if more { 0 } else { advised_pause_ms(&session) };
        let json = format!(
            "{{\"events\":[{}],\"cursor\":{},\"epoch\":{},\"gap\":{},\"next_poll_ms\":{next_poll_ms},\"more\":{more}}}",
            self.events.join(","),
            session.cursor(),
            session.epoch(),
            self.gap.as_deref().unwrap_or("null"),
        );
        Answer { json: json.into(), session }
    }
}

/// The advised pause grows with the node's connections: none below a thousand, a second at ten thousand.
fn advised_pause_ms(session: &Session) -> u64 {
    let connections = session.node.connections() as u64;
    connections.saturating_sub(1_000) / 9
}
