//! An issuer over a real socket: how often it is asked, and what is believed of it.

use super::{IssuerConfig, Issuers, KEY_SET_BYTES_MAX};
use crate::auth::{Algorithm, TokenRules, peek};
use crate::host::{Host, Says};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use campanile_journal::{Clock, ManualClock};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

const ISSUER: &str = "https://lms.example";
const NOW_MS: i64 = 1_767_225_600_000;
const MINUTE_MS: i64 = 60_000;

/// A key of the issuer.
struct Signer {
    kid: &'static str,
    pair: Ed25519KeyPair,
}

impl Signer {
    fn new(kid: &'static str, seed: u8) -> Self {
        Self { kid, pair: Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap() }
    }

    fn jwk(&self) -> Value {
        json!({"kty": "OKP", "crv": "Ed25519", "kid": self.kid, "x": URL_SAFE_NO_PAD.encode(self.pair.public_key())})
    }

    /// A token that names `kid` and is signed with this key, valid for an hour.
    fn token_naming(&self, kid: &str, issuer: &str, now_ms: i64) -> String {
        let header = json!({"alg": "EdDSA", "kid": kid}).to_string();
        let claims = json!({"iss": issuer, "user_id": 7, "exp": now_ms / 1_000 + 3_600}).to_string();
        let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(self.pair.sign(message.as_bytes())))
    }
}

fn set(signers: &[&Signer]) -> Says {
    Says::Json(json!({"keys": signers.iter().map(|signer| signer.jwk()).collect::<Vec<_>>()}).to_string())
}

fn config(url: &str) -> IssuerConfig {
    IssuerConfig {
        issuer: ISSUER.into(),
        jwks_url: url.into(),
        algorithms: vec![Algorithm::EdDsa],
        allow_private_addresses: true,
        fetch_time_max: Duration::from_secs(20),
        rules: TokenRules { issuer: Some(ISSUER.into()), ..TokenRules::default() },
    }
}

/// An issuer on its host, and a clock.
struct School {
    host: Host,
    clock: Arc<ManualClock>,
    issuers: Arc<Issuers>,
}

impl School {
    async fn with(says: Says) -> Self {
        let (host, clock) = (Host::that_says(says).await, ManualClock::at(NOW_MS));
        let shared: Arc<dyn Clock> = clock.clone();
        let issuers = Arc::new(Issuers::new(vec![config(&host.url)], &shared).unwrap());
        Self { host, clock, issuers }
    }

    async fn judge(&self, signer: &Signer) -> String {
        self.judge_naming(signer, signer.kid).await
    }

    async fn judge_naming(&self, signer: &Signer, kid: &str) -> String {
        say(&self.issuers, &signer.token_naming(kid, ISSUER, self.clock.now_ms())).await
    }
}

async fn say(issuers: &Issuers, token: &str) -> String {
    match issuers.verify(token, &peek(token).unwrap()).await {
        Some(Ok(claims)) => format!("user {}", claims.user),
        Some(Err(code)) => code.to_string(),
        None => "another judge".into(),
    }
}

#[tokio::test]
async fn a_key_is_fetched_once_and_judges_many_tokens() {
    let signer = Signer::new("a", 1);
    let school = School::with(set(&[&signer])).await;
    for _ in 0..10 {
        assert_eq!(school.judge(&signer).await, "user 7");
    }
    assert_eq!(school.host.count(), 1);
    assert_eq!(school.judge_naming(&Signer::new("a", 2), "a").await, "invalid_token", "another key of that name");
    assert_eq!(say(&school.issuers, &signer.token_naming("a", "https://other.example", NOW_MS)).await, "another judge");
}

#[tokio::test]
async fn a_hundred_tokens_with_unknown_keys_cause_one_fetch() {
    let signer = Signer::new("a", 1);
    let school = School::with(Says::Nothing).await;
    let storm: Vec<_> = (0..100)
        .map(|place| {
            let (issuers, token) = (Arc::clone(&school.issuers), signer.token_naming(&format!("k{place}"), ISSUER, NOW_MS));
            tokio::spawn(async move { say(&issuers, &token).await })
        })
        .collect();
    // All of them wait before the host answers.
    while school.host.count() == 0 {
        tokio::task::yield_now().await;
    }
    school.host.now_says(set(&[&signer]));
    for one in storm {
        assert_eq!(one.await.unwrap(), "invalid_token");
    }
    assert_eq!(school.host.count(), 1);
    assert_eq!(school.judge_naming(&signer, "k").await, "invalid_token");
    assert_eq!(school.host.count(), 1, "within 30 s nothing is fetched for another unknown key");
}

#[tokio::test]
async fn a_rotated_key_is_found_by_its_name_and_a_removed_one_stops_counting() {
    let (old, new) = (Signer::new("old", 1), Signer::new("new", 2));
    let school = School::with(set(&[&old])).await;
    assert_eq!(school.judge(&old).await, "user 7");
    school.host.now_says(set(&[&new]));
    assert_eq!(school.judge(&new).await, "invalid_token", "the set was fetched a moment ago");
    school.clock.advance_ms(30_000);
    assert_eq!(school.judge(&new).await, "user 7");
    assert_eq!(school.judge(&old).await, "invalid_token");
}

#[tokio::test]
async fn a_removed_key_counts_for_ten_minutes_at_most() {
    let (old, new) = (Signer::new("old", 1), Signer::new("new", 2));
    let school = School::with(set(&[&old])).await;
    assert_eq!(school.judge(&old).await, "user 7");
    school.host.now_says(set(&[&new]));
    school.clock.advance_ms(10 * MINUTE_MS);
    assert_eq!(school.judge(&old).await, "invalid_token");
}

#[tokio::test]
async fn the_last_keys_count_on_while_the_issuer_is_down() {
    let signer = Signer::new("a", 1);
    let school = School::with(set(&[&signer])).await;
    assert_eq!(school.judge(&signer).await, "user 7");
    for bad in [
        Says::Redirect("http://127.0.0.1:9/keys".into()),
        Says::Json("{".into()),
        Says::Json(" ".repeat(KEY_SET_BYTES_MAX + 1)),
    ] {
        school.host.now_says(bad.clone());
        school.clock.advance_ms(15 * MINUTE_MS);
        assert_eq!(school.judge(&signer).await, "user 7", "{bad:?}");
        assert_eq!(school.judge_naming(&signer, "b").await, "auth_unavailable", "it may be a new key");
    }
}

#[tokio::test]
async fn without_any_set_nobody_can_say() {
    let signer = Signer::new("a", 1);
    for bad in [
        Says::Redirect("http://127.0.0.1:9/keys".into()),
        Says::Json(json!({"keys": []}).to_string()),
        Says::Json(" ".repeat(KEY_SET_BYTES_MAX + 1)),
    ] {
        let school = School::with(bad).await;
        for _ in 0..3 {
            assert_eq!(school.judge(&signer).await, "auth_unavailable");
        }
        assert_eq!(school.host.count(), 1, "what is not followed, too large or empty is asked for once in 5 s");
    }
}

#[tokio::test]
async fn an_issuer_that_does_not_answer_is_given_up_after_its_time() {
    let signer = Signer::new("a", 1);
    let host = Host::that_says(Says::Nothing).await;
    let clock: Arc<dyn Clock> = ManualClock::at(NOW_MS);
    let hasty = IssuerConfig { fetch_time_max: Duration::from_millis(50), ..config(&host.url) };
    let issuers = Issuers::new(vec![hasty], &clock).unwrap();
    assert_eq!(say(&issuers, &signer.token_naming("a", ISSUER, NOW_MS)).await, "auth_unavailable");
    assert_eq!(host.count(), 1);
}

#[test]
fn an_issuer_that_could_reach_the_private_network_stops_the_start() {
    let clock: Arc<dyn Clock> = ManualClock::at(NOW_MS);
    let refusal = |config: IssuerConfig| Issuers::new(vec![config], &clock).err().map(|error| format!("{error:#}"));
    let public = |url: &str| IssuerConfig { allow_private_addresses: false, ..config(url) };
    assert!(refusal(public("https://10.0.0.1/keys")).unwrap().contains("public internet"));
    assert!(refusal(public("http://lms.example/keys")).unwrap().contains("only https"));
    assert_eq!(refusal(public("https://lms.example/keys")), None);
    let shared_secret = IssuerConfig { algorithms: vec![Algorithm::Hs256], ..public("https://lms.example/keys") };
    assert!(refusal(shared_secret).unwrap().contains("no secret"));
    let twice = vec![public("https://lms.example/a"), public("https://lms.example/b")];
    assert!(Issuers::new(twice, &clock).is_err());
}
