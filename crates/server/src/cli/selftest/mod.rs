//! `campanile selftest`: a running server tried out from end to end, with times.

mod background;
mod round_trip;

use super::finding::{Finding, Findings};
use super::remote::{Place, Reader, Server, Tokens};
use super::stream::Transport;
use super::{Usage, credential};
use anyhow::Result;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use campanile_wire::{Channel, Id};
use clap::Args;
use round_trip::Trip;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// The person whose inbox is used where nobody else is named; nobody has this id.
const SELFTEST_PERSON: &str = "campanile-selftest";
/// How long one step may take.
const STEP_MAX: Duration = Duration::from_secs(20);

/// Tries a running server out from end to end.
///
/// Store, readiness, worker, a round trip over each transport with the times they took, replay after a reconnect,
/// metrics and error monitoring. Events go to a channel of its own (user:campanile-selftest), unless a person is named.
#[derive(Args)]
#[command(after_help = "Examples:
  campanile selftest --dev
  campanile selftest --key @key.txt                     # in the folder of campanile.toml
  campanile selftest --url https://rt.example --skip-store --key @key.txt --token @token.txt

A token is signed with the configuration's secret; where it has none, give --token. The key needs the scope publish, and metrics for the metrics.
Exit status: 0 when everything works, 1 when something does not.")]
pub struct Selftest {
    #[command(flatten)]
    reader: Reader,
    /// The API key; `@file` reads a file, `-` standard input.
    #[arg(long, env = "CAMPANILE_KEY", hide_env_values = true)]
    key: Option<String>,
    /// Leaves out what needs the store itself: from another machine it cannot be reached.
    #[arg(long)]
    skip_store: bool,
    /// Prints one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

impl Selftest {
    pub(super) async fn run(mut self) -> Result<()> {
        if self.reader.user_id.is_none() && self.reader.token.is_none() {
            self.reader.user_id = Some(Id::new(SELFTEST_PERSON).expect("a word is an id"));
        }
        let (server, tokens) = (self.place.server()?, self.place.tokens(&self.reader)?);
        let key = credential::api_key(self.key.as_deref(), self.place.dev, &self.place.source)?;
        let trip = Trip { channel: channel_of(&tokens)?.to_string(), server, tokens, key };
        let mut findings = Findings::new(self.json);
        let config = credential::config_of(&self.place.source, self.place.dev)?;
        if !self.skip_store {
            findings.add_all(background::store_and_worker(&config).await)?;
        }
        for (check, path) in [("server", "/healthz"), ("readiness", "/readyz")] {
            findings.add(answers(check, &trip.server, path).await)?;
        }
        for transport in Transport::ALL {
            findings.add(trip.there_and_back(transport, transport.name(), PROGRESS, &progress()).await)?;
        }
        findings.add(trip.there_and_back(Transport::Ws, "notification", "notification", &notification()).await)?;
        findings.add(trip.replay().await)?;
        findings.add(metrics(&trip.server, &trip.key).await)?;
        findings.add(background::monitoring(&config))?;
        findings.finish()
    }
}

const PROGRESS: &str = "progress_update";

fn progress() -> Value {
    json!({ "course_id": SELFTEST_PERSON, "percent": 50 })
}

fn notification() -> Value {
    let created_at = campanile_wire::instant::format(super::token::now_ms());
    json!({ "id": 0, "message": "A test of this server", "type": "selftest", "is_read": false, "created_at": created_at })
}

async fn answers(check: &'static str, server: &Server, path: &str) -> Finding {
    let began = Instant::now();
    match server.get(path, None).await {
        Ok(answer) => Finding::ok(check, format!("{path} answers {}", answer.text.lines().next().unwrap_or_default()))
            .in_time(began.elapsed()),
        Err(failure) => Finding::problem(check, failure.to_string(), "`campanile doctor` says more"),
    }
}

async fn metrics(server: &Server, key: &str) -> Finding {
    let began = Instant::now();
    match server.get("/metrics", Some(key)).await {
        Ok(answer) => {
            let samples = answer.text.lines().filter(|line| line.starts_with("campanile_")).count();
            Finding::ok("metrics", format!("{samples} samples")).in_time(began.elapsed())
        }
        // The key may do without: that is no fault of the server.
        Err(failure) if failure.code() == Some("forbidden") => {
            Finding::cannot_tell("metrics", "the key lacks the scope metrics", "a key that has it tells more")
        }
        Err(failure) => Finding::problem("metrics", failure.to_string(), "the key needs the scope metrics"),
    }
}

/// The inbox of the token's person.
fn channel_of(tokens: &Tokens) -> Result<Channel> {
    let person = match tokens {
        Tokens::Made(_, person) => Some(person.clone()),
        Tokens::Given(token) => person_of(token),
    };
    let person = person.ok_or_else(|| Usage("the token names no user_id or sub: is it a JWT?".into()))?;
    Ok(Channel::user(&person))
}

/// Whom a token names. The server judges whether that is true.
fn person_of(token: &str) -> Option<Id> {
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: Value = serde_json::from_slice(&payload).ok()?;
    Id::from_json(claims.get("user_id").or(claims.get("sub"))?)
}
