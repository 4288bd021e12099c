//! The long poll client: one request after the other on one connection, each with the cursor of the last answer.

use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::{Cause, Ear, Ended, Heard, Leave, dial::Dial, frame::hear_frame, http::HttpConnection};

/// A chain of polls.
pub struct PollSession {
    connection: HttpConnection,
    bearer: String,
    since: Option<u64>,
    wait_s: u32,
    asked: bool,
    established: bool,
    not_before: Option<Instant>,
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    events: Vec<&'a RawValue>,
    cursor: u64,
    epoch: u64,
    gap: Option<Gap>,
    next_poll_ms: u64,
    more: bool,
}

#[derive(Deserialize)]
struct Gap {
    from: u64,
    to: u64,
}

// === impl PollSession ===

impl PollSession {
    /// Connects; the first request leaves with the first read.
    pub async fn open(dial: &Dial, since: Option<u64>) -> Result<Self, Ended> {
        Ok(Self {
            connection: HttpConnection::new(dial.connect().await?),
            bearer: format!("Bearer {}", dial.token),
            since,
            wait_s: dial.poll_wait_s,
            asked: false,
            established: false,
            not_before: None,
        })
    }

    /// Asks, when no request is out, and waits for the answer.
    pub async fn read(&mut self, ear: &mut impl Ear) -> Result<(), Ended> {
        if !self.asked {
            if let Some(at) = self.not_before {
                tokio::time::sleep_until(at).await;
            }
            let line = match self.since {
                Some(since) => format!("GET /api/poll?since={since}&wait={}", self.wait_s),
                None => "GET /api/poll".to_owned(),
            };
            self.asked = true;
            self.connection.send(&line, &[("Authorization", &self.bearer)], None).await?;
        }
        let response = self.connection.response().await?;
        self.asked = false;
        let body = String::from_utf8_lossy(&response.body);
        if response.head.status != 200 {
            let cause = Cause::Refused { status: response.head.status, code: body.into_owned() };
            return Err(Ended { close_code: 0, cause, come_back: response.head.retry_after() });
        }
        self.hear_answer(&body, ear).map_err(|what| Ended::of(Cause::Garbage(what)))
    }

    fn hear_answer(&mut self, body: &str, ear: &mut impl Ear) -> Result<(), String> {
        let answer: Answer = serde_json::from_str(body).map_err(|error| format!("{error} in a poll's answer"))?;
        if !std::mem::replace(&mut self.established, true) {
            ear.hear(Heard::Established { head: answer.cursor, epoch: Some(answer.epoch) });
        }
        if let Some(gap) = &answer.gap {
            ear.hear(Heard::Gap { from: gap.from, to: gap.to });
        }
        for event in &answer.events {
            hear_frame(event.get(), ear)?;
        }
        ear.hear(Heard::Cursor(answer.cursor));
        self.since = Some(answer.cursor);
        let pause = Duration::from_millis(answer.next_poll_ms);
        self.not_before = (!answer.more && !pause.is_zero()).then(|| Instant::now() + pause);
        Ok(())
    }

    /// Goes away.
    pub fn leave(self, how: Leave) {
        if how == Leave::Reset {
            drop(self.connection.stream.set_zero_linger());
        }
    }
}
