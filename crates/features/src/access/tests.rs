//! The rules of access as sentences.

use super::FEATURE;
use campanile_contract::bench::{Bench, person, service};
use campanile_contract::{Caller, Refusal};
use serde_json::{Value, json};

/// What a request of this caller comes to: the log's lines, or the code.
async fn check(caller: &Caller, fields: Value, expect: &str) {
    for mut bench in Bench::on_every_store(&[FEATURE]).await {
        let said = match bench.run(caller, "revoke_access", fields.clone()).await {
            Ok(outcome) => format!("{} {}", outcome.answer, bench.new_events().await.join("; ")),
            Err(Refusal { code, .. }) => code.to_string(),
        };
        assert_eq!(said, expect, "{fields}");
    }
}

fn with_token(caller: Caller, token_id: &str) -> Caller {
    match caller {
        Caller::Person(mut person) => {
            person.token_id = Some(token_id.into());
            Caller::Person(person)
        }
        service => service,
    }
}

#[tokio::test]
async fn a_person_ends_what_is_their_own_and_nothing_else() {
    let ada = with_token(person(1, "student"), "t-1");
    let signed_out = r#"{"revoked":"user"} signed_out user:1 {"user_id":1} signs out 1"#;
    check(&ada, json!({"user_id": 1}), signed_out).await;
    check(&ada, json!({"user_id": 2}), "forbidden").await;
    let token = r#"{"revoked":"token"} token_revoked access:tokens {"token_id":"t-1"} ends token t-1 of 1"#;
    check(&ada, json!({"token_id": "t-1"}), token).await;
    check(&ada, json!({"token_id": "t-2"}), "forbidden").await;
    let connection = r#"{"revoked":"connection"} session_ended access:sessions {"connection":"c-1-2"} ends c-1-2 of 1"#;
    check(&ada, json!({"connection": "c-1-2"}), connection).await;
}

#[tokio::test]
async fn an_administrator_ends_anybodys() {
    let token = r#"{"revoked":"token"} token_revoked access:tokens {"token_id":"t-2"} ends token t-2"#;
    for admin in [person(3, "admin"), service(&["admin"])] {
        check(&admin, json!({"token_id": "t-2"}), token).await;
        check(&admin, json!({"user_id": "2"}), r#"{"revoked":"user"} signed_out user:2 {"user_id":"2"} signs out 2"#).await;
    }
    check(&service(&["publish", "roster"]), json!({"user_id": 2}), "forbidden").await;
}

#[tokio::test]
async fn exactly_one_thing_is_ended_at_a_time() {
    let admin = service(&["admin"]);
    check(&admin, json!({}), "invalid_data").await;
    check(&admin, json!({"user_id": 1, "token_id": "t"}), "invalid_data").await;
    check(&admin, json!({"token_id": ""}), "invalid_data").await;
    check(&admin, json!({"token_id": "a\nb"}), "invalid_data").await;
}
