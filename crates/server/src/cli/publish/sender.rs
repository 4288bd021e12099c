//! A request that is sent until its answer is known: every attempt carries the same idempotency key.

use crate::cli::remote::{BackOff, Failure, Server, again_in};
use crate::cli::{Usage, terminal};
use anyhow::{Context, Result};

/// How often one request is sent at most; the waits between are 1, 2, 4, 8 and 16 s, or what the server asks for.
const ATTEMPTS_MAX: u32 = 6;
/// The longest idempotency key that is taken, so that a batch's number fits behind it (the server takes 255 signs).
const KEY_SIGNS_MAX: usize = 200;

/// Sends with one credential, under keys that begin alike.
pub(super) struct Sender {
    server: Server,
    credential: String,
    key: String,
}

/// A request that was acknowledged.
pub(super) struct Acknowledged {
    pub(super) text: String,
    /// Whether an earlier request of this key had done it.
    pub(super) replayed: bool,
}

impl Sender {
    pub(super) fn new(server: Server, credential: String, key: Option<String>) -> Result<Self> {
        let key = key.unwrap_or_else(|| format!("cli-{:032x}", rand::random::<u128>()));
        if key.is_empty() || key.len() > KEY_SIGNS_MAX || !key.chars().all(|sign| sign.is_ascii_graphic()) {
            let sentence = format!("an idempotency key is 1 to {KEY_SIGNS_MAX} visible ASCII signs");
            return Err(Usage(sentence).into());
        }
        Ok(Self { server, credential, key })
    }

    /// Sends a request under the key and its `part`, again for as long as that may help.
    pub(super) async fn send(&mut self, path: &str, body: String, part: &str) -> Result<Acknowledged> {
        let key = format!("{}{part}", self.key);
        let mut waits = BackOff::new();
        let mut attempt = 1;
        loop {
            let failure = match self.server.post(path, body.clone(), &self.credential, Some(&key)).await {
                Ok(answer) => {
                    let replayed = answer.headers.contains_key("idempotency-replayed");
                    return Ok(Acknowledged { text: answer.text, replayed });
                }
                Err(failure) => failure,
            };
            attempt += 1;
            match failure.passes_after() {
                Some(asked) if attempt <= ATTEMPTS_MAX => {
                    let wait = waits.next(asked);
                    terminal::say(&format!("{failure}; {} (attempt {attempt} of {ATTEMPTS_MAX})", again_in(wait)));
                    tokio::time::sleep(wait).await;
                }
                Some(_) => {
                    let given_up = format!(
                        "given up after {ATTEMPTS_MAX} attempts; whether it is stored is not known: run it again with \
                         --idempotency-key {}",
                        self.key
                    );
                    return Err(failure).context(given_up);
                }
                None => return Err(Failure::into(failure)),
            }
        }
    }
}
