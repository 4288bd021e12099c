//! The platform's side of the wire: requests with an API key, repeated under one idempotency key until they are settled.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use rand::Rng;
use tokio::time::Instant;

use crate::client::{
    dial::{Dial, NATIVE_WS},
    http::{HttpConnection, Response},
};

/// An attempt without an answer by then counts as lost.
const ANSWER_MAX: Duration = Duration::from_secs(20);
/// A request that is not settled by then never will be.
const SETTLE_MAX: Duration = Duration::from_secs(180);
/// The first and the longest pause between two attempts.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));
/// The longest `Retry-After` that is obeyed: more would be a server that has given up.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(30);

/// One request, the same at every attempt.
#[derive(Clone)]
pub struct Request {
    /// `POST /api/events`
    pub line: String,
    pub idempotency_key: String,
    pub body: Option<String>,
}

/// How a request ended.
pub enum Settled {
    /// 2xx with its body; the flag is the header `Idempotency-Replayed`.
    Acked { body: Vec<u8>, replayed: bool },
    /// A definite 4xx, with the problem's code and its whole body.
    Refused { status: u16, code: String, body: Vec<u8> },
    /// No answer in all the time.
    Unsettled(String),
}

/// A connection to the service routes, renewed when it breaks.
pub struct Service {
    dial: Dial,
    bearer: String,
    connection: Option<HttpConnection>,
    /// Attempts after the first one, over this connection's life.
    pub repeats: u64,
}

// === impl Service ===

impl Service {
    /// A client of its own loopback address.
    pub fn new(server: SocketAddr, source: Ipv4Addr, api_key: &str) -> Self {
        let dial = Dial {
            server,
            source,
            token: String::new(),
            client: None,
            receive_buffer_bytes: None,
            poll_wait_s: 0,
            ws_path: NATIVE_WS,
        };
        Self { dial, bearer: format!("Bearer {api_key}"), connection: None, repeats: 0 }
    }

    /// Repeats the request until it is settled.
    pub async fn settle(&mut self, request: &Request, random: &mut (impl Rng + Send)) -> Settled {
        let start = Instant::now();
        let mut pause = BACKOFF.0;
        loop {
            let (why, advised) = match self.attempt(request).await {
                Ok(response) => match outcome(response) {
                    Ok(settled) => return settled,
                    Err(again) => again,
                },
                Err(error) => (error.to_string(), None),
            };
            if start.elapsed() > SETTLE_MAX {
                return Settled::Unsettled(why);
            }
            self.repeats += 1;
            let wait = advised.map_or(pause, |advised| advised.min(RETRY_AFTER_MAX));
            tokio::time::sleep(wait.mul_f64(random.random_range(0.5..1.5))).await;
            pause = (pause * 2).min(BACKOFF.1);
        }
    }

    /// Sends the request and hangs up without waiting for the answer: it may or may not have been carried out.
    pub async fn send_and_hang_up(&mut self, request: &Request) {
        if self.connected().await.is_ok() {
            // Whether it was sent at all does not matter either.
            let _ = self.send(request).await;
        }
        self.connection = None;
    }

    /// One attempt. The connection is kept only after a whole answer.
    async fn attempt(&mut self, request: &Request) -> io::Result<Response> {
        let exchange = async {
            self.connected().await?;
            self.send(request).await?;
            let Some(connection) = &mut self.connection else { return Err(io::ErrorKind::NotConnected.into()) };
            connection.response().await
        };
        let answer = tokio::time::timeout(ANSWER_MAX, exchange).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        let keep = answer.as_ref().is_ok_and(|response| response.head.header("connection") != Some("close"));
        if !keep {
            self.connection = None;
        }
        answer
    }

    async fn connected(&mut self) -> io::Result<()> {
        if self.connection.is_none() {
            self.connection = Some(HttpConnection::new(self.dial.connect().await?));
        }
        Ok(())
    }

    async fn send(&mut self, request: &Request) -> io::Result<()> {
        let Some(connection) = &mut self.connection else { return Err(io::ErrorKind::NotConnected.into()) };
        let headers = [("Authorization", self.bearer.as_str()), ("Idempotency-Key", request.idempotency_key.as_str())];
        connection.send(&request.line, &headers, request.body.as_deref()).await
    }
}

/// What an answer settles; else why not, and the pause that it advises.
fn outcome(response: Response) -> Result<Settled, (String, Option<Duration>)> {
    let status = response.head.status;
    match status {
        200..=299 => {
            let replayed = response.head.header("idempotency-replayed") == Some("true");
            Ok(Settled::Acked { body: response.body, replayed })
        }
        400..=499 if !matches!(status, 408 | 425 | 429) => {
            Ok(Settled::Refused { status, code: problem_code(&response.body), body: response.body })
        }
        _ => Err((format!("{status} {}", problem_code(&response.body)), response.head.retry_after())),
    }
}

/// The `code` of a problem body, or the body itself where there is none.
fn problem_code(body: &[u8]) -> String {
    let problem: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let code = problem.and_then(|problem| problem["code"].as_str().map(str::to_owned));
    code.unwrap_or_else(|| String::from_utf8_lossy(body).chars().take(200).collect())
}

#[cfg(test)]
#[path = "service_tests.rs"]
mod tests;
