//! A credential that was revoked opens nothing and keeps nothing open, on every node and after every restart.

use super::school::{OPENING_MS, School, limits, soon, wish};
use crate::socket::{poll, sse};
use crate::{Connect, LiveLimits, Node, Transport};
use campanile_wire::caller::PersonCaller;
use campanile_wire::{Cursor, ErrorCode};
use futures_util::StreamExt;
use serde_json::{Value, json};
use std::pin::pin;
use std::time::Duration;

/// A wish with a token of this id, issued so long after the opening.
fn with_token(person: i64, token_id: &str, issued_after_ms: i64) -> Connect {
    let wish = wish(person);
    let caller = PersonCaller {
        token_id: Some(token_id.into()),
        issued_at_ms: Some(OPENING_MS + issued_after_ms),
        ..wish.caller.clone()
    };
    Connect { caller, ..wish }
}

fn token(token_id: &str) -> Value {
    json!({"effect": "revoke_token", "token_id": token_id, "person": null})
}

fn sign_out(person: i64) -> Value {
    json!({"effect": "sign_out", "person": person})
}

fn connection(name: &str, person: Option<i64>) -> Value {
    json!({"effect": "end_session", "connection": name, "person": person})
}

#[tokio::test]
async fn a_revoked_token_closes_what_it_opened_at_that_place_of_the_log() {
    let school = School::open().await;
    for person in [1, 2] {
        school.grant(person, "course:7").await;
    }
    let mut ended = school.admit(with_token(1, "lost", 0)).await.unwrap();
    let mut reading = school.admit(Connect { since: Some(Cursor::Id(0)), ..with_token(1, "lost", 0) }).await.unwrap();
    let mut kept = school.admit(with_token(1, "kept", 0)).await.unwrap();
    let mut other = school.admit(with_token(2, "other", 0)).await.unwrap();
    school.post("course:7", "before").await;
    school.end(token("lost")).await;
    school.post("course:7", "after").await;
    assert_eq!(ended.hears().await, ["established at 2", "3 course:7 before", "closed revoked_token"]);
    for client in [&mut kept, &mut other] {
        assert_eq!(client.hears().await, ["established at 2", "3 course:7 before", "5 course:7 after"]);
    }
    // One that was reading history is given nothing more of it, and nothing from beyond.
    let heard = reading.hears().await;
    assert_eq!(heard.last().unwrap(), "closed revoked_token");
    assert!(!heard.iter().any(|line| line.starts_with("5 ")), "{heard:?}");
    let refused = school.refused(with_token(1, "lost", 0)).await;
    assert_eq!((refused.reason.word(), refused.refusal.code.status()), ("revoked_token", 401));
    assert!(
        school.node.is_revoked(&with_token(1, "lost", 0).caller) && !school.node.is_revoked(&with_token(1, "kept", 0).caller)
    );
}

#[tokio::test]
async fn signing_somebody_out_ends_everything_issued_before_and_nothing_issued_after() {
    let school = School::open().await;
    let mut old = school.admit(with_token(1, "old", 0)).await.unwrap();
    let mut undated = school.admit(wish(1)).await.unwrap();
    let mut other = school.admit(with_token(2, "other", 0)).await.unwrap();
    school.clock.advance_ms(1_000);
    school.end(sign_out(1)).await;
    for client in [&mut old, &mut undated] {
        assert_eq!(client.hears().await, ["established at 0", "closed revoked_token"]);
    }
    assert_eq!(other.hears().await, ["established at 0"]);
    for refused in [with_token(1, "old", 999), wish(1)] {
        assert_eq!(school.refused(refused).await.reason.word(), "revoked_token");
    }
    assert!(school.admit(with_token(1, "new", 1_000)).await.is_ok());
}

#[tokio::test]
async fn a_revocation_survives_a_restart_and_reaches_every_node() {
    let mut school = School::open().await;
    let site = school.other_process().await;
    let elsewhere =
        Node::start(site, std::sync::Arc::clone(&school.node.authenticate), LiveLimits { log_poll_ms: 5, ..limits() });
    let elsewhere = elsewhere.await.unwrap();
    let mut there = elsewhere.connect(with_token(1, "lost", 0)).await.unwrap();
    school.clock.advance_ms(1_000);
    school.end(token("lost")).await;
    let last = school.end(sign_out(2)).await;
    soon(elsewhere.reached(last)).await;
    let mut out = Vec::new();
    soon(there.take(&mut out)).await;
    assert!(there.mailbox.is_ending());
    school.restart(limits()).await;
    for node in [&elsewhere, &school.node] {
        assert!(node.is_revoked(&with_token(1, "lost", 0).caller) && node.is_revoked(&with_token(2, "any", 0).caller));
        assert!(!node.is_revoked(&with_token(2, "new", 1_000).caller));
    }
}

#[tokio::test]
async fn a_connection_is_ended_by_its_name_and_its_token_stays_good() {
    let school = School::open().await;
    let mut ended = school.admit(with_token(1, "t", 0)).await.unwrap();
    let mut kept = school.admit(with_token(1, "t", 0)).await.unwrap();
    let names: Vec<String> = school.node.open_connections(Some("1")).into_iter().map(|open| open.connection).collect();
    assert!(names.iter().all(|name| name.starts_with("c-")) && names[0] != names[1], "{names:?}");
    // Of another node, of nobody, and of somebody else: nothing happens.
    for (name, person) in [("c-00000000-1", None), ("c-1", None), ("", None), (names[0].as_str(), Some(2))] {
        school.end(connection(name, person)).await;
    }
    assert_eq!(school.node.connections(), 2);
    school.end(connection(&names[0], Some(1))).await;
    assert_eq!(ended.hears().await, ["established at 0", "closed revoked_token"]);
    assert_eq!(kept.hears().await, ["established at 0"]);
    assert!(school.admit(with_token(1, "t", 0)).await.is_ok());
}

#[tokio::test]
async fn a_token_that_somebody_ended_as_their_own_is_not_ended_for_others() {
    let school = School::open().await;
    school.end(json!({"effect": "revoke_token", "token_id": "t", "person": 1})).await;
    assert!(school.admit(with_token(2, "t", 0)).await.is_ok(), "ids of two issuers may meet");
    assert_eq!(school.refused(with_token(1, "t", 0)).await.reason.word(), "revoked_token");
}

#[tokio::test]
async fn a_refreshed_connection_goes_by_its_new_token() {
    let school = School::open().await;
    let mut client = school.admit(with_token(1, "first", 0)).await.unwrap();
    let fresh = format!("1 {} student second", OPENING_MS + 60_000);
    assert!(client.answer_to(json!({"type": "refresh", "token": fresh})).await[1].starts_with("refreshed"));
    school.end(token("first")).await;
    assert!(client.hears().await.is_empty(), "the old token holds it no more");
    assert_eq!(school.refused(with_token(1, "first", 0)).await.reason.word(), "revoked_token");
    let revoked = format!("1 {} student first", OPENING_MS + 60_000);
    assert_eq!(client.answer_to(json!({"type": "refresh", "token": revoked})).await, ["error revoked_token"]);
    school.end(token("second")).await;
    assert_eq!(client.hears().await, ["closed revoked_token"]);
}

#[tokio::test]
async fn a_waiting_poll_is_refused_and_a_stream_ends_with_the_named_block() {
    let school = School::open().await;
    let of = |transport| Connect { transport, since: Some(Cursor::Id(0)), ..with_token(1, "t", 0) };
    let waiting = school.node.connect(of(Transport::Poll)).await.unwrap();
    let mut stream = pin!(sse::stream(school.node.connect(of(Transport::Sse)).await.unwrap()));
    assert!(stream.next().await.is_some());
    let (answer, _) = tokio::join!(soon(poll::answer(waiting, Duration::from_secs(3_600))), school.end(token("t")));
    assert_eq!(answer.err().unwrap().refusal.code, ErrorCode::RevokedToken);
    let mut last = String::new();
    while let Some(block) = soon(stream.next()).await {
        last = String::from_utf8(block.unwrap().to_vec()).unwrap();
    }
    assert!(last.ends_with("event: expired\ndata: {\"code\":\"revoked_token\"}\n\n"), "{last}");
}

#[tokio::test]
async fn what_a_revoked_client_says_before_it_hears_of_its_end_is_not_heard() {
    let school = School::open().await;
    school.grant(1, "course:7").await;
    let mut client = school.admit(with_token(1, "t", 0)).await.unwrap();
    school.end(token("t")).await;
    let post = json!({"type": "command", "ref": "a", "name": "post", "data": {"channel": "course:7", "text": "late"}});
    assert_eq!(client.answer_to(post).await, ["established at 1", "closed revoked_token"]);
    assert_eq!(school.node.position(), 2);
}

#[tokio::test]
async fn a_revocation_is_forgotten_when_its_tokens_have_ended_by_themselves_and_an_endless_one_never() {
    let life_ms = 60_000;
    let mut school = School::with(LiveLimits { token_life_ms_max: Some(life_ms), ..limits() }).await;
    for id in ["short", "opaque:endless"] {
        school.end(token(id)).await;
    }
    school.end(sign_out(1)).await;
    school.clock.advance_ms(life_ms + 1);
    school.site.journal.forget_revocations(life_ms).await.unwrap();
    school.restart(limits()).await;
    let revoked = |person, id| school.node.is_revoked(&with_token(person, id, -1).caller);
    assert!(!revoked(2, "short") && !revoked(1, "any") && revoked(2, "opaque:endless"));
}
