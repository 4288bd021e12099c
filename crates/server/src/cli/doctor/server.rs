//! What the running server answers.

use super::Patient;
use crate::cli::duration;
use crate::cli::finding::{Finding, Findings};
use crate::cli::remote::{Failure, Server};
use crate::cli::stream::frame::Frame;
use crate::cli::stream::{Asked, Ear, Ended, Transport, follow};
use crate::cli::token::now_ms;
use anyhow::Result;
use std::collections::HashMap;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;
use tokio_util::sync::CancellationToken;

/// A stream whose first block takes longer is held back by something.
const FIRST_BLOCK_MAX: Duration = Duration::from_secs(5);
/// The clocks may differ by so much: the default leeway of tokens.
const SKEW_MS_MAX: u64 = 5_000;
/// What nginx and most load balancers allow a silent upstream.
const PROXY_SILENCE_MS: u64 = 60_000;

/// Is it up and ready?
pub(super) async fn answers(server: &Server, findings: &mut Findings) -> Result<bool> {
    match server.get("/healthz", None).await {
        Ok(_) => findings.add(Finding::ok("server", "it lives"))?,
        Err(failure) => {
            let advice = "start it with `campanile serve`; behind a proxy or in a container, is the port published and `listen` not 127.0.0.1?";
            findings.add(Finding::problem("server", failure.to_string(), advice))?;
            return Ok(false);
        }
    }
    findings.add(match server.get("/readyz", None).await {
        Ok(_) => Finding::ok("readiness", "its store answers, and it has applied the log"),
        Err(failure) => Finding::problem("readiness", failure.to_string(), "its log says what it waits for"),
    })?;
    Ok(true)
}

/// The server's metrics by name and labels; a sentence when they cannot be had.
pub(super) async fn metrics(server: &Server, patient: &Patient, is_up: bool) -> Result<HashMap<String, f64>, String> {
    if !is_up {
        return Err("the server is not up".into());
    }
    let answer = server.get("/metrics", patient.key.as_deref()).await.map_err(|failure| match failure.code() {
        Some("no_credential" | "forbidden") => "metrics need an API key with the scope metrics: give --key".to_owned(),
        _ => failure.to_string(),
    })?;
    let samples = answer.text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
        let (name, value) = line.rsplit_once(' ')?;
        Some((name.to_owned(), value.parse().ok()?))
    });
    Ok(samples.collect())
}

/// Ends a stream as soon as it stands.
struct Opening(CancellationToken);

impl Ear for Opening {
    fn opened(&mut self) {
        self.0.cancel();
    }

    fn hear(&mut self, _: &Frame) -> Result<ControlFlow<()>> {
        Ok(ControlFlow::Continue(()))
    }
}

/// Does a stream stand, and will it stay?
pub(super) async fn stream(server: &Server, patient: &Patient, is_up: bool) -> Finding {
    const CHECK: &str = "SSE";
    let heartbeat_ms = patient.config.limits.sse_heartbeat_ms;
    if heartbeat_ms >= PROXY_SILENCE_MS {
        let found = format!("a heartbeat comes only every {} s", heartbeat_ms / 1_000);
        return Finding::warning(
            CHECK,
            found,
            "proxies cut silent streams after 60 s as a rule: lower limits.sse_heartbeat_ms, or raise theirs",
        );
    }
    let (true, Some(token), Some(_)) = (is_up, &patient.token, &patient.claims) else {
        return Finding::cannot_tell(
            CHECK,
            "no stream was tried",
            "it needs a server that is up, and a valid token (--token or --user-id)",
        );
    };
    let stop = CancellationToken::new();
    let (began, mut ear, mut asked) = (Instant::now(), Opening(stop.clone()), Asked::default());
    let following = follow(Transport::Sse, server, token, &mut asked, &mut ear, &stop);
    let hint =
        "a proxy holds it back: switch its buffering and compression of text/event-stream off (nginx: proxy_buffering off)";
    let found = match tokio::time::timeout(FIRST_BLOCK_MAX, following).await {
        Err(_) => return Finding::problem(CHECK, "a stream was opened, but nothing came for 5 s", hint),
        Ok(Ended::Refused { sentence, .. }) => return Finding::problem(CHECK, sentence, "see the lines on token and person"),
        Ok(Ended::Lost { why, .. }) => {
            return Finding::problem(CHECK, why, "its log says more; clients come back after the `retry:` that it sends");
        }
        Ok(_) => format!(
            "a stream stands after {}, with a heartbeat every {} s",
            duration::spelled(began.elapsed()),
            heartbeat_ms / 1_000
        ),
    };
    match patient.base.starts_with("http://127.") || patient.base.starts_with("http://[::1]") {
        true => Finding::ok(CHECK, format!("{found}; clients reconnect by Last-Event-ID")),
        false => Finding::ok(CHECK, format!("{found}; a proxy's timeout must be longer (nginx: proxy_read_timeout)")),
    }
}

/// Do the clocks agree?
pub(super) async fn clock(server: &Server, is_up: bool) -> Finding {
    const CHECK: &str = "clock";
    let date = match server.get("/healthz", None).await {
        Ok(answer) if is_up => answer.headers.get("date").and_then(|date| date.to_str().ok()).and_then(instant_of),
        Ok(_) | Err(Failure::Unreachable(_)) => None,
        Err(_) => None,
    };
    let Some(theirs_ms) = date else {
        return Finding::cannot_tell(
            CHECK,
            "the server did not tell its time",
            "it is told in the Date header of a server that is up",
        );
    };
    // The header has whole seconds.
    let skew_ms = theirs_ms.abs_diff(now_ms()).saturating_sub(1_000);
    match skew_ms > SKEW_MS_MAX {
        true => {
            let found = format!(
                "the server's clock differs from this machine's by {}",
                duration::spelled(Duration::from_millis(skew_ms))
            );
            Finding::warning(CHECK, found, "tokens look expired or not yet valid then: set the clocks by NTP")
        }
        false => Finding::ok(CHECK, "the server's clock agrees with this machine's"),
    }
}

/// An HTTP date in unix milliseconds.
pub(super) fn instant_of(date: &str) -> Option<i64> {
    let instant = OffsetDateTime::parse(date, &Rfc2822).ok()?;
    Some(instant.unix_timestamp() * 1_000)
}
