//! Opaque tokens and sessions: the host is asked who holds them, one question at a time for each, and its answers are kept a moment.

use crate::auth::introspection::{Question, Vouched, read_answer};
use crate::outbound::{self, Failed, Reach};
use anyhow::{Context, Result};
use campanile_journal::Clock;
use campanile_wire::ErrorCode;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Url};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Questions under way at once; one more is answered `auth_unavailable`.
const QUESTIONS_MAX: usize = 64;
/// Questions begun in a second, so that a stranger's invented tokens are not the host's burden; one more is answered `auth_unavailable`.
const QUESTIONS_PER_SECOND_MAX: u32 = 1_000;
/// Answers kept, at least; at most twice as many.
const ANSWERS_MAX: usize = 20_000;
/// The largest answer that is read.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// The longest token or cookie that is asked about.
const CREDENTIAL_BYTES_MAX: usize = 8 * 1024;

/// How the host is asked.
#[derive(Clone)]
pub(crate) struct IntrospectionConfig {
    pub(crate) url: String,
    /// Sent as `Authorization: Bearer …`.
    pub(crate) secret: Option<String>,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) timeout: Duration,
    pub(crate) cache_ms: i64,
    pub(crate) negative_cache_ms: i64,
    pub(crate) life_ms: i64,
}

/// SHA-256 of what was asked: neither the cache nor a dump of it holds a credential.
type Key = [u8; 32];
/// The host's word, or none when it could not be asked.
type Answer = Option<Vouched>;

/// The host that judges what only it knows.
pub(crate) struct Introspection {
    url: Url,
    client: Client,
    config: IntrospectionConfig,
    clock: Arc<dyn Clock>,
    inside: Mutex<Inside>,
}

/// Answers in two generations, so that forgetting the older half costs nothing, and the questions under way.
#[derive(Default)]
struct Inside {
    young: HashMap<Key, (i64, Vouched)>,
    old: HashMap<Key, (i64, Vouched)>,
    flights: HashMap<Key, Shared<BoxFuture<'static, Answer>>>,
    /// The present second of the clock, and the questions begun in it.
    begun: (i64, u32),
}

impl Inside {
    fn known(&self, key: &Key, now_ms: i64) -> Option<Vouched> {
        let found = self.young.get(key).or_else(|| self.old.get(key));
        found.filter(|(until_ms, _)| now_ms < *until_ms).map(|(_, vouched)| vouched.clone())
    }

    /// Takes one place among the questions, if there is one.
    fn may_ask(&mut self, now_ms: i64) -> bool {
        let second = now_ms.div_euclid(1_000);
        if self.begun.0 != second {
            self.begun = (second, 0);
        }
        let may = self.flights.len() < QUESTIONS_MAX && self.begun.1 < QUESTIONS_PER_SECOND_MAX;
        self.begun.1 += u32::from(may);
        may
    }

    fn keep(&mut self, key: Key, until_ms: i64, vouched: Vouched) {
        if self.young.len() >= ANSWERS_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, (until_ms, vouched));
    }
}

impl Introspection {
    pub(crate) fn new(config: IntrospectionConfig, clock: Arc<dyn Clock>) -> Result<Arc<Self>> {
        let url = Url::parse(&config.url).context("auth.introspection.url")?;
        // The operator names it, not a token: it may lie in the private network, where hosts usually are.
        let client = outbound::client(&url, Reach::Anywhere, config.timeout).context("auth.introspection.url")?;
        headers_of(&config)?;
        Ok(Arc::new(Self { url, client, config, clock, inside: Mutex::default() }))
    }

    /// Who holds the credential.
    ///
    /// # Errors
    /// `invalid_token`, `expired_token` or `not_approved` as the host says, `auth_unavailable` when it cannot be asked.
    pub(crate) async fn judge(self: &Arc<Self>, asked: Question, credential: &str) -> Vouched {
        if credential.len() > CREDENTIAL_BYTES_MAX {
            return Err(ErrorCode::InvalidToken);
        }
        let key = key_of(asked, credential);
        let flight = {
            let mut inside = self.inside.lock().expect("nothing panics while it holds the answers");
            let now_ms = self.clock.now_ms();
            if let Some(vouched) = inside.known(&key, now_ms) {
                return vouched.and_then(|person| match person.expires_at_ms > now_ms {
                    true => Ok(person),
                    false => Err(ErrorCode::ExpiredToken),
                });
            }
            match inside.flights.get(&key).cloned() {
                Some(flight) => flight,
                None if !inside.may_ask(now_ms) => return Err(ErrorCode::AuthUnavailable),
                None => self.depart(&mut inside, key, asked, credential),
            }
        };
        flight.await.unwrap_or(Err(ErrorCode::AuthUnavailable))
    }

    /// Forgets what was answered, so that the host is asked again; not more often than about a credential that it refused.
    pub(crate) fn forget(&self, asked: Question, credential: &str) {
        let key = key_of(asked, credential);
        let mut inside = self.inside.lock().expect("nothing panics while it holds the answers");
        let until_ms = self.clock.now_ms() + self.config.cache_ms - self.config.negative_cache_ms;
        let Inside { young, old, .. } = &mut *inside;
        for answers in [young, old] {
            if answers.get(&key).is_some_and(|(kept_until_ms, _)| *kept_until_ms <= until_ms) {
                answers.remove(&key);
            }
        }
    }

    /// One question for all who wait for its answer. It runs in a task of its own: a caller who goes away takes nothing from the others.
    fn depart(
        self: &Arc<Self>,
        inside: &mut Inside,
        key: Key,
        asked: Question,
        credential: &str,
    ) -> Shared<BoxFuture<'static, Answer>> {
        let (port, credential) = (Arc::clone(self), credential.to_owned());
        let flight = async move {
            let answer = port.ask(asked, &credential).await;
            let mut inside = port.inside.lock().expect("nothing panics while it holds the answers");
            inside.flights.remove(&key);
            match answer {
                Ok((asked_at_ms, vouched)) => {
                    let kept_ms = if vouched.is_ok() { port.config.cache_ms } else { port.config.negative_cache_ms };
                    inside.keep(key, asked_at_ms.saturating_add(kept_ms), vouched.clone());
                    Some(vouched)
                }
                Err(failed) => {
                    drop(inside);
                    tracing::warn!(%failed, "the host cannot be asked who holds a token");
                    None
                }
            }
        };
        let flight = flight.boxed().shared();
        inside.flights.insert(key, flight.clone());
        tokio::spawn(flight.clone());
        flight
    }

    async fn ask(&self, asked: Question, credential: &str) -> Result<(i64, Vouched), Failed> {
        let asked_at_ms = self.clock.now_ms();
        let headers = headers_of(&self.config).map_err(|error| Failed::Content(error.to_string()))?;
        let request = self.client.post(self.url.clone()).headers(headers).body(form(asked.field(), credential));
        let body = outbound::body(request.send().await?, ANSWER_BYTES_MAX).await?;
        let vouched = read_answer(&body, credential, asked_at_ms, self.config.life_ms);
        vouched.map(|vouched| (asked_at_ms, vouched)).map_err(|reason| Failed::Content(reason.to_owned()))
    }
}

fn key_of(asked: Question, credential: &str) -> Key {
    Sha256::new().chain_update(asked.field()).chain_update("=").chain_update(credential).finalize().into()
}

fn headers_of(config: &IntrospectionConfig) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("application/x-www-form-urlencoded"));
    headers.insert("accept", HeaderValue::from_static("application/json"));
    let given = config.headers.iter().map(|(name, value)| (name.clone(), value.clone()));
    let secret = config.secret.iter().map(|secret| ("authorization".to_owned(), format!("Bearer {secret}")));
    for (name, value) in given.chain(secret) {
        // The error of a value is not told: it would quote a secret.
        let mut value = HeaderValue::from_str(&value).ok().context("auth.introspection: a header's value is not printable")?;
        value.set_sensitive(true);
        let name = HeaderName::from_bytes(name.as_bytes()).context("auth.introspection: a header's name")?;
        headers.insert(name, value);
    }
    Ok(headers)
}

/// One field as a form (WHATWG URL, 5.2). Every byte but the unreserved ones is escaped.
fn form(name: &str, value: &str) -> String {
    use std::fmt::Write;
    let mut form = format!("{name}=");
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._*".contains(&byte) {
            form.push(char::from(byte));
        } else {
            let _ = write!(form, "%{byte:02X}");
        }
    }
    form
}

#[cfg(test)]
mod tests;
