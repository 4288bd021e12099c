//! The rules of peer review, on every store.

use super::FEATURE;
use campanile_contract::Caller;
use campanile_contract::bench::{Bench, person, service};
use serde_json::json;

/// Asks `times` times as this caller for a review by person 2: the events, and then the last answer or refusal.
async fn check(caller: &Caller, times: usize, expect: &[&str]) {
    for mut bench in Bench::on_every_store(&[FEATURE]).await {
        let fields = json!({"submission_id": "s", "title": "Essay", "reviewer_id": 2});
        let mut answer = String::new();
        for _ in 0..times {
            let outcome = bench.run(caller, "request_review", fields.clone()).await;
            answer = outcome.map_or_else(|refusal| refusal.to_string(), |outcome| outcome.answer);
        }
        let mut outcome = bench.new_events().await;
        outcome.push(answer);
        assert_eq!(outcome, expect);
    }
}

const REQUESTED: &str = r#"review_requested user:2 {"submission_id":"s","author_id":1,"title":"Essay"}"#;

#[tokio::test]
async fn the_reviewer_is_told() {
    check(&person(1, "student"), 1, &[REQUESTED, r#"{"submission_id":"s","changed":true}"#]).await;
}

#[tokio::test]
async fn asking_twice_is_asking_once() {
    check(&person(1, "student"), 2, &[REQUESTED, r#"{"submission_id":"s","changed":false}"#]).await;
}

#[tokio::test]
async fn nobody_reviews_their_own_work() {
    check(&person(2, "student"), 1, &["forbidden: nobody reviews their own work"]).await;
}

#[tokio::test]
async fn only_people_ask() {
    check(&service(&["roster"]), 1, &["forbidden: the caller may not do or see this"]).await;
}
