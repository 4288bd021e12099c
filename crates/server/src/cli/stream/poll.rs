//! Long poll: one request after another, each with the cursor that the last one answered.

use super::{Asked, Ear, Ended, ended, take};
use crate::cli::remote::{Failure, Server, signed};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::ops::ControlFlow;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long a poll waits for events, in seconds.
const WAIT_S: &str = "25";
/// How long its answer may take in all.
const ANSWER_MAX: Duration = Duration::from_secs(60);

/// An answer of PROTOCOL.md section 5.
#[derive(Deserialize)]
struct Polled {
    events: Vec<Box<RawValue>>,
    cursor: u64,
    epoch: Option<u64>,
    gap: Option<Box<RawValue>>,
    next_poll_ms: Option<u64>,
    #[serde(default)]
    more: bool,
}

pub(super) async fn follow(
    server: &Server,
    token: &str,
    asked: &mut Asked,
    ear: &mut impl Ear,
    stop: &CancellationToken,
) -> Result<Ended, Ended> {
    let mut is_open = false;
    loop {
        let address = asked.address("/api/poll", &[("wait", WAIT_S)]);
        let polled = tokio::select! {
            polled = poll(server, token, &address) => polled.map_err(ended)?,
            () = stop.cancelled() => return Ok(Ended::Done),
        };
        if !std::mem::replace(&mut is_open, true) {
            ear.opened();
        }
        for frame in polled.gap.iter().chain(&polled.events) {
            if take(frame.get(), asked, ear)? == ControlFlow::Break(()) {
                return Ok(Ended::Done);
            }
        }
        asked.place.since = Some(polled.cursor.to_string());
        asked.place.epoch = polled.epoch.or(asked.place.epoch);
        let pause = Duration::from_millis(if polled.more { 0 } else { polled.next_poll_ms.unwrap_or(0) });
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = stop.cancelled() => return Ok(Ended::Done),
        }
    }
}

async fn poll(server: &Server, token: &str, address: &str) -> Result<Polled, Failure> {
    let request = server.http.get(server.url(address)).timeout(ANSWER_MAX);
    let answer = server.answer(signed(request, Some(token))?).await?;
    serde_json::from_str(&answer.text).map_err(|_| Failure::Foreign("the answer is no poll's: is this a Campanile?".into()))
}
