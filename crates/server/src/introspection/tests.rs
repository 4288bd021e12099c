//! A host that knows opaque tokens, over a real socket.

use super::{Introspection, IntrospectionConfig, QUESTIONS_MAX};
use crate::auth::introspection::Question;
use crate::host::{Host, Says};
use campanile_journal::ManualClock;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const NOW_MS: i64 = 1_767_225_600_000;

struct School {
    host: Host,
    clock: Arc<ManualClock>,
    port: Arc<Introspection>,
}

impl School {
    async fn with(says: Says) -> Self {
        Self::that_waits(says, Duration::from_secs(20)).await
    }

    async fn that_waits(says: Says, timeout: Duration) -> Self {
        let (host, clock) = (Host::that_says(says).await, ManualClock::at(NOW_MS));
        let config = IntrospectionConfig {
            url: host.url.clone(),
            secret: Some("for the host alone".into()),
            headers: BTreeMap::from([("X-School".into(), "tower".into())]),
            timeout,
            cache_ms: 60_000,
            negative_cache_ms: 5_000,
            life_ms: 3_600_000,
        };
        let port = Introspection::new(config, clock.clone()).unwrap();
        Self { host, clock, port }
    }

    async fn judge(&self, credential: &str) -> String {
        say(&self.port, Question::Token, credential).await
    }
}

async fn say(port: &Arc<Introspection>, asked: Question, credential: &str) -> String {
    match port.judge(asked, credential).await {
        Ok(person) => format!("user {}", person.id),
        Err(code) => code.to_string(),
    }
}

fn active(changes: Value) -> Says {
    let mut answer = json!({"active": true, "user_id": 7});
    answer.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    Says::Json(answer.to_string())
}

#[tokio::test]
async fn the_host_is_asked_once_a_minute_and_an_unknown_token_every_five_seconds() {
    let school = School::with(active(json!({}))).await;
    assert_eq!((school.judge("abc").await, school.judge("abc").await), ("user 7".into(), "user 7".into()));
    assert_eq!(school.host.count(), 1);
    school.host.now_says(Says::Json(json!({"active": false}).to_string()));
    school.clock.advance_ms(59_999);
    assert_eq!(school.judge("abc").await, "user 7");
    school.clock.advance_ms(1);
    assert_eq!((school.judge("abc").await, school.judge("abc").await), ("invalid_token".into(), "invalid_token".into()));
    assert_eq!(school.host.count(), 2);
    school.clock.advance_ms(5_000);
    assert_eq!((school.judge("abc").await, school.host.count()), ("invalid_token".into(), 3));
}

#[tokio::test]
async fn a_token_and_a_session_are_asked_about_as_forms_with_the_secret() {
    let school = School::with(active(json!({}))).await;
    school.judge("a&b=c d").await;
    say(&school.port, Question::Session, "a&b=c d").await;
    let requests = school.host.requests();
    assert_eq!(requests.len(), 2, "a session of the same text is another question");
    for (request, field) in requests.iter().zip(["token", "session"]) {
        assert!(request.starts_with("POST / HTTP/1.1"), "{request}");
        assert!(
            request.contains("authorization: Bearer for the host alone") && request.contains("x-school: tower"),
            "{request}"
        );
        assert!(request.ends_with(&format!("\r\n\r\n{field}=a%26b%3Dc%20d")), "{request}");
    }
}

#[tokio::test]
async fn many_who_show_the_same_token_cause_one_question() {
    let school = School::with(Says::Nothing).await;
    let storm: Vec<_> = (0..100)
        .map(|_| {
            let port = Arc::clone(&school.port);
            tokio::spawn(async move { say(&port, Question::Token, "abc").await })
        })
        .collect();
    while school.host.count() == 0 {
        tokio::task::yield_now().await;
    }
    school.host.now_says(active(json!({})));
    for one in storm {
        assert_eq!(one.await.unwrap(), "user 7");
    }
    assert_eq!(school.host.count(), 1);
}

#[tokio::test]
async fn a_host_that_is_down_says_nothing_of_new_tokens_and_takes_nothing_from_known_ones() {
    let school = School::with(active(json!({}))).await;
    assert_eq!(school.judge("known").await, "user 7");
    for bad in
        [Says::Json("{".into()), Says::Json("{}".into()), Says::Redirect("/elsewhere".into()), Says::Json(" ".repeat(70_000))]
    {
        school.host.now_says(bad.clone());
        assert_eq!(school.judge("new").await, "auth_unavailable", "{bad:?}");
        assert_eq!(school.judge("known").await, "user 7");
    }
    school.host.now_says(active(json!({})));
    assert_eq!(school.judge("new").await, "user 7", "a failure is not kept");
}

#[tokio::test]
async fn a_host_that_does_not_answer_is_given_up_after_its_time() {
    let school = School::that_waits(Says::Nothing, Duration::from_millis(50)).await;
    assert_eq!((school.judge("abc").await, school.host.count()), ("auth_unavailable".into(), 1));
}

#[tokio::test]
async fn only_so_many_questions_are_under_way() {
    let school = School::with(Says::Nothing).await;
    let asked: Vec<_> = (0..QUESTIONS_MAX)
        .map(|place| {
            let port = Arc::clone(&school.port);
            tokio::spawn(async move { say(&port, Question::Token, &place.to_string()).await })
        })
        .collect();
    while school.port.inside.lock().unwrap().flights.len() < QUESTIONS_MAX {
        tokio::task::yield_now().await;
    }
    assert_eq!(school.judge("one more").await, "auth_unavailable");
    school.host.now_says(active(json!({})));
    for one in asked {
        assert_eq!(one.await.unwrap(), "user 7");
    }
    assert_eq!(school.judge("one more").await, "user 7");
}

#[test]
fn only_so_many_questions_begin_in_a_second() {
    let mut inside = super::Inside::default();
    let asked = |inside: &mut super::Inside, now_ms| (0..2_000).filter(|_| inside.may_ask(now_ms)).count();
    assert_eq!(
        (asked(&mut inside, NOW_MS), asked(&mut inside, NOW_MS + 999), asked(&mut inside, NOW_MS + 1_000)),
        (1_000, 0, 1_000)
    );
}

#[tokio::test]
async fn a_kept_answer_ends_with_the_token() {
    let school = School::with(active(json!({"exp": NOW_MS / 1_000 + 10}))).await;
    assert_eq!(school.judge("abc").await, "user 7");
    school.clock.advance_ms(10_000);
    assert_eq!((school.judge("abc").await, school.host.count()), ("expired_token".into(), 1));
}

#[tokio::test]
async fn a_forgotten_answer_is_asked_for_again_but_not_in_a_storm() {
    let school = School::with(active(json!({}))).await;
    school.judge("abc").await;
    school.port.forget(Question::Token, "abc");
    assert_eq!((school.judge("abc").await, school.host.count()), ("user 7".into(), 1));
    school.clock.advance_ms(5_000);
    school.port.forget(Question::Token, "abc");
    assert_eq!((school.judge("abc").await, school.host.count()), ("user 7".into(), 2));
}

#[tokio::test]
async fn who_is_not_approved_and_what_is_too_long_are_refused() {
    let school = School::with(active(json!({"is_approved": false}))).await;
    assert_eq!(school.judge("abc").await, "not_approved");
    assert_eq!(school.judge(&"x".repeat(8 * 1024 + 1)).await, "invalid_token");
    assert_eq!(school.host.count(), 1);
}
