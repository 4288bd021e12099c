//! SSE: a session as a stream of blocks.

use crate::session::{Ending, Outgoing, Session};
use bytes::Bytes;
use campanile_wire::CloseReason;
use futures_util::Stream;
use serde_json::json;
use std::convert::Infallible;
use std::time::Duration;

/// What `retry:` says on a stream that goes well.
const RETRY_MS: u64 = 3_000;

/// The blocks of a session until it ends or its credential does.
pub fn stream(session: Session) -> impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static {
    let hello = format!("retry: {RETRY_MS}\nid: {}\n\n", session.cursor());
    let first = State { session: Some(session), next: Some(hello.into()) };
    futures_util::stream::unfold(first, async |mut state| {
        let bytes = state.next().await?;
        Some((Ok(bytes), state))
    })
}

/// A stream that is refused for load: an EventSource gives up for good on any status but 200, so it is told to come back.
pub fn refused(retry_after_ms: u64) -> Bytes {
    format!("retry: {retry_after_ms}\n\n").into()
}

struct State {
    /// None when the last block has been written.
    session: Option<Session>,
    next: Option<Bytes>,
}

impl State {
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(next) = self.next.take() {
            return Some(next);
        }
        let session = self.session.as_mut()?;
        let heartbeat = Duration::from_millis(session.node.limits().sse_heartbeat_ms);
        let expiry = Duration::from_millis(session.expires_in_ms());
        let mut out = Vec::new();
        tokio::select! {
            () = session.take(&mut out) => {}
            () = tokio::time::sleep(heartbeat) => {
                // Moves the cursor to the node's position.
                session.take_now(&mut out);
                if out.is_empty() {
                    return Some(format!("id: {}\n\n", session.cursor()).into());
                }
            }
            () = tokio::time::sleep(expiry) => out.push(Outgoing::End(Ending::now(CloseReason::ExpiredToken))),
        }
        let (blocks, ended) = blocks(out);
        if ended {
            self.session = None;
        }
        Some(blocks)
    }
}

/// Writes a batch as one chunk; answers whether the stream ends with it.
fn blocks(out: Vec<Outgoing>) -> (Bytes, bool) {
    let mut bytes = Vec::new();
    for outgoing in out {
        match outgoing {
            Outgoing::Event(delivery) => bytes.extend_from_slice(delivery.sse()),
            // Frames are our own JSON on one line: no field can be forged in them.
            Outgoing::Frame(json) => bytes.extend_from_slice(format!("data: {json}\n\n").as_bytes()),
            Outgoing::End(ending) => {
                bytes.extend_from_slice(last_block(ending).as_bytes());
                return (bytes.into(), true);
            }
        }
    }
    (bytes.into(), false)
}

/// The named event with which a stream ends.
fn last_block(ending: Ending) -> String {
    let code = ending.reason.word();
    match ending.reason {
        // For good: coming back with the same credential would be refused.
        CloseReason::ExpiredToken | CloseReason::RevokedToken | CloseReason::NotApproved => {
            format!("event: expired\ndata: {}\n\n", json!({ "code": code }))
        }
        _ => {
            let retry_after_ms = ending.retry_after_ms.unwrap_or(RETRY_MS);
            let data = json!({ "code": code, "retry_after_ms": retry_after_ms });
            format!("retry: {retry_after_ms}\nevent: draining\ndata: {data}\n\n")
        }
    }
}
