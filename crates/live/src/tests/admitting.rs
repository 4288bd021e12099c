//! Who is let in, who takes whose place, and how everybody is told to leave.

use super::school::{OPENING_MS, School, limits, soon, wish};
use crate::{Connect, LiveLimits, Node, Outgoing, Session, Transport};
use campanile_wire::caller::PersonCaller;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn named(person: i64, client: &str) -> Connect {
    Connect { client: Some(client.into()), ..wish(person) }
}

#[tokio::test]
async fn a_user_has_so_many_connections_at_most_whatever_the_transport() {
    let school = School::with(LiveLimits { connections_per_user_max: 3, ..limits() }).await;
    let mut held = Vec::new();
    for transport in Transport::ALL {
        held.push(school.admit(Connect { transport, ..wish(1) }).await.unwrap());
    }
    let refused = school.refused(wish(1)).await;
    assert_eq!((refused.reason.code(), refused.refusal.code.as_str()), (4029, "too_many_connections"));
    assert!(refused.retry_after_ms.unwrap() >= 1_000);
    assert!(school.admit(wish(2)).await.is_ok(), "others are not touched");
    held.pop();
    assert!(school.admit(wish(1)).await.is_ok(), "a place is free again");
}

#[tokio::test]
async fn an_address_has_so_many_connections_at_most() {
    let school = School::with(LiveLimits { connections_per_address_max: 2, ..limits() }).await;
    let _held = [school.connect(1).await, school.connect(2).await];
    assert_eq!(school.refused(wish(3)).await.reason.word(), "too_many_connections");
    let address: IpAddr = [127, 0, 0, 2].into();
    assert!(school.admit(Connect { address, ..wish(3) }).await.is_ok());
}

#[tokio::test]
async fn other_limits_hold_from_their_next_use_and_nobody_who_is_in_is_put_out() {
    let school = School::with(LiveLimits { connections_per_user_max: 2, ..limits() }).await;
    let mut held = [school.admit(wish(1)).await.unwrap(), school.admit(wish(1)).await.unwrap()];
    school.node.set_limits(LiveLimits { connections_per_user_max: 1, ..limits() });
    assert_eq!(school.refused(wish(1)).await.reason.word(), "too_many_connections");
    school.node.set_limits(LiveLimits { connections_per_user_max: 3, ..limits() });
    assert!(school.admit(wish(1)).await.is_ok());
    for client in &mut held {
        assert_eq!(client.hears().await, ["established at 0"]);
    }
}

#[tokio::test]
async fn the_same_client_replaces_its_old_connection_also_at_the_cap() {
    let school = School::with(LiveLimits { connections_per_user_max: 2, ..limits() }).await;
    let mut old = school.admit(named(1, "tab")).await.unwrap();
    let mut other = school.admit(named(1, "phone")).await.unwrap();
    let mut stranger = school.admit(named(2, "tab")).await.unwrap();
    let mut new = school.admit(named(1, "tab")).await.unwrap();
    assert_eq!(old.hears().await, ["established at 0", "closed replaced"]);
    for client in [&mut other, &mut stranger, &mut new] {
        assert_eq!(client.hears().await, ["established at 0"]);
    }
}

#[tokio::test]
async fn a_replaced_connection_is_woken() {
    let school = School::open().await;
    let mut old = school.admit(named(1, "tab")).await.unwrap();
    assert_eq!(old.next().await, "established at 0");
    let (heard, new) = tokio::join!(old.next(), school.admit(named(1, "tab")));
    assert_eq!(heard, "closed replaced");
    assert!(new.is_ok());
}

#[tokio::test]
async fn at_the_cap_a_half_dead_connection_is_replaced_and_only_one() {
    let school = School::with(LiveLimits { connections_per_user_max: 3, ..limits() }).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(school.node.connect(wish(1)).await.unwrap());
    }
    assert!(school.node.connect(wish(1)).await.is_err());
    held[0].mailbox.set_half_dead(true);
    held[1].mailbox.set_half_dead(true);
    // Each newcomer takes one place, although those whose place is taken have not noticed yet.
    let _first = school.node.connect(wish(1)).await.unwrap();
    assert_eq!(held.iter().filter(|session| session.mailbox.is_ending()).count(), 1);
    let _second = school.node.connect(wish(1)).await.unwrap();
    assert_eq!(held.iter().filter(|session| session.mailbox.is_ending()).count(), 2);
    assert_eq!(school.refused(wish(1)).await.reason.word(), "too_many_connections");
    assert_eq!(held[0].mailbox.lock().ending.unwrap().reason.word(), "replaced");
    assert!(!held[2].mailbox.is_ending());
}

#[tokio::test]
async fn admission_lets_a_burst_in_and_tells_the_rest_when_to_come_back() {
    let school = School::with(LiveLimits { connects_per_second_max: 5, reconnect_spread_ms: 2_000, ..limits() }).await;
    let mut refused = Vec::new();
    for person in 0..20 {
        if let Err(refusal) = school.node.connect(wish(person)).await {
            assert_eq!((refusal.reason.word(), refusal.refusal.code.as_str()), ("server_busy", "server_busy"));
            refused.push(refusal.retry_after_ms.unwrap());
        }
    }
    assert!((12..=15).contains(&refused.len()), "{}", refused.len());
    assert!(refused.iter().all(|wait_ms| (100..=2_300).contains(wait_ms)), "{refused:?}");
    assert!(refused.iter().any(|wait_ms| *wait_ms != refused[0]), "they must not come back as one");
}

#[test]
fn the_bucket_refills_at_its_rate_and_holds_its_burst() {
    let mut bucket = crate::admission::Bucket::default();
    let mut take = |now_us| bucket.take(now_us, 10, 3);
    assert_eq!([take(0), take(0), take(0)], [Ok(()), Ok(()), Ok(())]);
    assert_eq!(take(0), Err(100));
    assert_eq!(take(99_000), Err(1));
    assert_eq!(take(100_000), Ok(()));
    assert_eq!(take(100_000), Err(100));
    assert_eq!([take(10_000_000), take(10_000_000), take(10_000_000)], [Ok(()), Ok(()), Ok(())]);
    assert_eq!(take(10_000_000), Err(100), "a long rest fills it no higher");
}

#[tokio::test]
async fn an_ended_credential_is_not_let_in() {
    let school = School::open().await;
    let wish = wish(1);
    let caller = PersonCaller { expires_at_ms: OPENING_MS, ..wish.caller.clone() };
    let refused = school.refused(Connect { caller, ..wish }).await;
    assert_eq!((refused.reason.code(), refused.reason.word(), refused.retry_after_ms), (4001, "expired_token", None));
}

#[tokio::test]
async fn a_connection_that_goes_leaves_nothing_behind() {
    let school = School::open().await;
    school.grant(1, "course:7").await;
    let mut client = school.connect(1).await;
    client.says(serde_json::json!({"type": "subscribe", "view": "posts", "key": 7})).await;
    client.says(serde_json::json!({"type": "unsubscribe", "channels": ["course:7"]})).await;
    drop(client);
    assert_eq!(school.node.connections(), 0);
    assert_eq!(school.node.metrics.connections(Transport::Ws), 0);
    assert!(school.node.core().hub.is_empty_everywhere());
    assert!(school.node.core().views.has_no_readers());
}

/// Reads until its end; answers when to come back.
async fn leave(mut session: Session) -> (String, Option<u64>) {
    loop {
        let mut out = Vec::new();
        soon(session.take(&mut out)).await;
        if let Some(Outgoing::End(ending)) = out.last() {
            return (ending.reason.word().to_owned(), ending.retry_after_ms);
        }
    }
}

async fn drained(node: &Arc<Node>, readers: usize) -> (Vec<(String, Option<u64>)>, Duration) {
    let mut leaving = Vec::new();
    for person in 0..readers {
        leaving.push(tokio::spawn(leave(node.connect(wish(person as i64)).await.unwrap())));
    }
    let started = Instant::now();
    soon(node.drain()).await;
    let took = started.elapsed();
    let mut told = Vec::new();
    for reader in leaving {
        told.push(soon(reader).await.unwrap());
    }
    (told, took)
}

#[tokio::test]
async fn a_drain_tells_everyone_when_to_come_back_spread_over_time_and_lets_nobody_in() {
    let school = School::with(LiveLimits { drain_ms_max: 600, reconnect_spread_ms: 3_000, ..limits() }).await;
    let (told, took) = drained(&school.node, 100).await;
    assert!(told.iter().all(|(word, _)| word == "server_draining"));
    let waits: Vec<_> = told.iter().map(|(_, wait_ms)| wait_ms.unwrap()).collect();
    assert!(waits.iter().all(|wait_ms| (100..=3_000).contains(wait_ms)));
    assert!(waits.iter().filter(|wait_ms| **wait_ms < 1_550).count() > 20, "spread over the whole of it");
    assert!(waits.iter().filter(|wait_ms| **wait_ms > 1_550).count() > 20, "spread over the whole of it");
    assert!(took < Duration::from_millis(600), "it ends when everybody has gone: {took:?}");
    let refused = school.refused(wish(1)).await;
    assert_eq!((refused.reason.code(), refused.refusal.code.as_str()), (4010, "server_draining"));
    assert!(refused.retry_after_ms.is_some() && school.node.is_draining());
}

#[tokio::test]
async fn a_drain_ends_inside_its_grace_though_somebody_does_not_leave() {
    let school = School::with(LiveLimits { drain_ms_max: 60, ..limits() }).await;
    let stubborn = school.node.connect(wish(1)).await.unwrap();
    let started = Instant::now();
    soon(school.node.drain()).await;
    let took = started.elapsed();
    assert!(took >= Duration::from_millis(60) && took < Duration::from_secs(5), "{took:?}");
    assert_eq!(stubborn.mailbox.lock().ending.unwrap().reason.word(), "server_draining", "the first ending stands");
}
