//! Long polls and streams: the same sessions, other encodings.

use super::school::{OPENING_MS, School, limits, post, soon, wish};
use crate::socket::{poll, sse};
use crate::{Connect, LiveLimits, Transport};
use campanile_wire::caller::PersonCaller;
use campanile_wire::{Cursor, ErrorCode, EventId};
use futures_util::StreamExt;
use serde_json::Value;
use std::pin::pin;
use std::time::Duration;

async fn ask(school: &School, since: EventId, wait: Duration) -> Result<Value, ErrorCode> {
    let wish = Connect { transport: Transport::Poll, since: Some(Cursor::Id(since)), ..wish(1) };
    let session = school.node.connect(wish).await.unwrap();
    let answer = soon(poll::answer(session, wait)).await.map_err(|refused| refused.refusal.code)?;
    let pieces: Vec<_> = answer.into_stream().map(|piece| piece.unwrap()).collect().await;
    Ok(serde_json::from_slice(&pieces.concat()).unwrap())
}

/// The ids of an answer's events, its cursor, and whether there is more.
fn told(answer: &Value) -> (Vec<u64>, u64, bool) {
    let ids = answer["events"].as_array().unwrap().iter().map(|event| event["id"].as_u64().unwrap()).collect();
    (ids, answer["cursor"].as_u64().unwrap(), answer["more"].as_bool().unwrap())
}

#[tokio::test]
async fn a_poll_without_waiting_answers_what_is_there_from_memory_and_from_the_store() {
    for tail_events_max in [0, 100] {
        let school = School::with(LiveLimits { tail_events_max, page_events_max: 2, poll_events_max: 3, ..limits() }).await;
        school.grant(1, "course:7").await;
        for place in 2..=5 {
            school.post(if place == 3 { "course:8" } else { "course:7" }, "bell").await;
        }
        let mut since = 0;
        let mut ids = Vec::new();
        for _ in 0..4 {
            let (page, cursor, more) = told(&ask(&school, since, Duration::ZERO).await.unwrap());
            assert!(page.len() <= 3 && cursor >= since);
            ids.extend(page);
            since = cursor;
            if !more {
                break;
            }
        }
        assert_eq!((ids, since), (vec![1, 2, 4, 5], 5));
        assert_eq!(told(&ask(&school, 5, Duration::ZERO).await.unwrap()), (vec![], 5, false));
    }
}

#[tokio::test]
async fn a_poll_moves_the_cursor_over_what_is_not_due() {
    let school = School::with(LiveLimits { tail_events_max: 0, ..limits() }).await;
    for _ in 0..5 {
        school.post("course:7", "for others").await;
    }
    assert_eq!(told(&ask(&school, 0, Duration::ZERO).await.unwrap()), (vec![], 5, false));
}

#[tokio::test]
async fn a_waiting_poll_answers_when_something_happens() {
    let school = School::open().await;
    school.grant(1, "course:7").await;
    let (answer, _) = tokio::join!(ask(&school, 1, Duration::from_secs(3_600)), post(&school.site, "course:7", "bell"));
    assert_eq!(told(&answer.unwrap()), (vec![2], 2, false));
}

#[tokio::test]
async fn a_poll_waits_no_longer_than_its_credential_lives() {
    let school = School::open().await;
    let wish = wish(1);
    let caller = PersonCaller { expires_at_ms: OPENING_MS + 10, ..wish.caller.clone() };
    let wish = Connect { caller, transport: Transport::Poll, since: Some(Cursor::Id(0)), ..wish };
    let session = school.node.connect(wish).await.unwrap();
    assert!(soon(poll::answer(session, Duration::from_secs(3_600))).await.is_ok());
}

#[tokio::test]
async fn a_poll_tells_a_gap_at_once() {
    let school = School::open().await;
    let answer = ask(&school, 900, Duration::from_secs(3_600)).await.unwrap();
    assert_eq!(answer["gap"]["reason"], "cursor_ahead");
    assert_eq!(answer["cursor"], 0);
}

#[tokio::test]
async fn a_waiting_poll_is_told_of_a_drain_and_a_replaced_one_is_simply_answered() {
    let school = School::with(LiveLimits { drain_ms_max: 50, ..limits() }).await;
    let wish = Connect { transport: Transport::Poll, client: Some("tab".into()), since: Some(Cursor::Id(0)), ..wish(1) };
    let hour = Duration::from_secs(3_600);
    let first = poll::answer(school.node.connect(wish.clone()).await.unwrap(), hour);
    let second = school.node.connect(wish).await.unwrap();
    assert!(soon(first).await.is_ok(), "replaced by the second");
    let (answer, ()) = tokio::join!(soon(poll::answer(second, hour)), school.node.drain());
    let refused = answer.err().unwrap();
    let (code, retry_after_ms) = (refused.refusal.code, refused.retry_after_ms.unwrap());
    assert!(code == ErrorCode::ServerDraining && retry_after_ms >= 100);
}

#[tokio::test]
async fn a_stream_begins_with_retry_and_cursor_then_events_carry_their_ids() {
    let school = School::open().await;
    school.grant(1, "course:7").await;
    let session =
        school.node.connect(Connect { transport: Transport::Sse, since: Some(Cursor::Id(0)), ..wish(1) }).await.unwrap();
    let mut stream = pin!(sse::stream(session));
    let mut next = async || String::from_utf8(soon(stream.next()).await.unwrap().unwrap().to_vec()).unwrap();
    assert_eq!(next().await, "retry: 3000\nid: 0\n\n");
    let history = next().await;
    assert!(history.starts_with("id: 1\ndata: {\"type\":\"granted\",\"id\":1,"), "{history}");
    assert!(history.ends_with("\n\ndata: {\"type\":\"replay_complete\",\"from\":0,\"to\":1,\"count\":1,\"gap\":false}\n\n"));
    school.post("course:7", "bell").await;
    assert!(next().await.starts_with("id: 2\ndata: {\"type\":\"posted\""));
}

#[tokio::test]
async fn a_silent_stream_says_its_cursor() {
    let school = School::with(LiveLimits { sse_heartbeat_ms: 5, ..limits() }).await;
    let session = school.node.connect(Connect { transport: Transport::Sse, ..wish(1) }).await.unwrap();
    let mut stream = pin!(sse::stream(session));
    let mut next = async || String::from_utf8(soon(stream.next()).await.unwrap().unwrap().to_vec()).unwrap();
    assert_eq!(next().await, "retry: 3000\nid: 0\n\n");
    assert_eq!(next().await, "id: 0\n\n");
    school.post("course:7", "for others").await;
    assert_eq!(next().await, "id: 1\n\n");
}

#[tokio::test]
async fn a_stream_ends_with_the_credential_and_with_a_drain_by_a_named_event() {
    let school = School::with(LiveLimits { drain_ms_max: 50, ..limits() }).await;
    for drains in [false, true] {
        let wish = wish(1);
        let expires_at_ms = if drains { i64::MAX } else { OPENING_MS + 5 };
        let caller = PersonCaller { expires_at_ms, ..wish.caller.clone() };
        let session = school.node.connect(Connect { caller, transport: Transport::Sse, ..wish }).await.unwrap();
        let blocks = async {
            let stream = sse::stream(session).map(|block| String::from_utf8(block.unwrap().to_vec()).unwrap());
            soon(stream.collect::<Vec<_>>()).await
        };
        let drain = async {
            if drains {
                school.node.drain().await;
            }
        };
        let (blocks, ()) = tokio::join!(blocks, drain);
        let last = blocks.last().unwrap();
        match drains {
            false => assert_eq!(last, "event: expired\ndata: {\"code\":\"expired_token\"}\n\n"),
            true => {
                assert!(last.contains("event: draining\ndata: {\"code\":\"server_draining\",\"retry_after_ms\":"), "{last}");
            }
        }
    }
}
