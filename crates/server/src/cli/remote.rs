//! A running server as the other commands reach it: its address, one HTTP client, and its refusals as sentences with what to do.

use super::credential::{self, config_of};
use super::token::{Wish, id, now_ms, sign};
use super::{Source, Usage, duration, terminal};
use anyhow::{Context, Result};
use campanile_wire::Id;
use clap::Args;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, RETRY_AFTER};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a connection may take to be made.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// How long an answer may take; streams and polls have times of their own.
const ANSWER_MAX: Duration = Duration::from_secs(30);
/// The life of a token that a command makes for itself; it makes another one when it needs one.
const OWN_TOKEN_LIFE: Duration = Duration::from_secs(3_600);

/// Which server.
#[derive(Args, Clone)]
pub(super) struct Place {
    /// The server's address; by default the `listen` of the configuration, http://127.0.0.1:8000 without one.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Certificates (PEM) that are trusted besides the system's, where the server's own authority signed its certificate.
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Uses the keys of the `--dev` server of this folder (or of --store).
    #[arg(long)]
    pub(super) dev: bool,
    #[command(flatten)]
    pub(super) source: Source,
}

/// Who reads.
#[derive(Args, Clone)]
pub(super) struct Reader {
    /// The person's token; `@file` reads a file, `-` standard input. Better in the environment than in the list of processes.
    #[arg(long, env = "CAMPANILE_TOKEN", hide_env_values = true)]
    pub(super) token: Option<String>,
    /// Makes a token for this person, as `campanile token` does; wins over a token.
    #[arg(long, value_name = "ID", value_parser = id)]
    pub(super) user_id: Option<Id>,
}

/// Where a reader's token comes from at each connect.
pub(super) enum Tokens {
    Given(String),
    Made(Box<crate::config::Config>, Id),
}

/// A server that can be asked.
#[derive(Clone)]
pub(super) struct Server {
    pub(super) http: reqwest::Client,
    base: String,
}

/// What it answered.
pub(super) struct Answer {
    pub(super) headers: HeaderMap,
    pub(super) text: String,
}

/// Why there is no answer to use.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// A documented refusal.
    #[error("the server refused: {} (`{}`, {status}){}", terminal::harmless(.message), terminal::harmless(.code), advice(.code))]
    Refused { code: String, message: String, status: u16, retry_after: Option<Duration> },
    /// No connection, or it broke.
    #[error("{0}")]
    Unreachable(String),
    /// An answer of something that is no Campanile.
    #[error("{0}")]
    Foreign(String),
}

/// A problem body of PROTOCOL.md section 9.
#[derive(Deserialize)]
struct Problem {
    code: String,
    message: String,
    next_poll_ms: Option<u64>,
}

impl Place {
    /// The server's address without a slash at its end.
    pub(super) fn base(&self) -> Result<String> {
        let Some(url) = &self.url else {
            let config = self.source.read().context("finding the server's address; give --url to do without")?;
            let ip = match config.listen.ip() {
                IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
                IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
                ip => ip,
            };
            let scheme = if config.tls.is_some() { "https" } else { "http" };
            return Ok(format!("{scheme}://{}", std::net::SocketAddr::new(ip, config.listen.port())));
        };
        let parsed = reqwest::Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let parsed = parsed.filter(|url| url.query().is_none() && url.username().is_empty() && url.password().is_none());
        let parsed = parsed.ok_or_else(|| Usage("--url is an address such as https://rt.example, without a query".into()))?;
        Ok(parsed.as_str().trim_end_matches('/').to_owned())
    }

    pub(super) fn server(&self) -> Result<Server> {
        Server::at(self.base()?, self.ca_file.as_deref())
    }

    /// Where the reader's tokens come from.
    pub(super) fn tokens(&self, reader: &Reader) -> Result<Tokens> {
        match (&reader.user_id, &reader.token) {
            (Some(user), _) => Ok(Tokens::Made(Box::new(config_of(&self.source, self.dev)?), user.clone())),
            (None, Some(token)) => credential::read(token).map(Tokens::Given),
            (None, None) => Err(Usage(
                "no token: set CAMPANILE_TOKEN, or give --token @file, or --user-id 1 where the configuration can sign one"
                    .into(),
            )
            .into()),
        }
    }
}

impl Tokens {
    /// A token for the next connect.
    pub(super) fn token(&self) -> Result<String> {
        match self {
            Self::Given(token) => Ok(token.clone()),
            Self::Made(config, user) => {
                let user_id = user.clone();
                let wish = Wish { user_id, role: None, cadet_id: None, expires_in: OWN_TOKEN_LIFE, further: Map::new() };
                Ok(sign(config, wish, now_ms())?.0)
            }
        }
    }
}

impl Server {
    fn at(base: String, ca_file: Option<&Path>) -> Result<Self> {
        let mut builder = reqwest::Client::builder()
            .connect_timeout(CONNECT_MAX)
            // A credential goes to the named server and nowhere else.
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("campanile/", env!("CARGO_PKG_VERSION")));
        if base.starts_with("http://127.") || base.starts_with("http://localhost") || base.starts_with("http://[::1]") {
            builder = builder.no_proxy();
        }
        if let Some(path) = ca_file {
            let pem = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
            let certificates = reqwest::Certificate::from_pem_bundle(&pem).ok().filter(|found| !found.is_empty());
            let certificates = certificates.with_context(|| format!("{} holds no certificate as PEM", path.display()))?;
            builder = builder.tls_certs_merge(certificates);
        }
        Ok(Self { http: builder.build().context("making an HTTP client")?, base })
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    pub(super) async fn get(&self, path: &str, credential: Option<&str>) -> Result<Answer, Failure> {
        let request = self.http.get(self.url(path)).timeout(ANSWER_MAX);
        self.answer(signed(request, credential)?).await
    }

    pub(super) async fn post(&self, path: &str, body: String, credential: &str, key: Option<&str>) -> Result<Answer, Failure> {
        let mut request = self.http.post(self.url(path)).timeout(ANSWER_MAX).header("content-type", "application/json");
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        self.answer(signed(request, Some(credential))?.body(body)).await
    }

    /// Sends a request; anything but success is a failure.
    pub(super) async fn answer(&self, request: reqwest::RequestBuilder) -> Result<Answer, Failure> {
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        if !response.status().is_success() {
            return Err(refused(response).await);
        }
        let headers = response.headers().clone();
        let text = response.text().await.map_err(|error| self.unreachable(&error))?;
        Ok(Answer { headers, text })
    }

    pub(super) fn unreachable(&self, error: &reqwest::Error) -> Failure {
        let base = &self.base;
        Failure::Unreachable(if error.is_connect() {
            format!(
                "{base} cannot be reached: {}. {}",
                cause(error),
                if cause(error).contains("certificate") {
                    "Is its authority trusted here (--ca-file), and does it name this host?"
                } else {
                    "Is the server started, and is this its address (--url)?"
                }
            )
        } else if error.is_timeout() {
            format!("{base} did not answer in time")
        } else {
            format!("the connection to {base} broke: {}", cause(error))
        })
    }
}

impl Answer {
    pub(super) fn json(&self) -> Result<Value, Failure> {
        serde_json::from_str(&self.text).map_err(|_| Failure::Foreign("the answer is not JSON: is this a Campanile?".into()))
    }
}

/// A request with a credential in its header, where no log of an address line can hold it.
pub(super) fn signed(request: reqwest::RequestBuilder, credential: Option<&str>) -> Result<reqwest::RequestBuilder, Failure> {
    let Some(credential) = credential else { return Ok(request) };
    let mut value = HeaderValue::try_from(format!("Bearer {credential}"))
        .map_err(|_| Failure::Foreign("the credential holds signs that no header may hold".into()))?;
    value.set_sensitive(true);
    Ok(request.header(AUTHORIZATION, value))
}

/// An answer that is no success as a failure.
pub(super) async fn refused(response: reqwest::Response) -> Failure {
    let status = response.status().as_u16();
    let seconds = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    let body = response.text().await.unwrap_or_default();
    match serde_json::from_str::<Problem>(&body) {
        Ok(Problem { code, message, next_poll_ms }) => {
            let retry_after = next_poll_ms.map(Duration::from_millis).or(seconds.map(Duration::from_secs));
            Failure::Refused { code, message, status, retry_after }
        }
        Err(_) => {
            Failure::Foreign(format!("HTTP status {status} without a problem body: is this a Campanile, or a proxy before it?"))
        }
    }
}

/// The innermost reason; the outer ones repeat the address.
fn cause(error: &reqwest::Error) -> String {
    let mut inner: &dyn std::error::Error = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    terminal::shortened(&inner.to_string(), 200)
}

/// What to do about a refusal.
pub(super) fn advice(code: &str) -> &'static str {
    match code {
        "no_credential" => "; give --token or --key, or set CAMPANILE_TOKEN or CAMPANILE_KEY",
        "invalid_token" => "; `campanile doctor --token @file` says which check fails",
        "expired_token" => "; get a fresh token, for instance by `campanile token`",
        "revoked_token" => "; sign in again",
        "not_approved" => "; approve the person in the roster first",
        "forbidden" => "; the key needs the scope of this route, or the token's person the role",
        "unknown_event_type" => "; declare it as an [[event_type]] in campanile.toml",
        "wrong_channel_kind" => "; GET /api/asyncapi.json says which kind of channel each event type belongs to",
        "idempotency_conflict" => "; the key was used for something else: leave it out, or take another",
        "not_found" => "; does this server know this route? GET /api/openapi.json lists them",
        "commit_unknown" => "; repeat it with the same --idempotency-key",
        "store_full" => "; make room on the disk",
        "store_unavailable" | "store_busy" => "; `campanile doctor` looks at the store",
        "rate_limited" | "too_many_connections" | "server_busy" | "server_draining" => "; try again a little later",
        _ => "",
    }
}

impl Failure {
    /// The documented code, where the server gave one.
    pub(super) fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { code, .. } => Some(code),
            _ => None,
        }
    }

    /// When the same may be tried again: none where it would be refused again.
    pub(super) fn passes_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { status: 429 | 500 | 503, retry_after, .. } => Some(retry_after.unwrap_or_default()),
            Self::Unreachable(_) => Some(Duration::ZERO),
            // A proxy whose server is being restarted.
            Self::Foreign(sentence) if sentence.starts_with("HTTP status 50") => Some(Duration::ZERO),
            _ => None,
        }
    }
}

/// Waits that double: what a client of PROTOCOL.md does between two attempts.
pub(super) struct BackOff(Duration);

/// The wait after the first failure.
const BACK_OFF_FIRST: Duration = Duration::from_secs(1);
/// The longest wait between two attempts.
const BACK_OFF_MAX: Duration = Duration::from_secs(30);

impl BackOff {
    pub(super) fn new() -> Self {
        Self(BACK_OFF_FIRST)
    }

    /// The next wait, at least as long as the server asked for.
    pub(super) fn next(&mut self, asked: Duration) -> Duration {
        let wait = self.0.max(asked);
        self.0 = (self.0 * 2).min(BACK_OFF_MAX);
        wait
    }
}

/// A wait as the operator is told it.
pub(super) fn again_in(wait: Duration) -> String {
    format!("trying again in {}", duration::spelled(wait))
}

#[cfg(test)]
mod tests {
    use super::{BackOff, Failure, Place};
    use crate::cli::Source;
    use std::time::Duration;

    fn base(url: &str) -> Result<String, String> {
        let source = Source::default();
        Place { url: Some(url.into()), ca_file: None, dev: false, source }.base().map_err(|error| error.to_string())
    }

    #[test]
    fn an_address_is_http_and_carries_no_credential() {
        assert_eq!(base("https://rt.example/").as_deref(), Ok("https://rt.example"));
        assert_eq!(base("http://127.0.0.1:8000/rt/").as_deref(), Ok("http://127.0.0.1:8000/rt"));
        for wrong in ["rt.example", "ws://rt.example", "https://ada:secret@rt.example", "https://rt.example/?token=secret", ""]
        {
            assert!(!base(wrong).unwrap_err().contains("secret"), "{wrong}");
        }
    }

    #[test]
    fn waits_double_up_to_their_maximum_and_never_undercut_the_server() {
        let mut waits = BackOff::new();
        let told: Vec<u64> = (0..7).map(|_| waits.next(Duration::ZERO).as_secs()).collect();
        assert_eq!(told, [1, 2, 4, 8, 16, 30, 30]);
        assert_eq!(BackOff::new().next(Duration::from_secs(7)).as_secs(), 7);
    }

    #[test]
    fn a_refusal_says_what_to_do_and_cannot_steer_the_terminal() {
        let told = Failure::Refused {
            code: "unknown_event_type".into(),
            message: "no event type \u{1b}[31mred".into(),
            status: 422,
            retry_after: None,
        };
        let told = told.to_string();
        assert!(told.contains("[[event_type]]") && told.contains("422") && !told.contains('\u{1b}'), "{told}");
    }
}
