//! Views: whole at subscribe, then conflated, and the newest always arrives.

use super::school::{Client, School, limits};
use crate::LiveLimits;
use serde_json::{Value, json};

/// Nothing is sent by itself: the rate is so low that only what subscribing sends is seen.
fn still() -> LiveLimits {
    LiveLimits { view_interval_ms: 3_600_000, ..limits() }
}

fn subscribe(key: Value) -> Value {
    json!({"type": "subscribe", "view": "posts", "key": key})
}

async fn reader(school: &School) -> Client {
    school.grant(1, "course:7").await;
    let mut client = school.connect(1).await;
    client.hears().await;
    client
}

/// Waits until the newest picture has come; answers every picture on the way.
async fn pictures_until(client: &mut Client, newest: &str) -> Vec<String> {
    let mut pictures = Vec::new();
    while pictures.last().is_none_or(|line: &String| line != newest) {
        let line = client.next().await;
        if line.starts_with("posts") {
            pictures.push(line);
        }
    }
    pictures
}

#[tokio::test]
async fn a_view_is_whole_at_subscribe_and_says_as_of_which_event() {
    let school = School::with(still()).await;
    let mut client = reader(&school).await;
    school.post("course:7", "a").await;
    school.post("course:7", "b").await;
    client.hears().await;
    assert_eq!(client.answer_to(subscribe(json!(7))).await, ["posts 7 2 as of 3"]);
    assert_eq!(client.answer_to(subscribe(json!("7"))).await, [r#"posts "7" 2 as of 3"#]);
}

#[tokio::test]
async fn every_picture_spells_the_key_as_the_reader_did() {
    let school = School::open().await;
    let mut readers = [reader(&school).await, school.connect(1).await, school.connect(1).await];
    for (reader, key) in readers.iter_mut().zip([json!(7), json!("7"), json!(7)]) {
        reader.says(subscribe(key.clone())).await;
        pictures_until(reader, &format!("posts {key} 0 as of 1")).await;
    }
    school.post("course:7", "bell").await;
    for (reader, key) in readers.iter_mut().zip([json!(7), json!("7"), json!(7)]) {
        pictures_until(reader, &format!("posts {key} 1 as of 2")).await;
    }
}

#[tokio::test]
async fn a_view_is_conflated_and_the_newest_always_arrives() {
    let school = School::open().await;
    let mut client = reader(&school).await;
    client.says(subscribe(json!(7))).await;
    for _ in 0..50 {
        super::school::post(&school.site, "course:7", "bell").await;
    }
    let pictures = pictures_until(&mut client, "posts 7 50 as of 51").await;
    assert!(pictures.is_sorted_by_key(|line| line.split(' ').nth(2).unwrap().parse::<u64>().unwrap()), "{pictures:?}");
}

#[tokio::test]
async fn of_several_pictures_that_wait_only_the_newest_is_sent() {
    let school = School::with(still()).await;
    let client = school.node.connect(super::school::wish(1)).await.unwrap();
    for place in 0..1_000 {
        client.mailbox.push_view("posts", "7", format!("{place}").into());
        client.mailbox.push_view("posts", "8", format!("{place}").into());
    }
    let views: Vec<_> = client.mailbox.lock().views.values().map(ToString::to_string).collect();
    assert_eq!(views, ["999", "999"]);
}

#[tokio::test]
async fn a_view_of_a_course_that_is_not_ones_own_is_forbidden() {
    let school = School::open().await;
    let mut client = reader(&school).await;
    assert_eq!(client.answer_to(subscribe(json!(8))).await, ["error forbidden"]);
}

#[tokio::test]
async fn a_withdrawn_reader_gets_no_more_pictures() {
    let school = School::open().await;
    let mut client = reader(&school).await;
    school.grant(2, "course:7").await;
    let mut other = school.connect(2).await;
    for reader in [&mut client, &mut other] {
        reader.says(subscribe(json!(7))).await;
        pictures_until(reader, "posts 7 0 as of 2").await;
    }
    school.revoke(1, "course:7").await;
    for _ in 0..3 {
        let id = school.post("course:7", "bell").await;
        pictures_until(&mut other, &format!("posts 7 {} as of {id}", id - 3)).await;
    }
    assert_eq!(client.hears().await, ["3 user:1 revoked course:7"]);
}

#[tokio::test]
async fn after_unsubscribe_no_picture_comes() {
    let school = School::open().await;
    let mut client = reader(&school).await;
    let mut other = school.connect(1).await;
    for reader in [&mut client, &mut other] {
        reader.says(subscribe(json!(7))).await;
        pictures_until(reader, "posts 7 0 as of 1").await;
    }
    client.says(json!({"type": "unsubscribe", "view": "posts", "key": 7})).await;
    school.post("course:7", "bell").await;
    pictures_until(&mut other, "posts 7 1 as of 2").await;
    assert_eq!(client.hears().await, ["2 course:7 bell"]);
}

#[tokio::test]
async fn a_connection_reads_so_many_views_at_most_and_may_ask_again_for_those() {
    let school = School::with(LiveLimits { views_per_connection_max: 2, ..still() }).await;
    for course in ["course:7", "course:8", "course:9"] {
        school.grant(1, course).await;
    }
    let mut client = school.connect(1).await;
    client.hears().await;
    for (key, expect) in
        [(7, "posts 7 0 as of 3"), (8, "posts 8 0 as of 3"), (9, "error rate_limited"), (7, "posts 7 0 as of 3")]
    {
        assert_eq!(client.answer_to(subscribe(json!(key))).await, [expect]);
    }
    client.says(json!({"type": "unsubscribe", "view": "posts", "key": 7})).await;
    assert_eq!(client.answer_to(subscribe(json!(9))).await, ["posts 9 0 as of 3"]);
}

#[tokio::test]
async fn a_node_that_starts_shows_what_one_that_followed_shows() {
    let mut school = School::with(still()).await;
    let mut client = reader(&school).await;
    school.post("course:7", "a").await;
    client.hears().await;
    let followed = client.answer_to(subscribe(json!(7))).await;
    school.restart(still()).await;
    let mut client = school.connect(1).await;
    client.hears().await;
    assert_eq!(client.answer_to(subscribe(json!(7))).await, followed);
}
