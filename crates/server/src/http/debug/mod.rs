//! `/debug`: what a development server is doing, as one page. It exists with `--dev` only.
//!
//! Invariant: only a page of this very server may ask. It hands out the demo school's tokens, and every other page that a developer
//! has open, whatever name it gave to the loopback address, is a stranger.

use crate::app::App;
use crate::demo;
use crate::http::body;
use crate::http::problem::{Problem, json_text};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use campanile_journal::{Job, JobState};
use campanile_live::{Delivery, Transport};
use campanile_wire::{ErrorCode, Refusal, instant};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

const PAGE: &str = include_str!("page.html");
/// Events on the page.
const EVENTS_SHOWN: usize = 30;
/// Signs of an event's data on the page.
const DATA_SIGNS_SHOWN: usize = 400;
/// Routes on the page, the slowest first.
const ROUTES_SHOWN: usize = 12;
/// Jobs of a state on the page.
const JOBS_SHOWN: u64 = 20;

/// Adds the page's routes.
pub(super) fn mount(router: Router<Arc<App>>) -> Router<Arc<App>> {
    router.route("/debug", get(page)).route("/debug/data", get(data)).route("/debug/token", post(token))
}

async fn page(request: Request) -> Result<Response, Problem> {
    only_its_own(request.headers())?;
    let nonce = format!("{:032x}", rand::random::<u128>());
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'"
    );
    let policy = HeaderValue::from_str(&policy).map_err(|_| Refusal::from(ErrorCode::InternalError))?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    Ok((headers, PAGE.replace("NONCE", &nonce)).into_response())
}

async fn data(State(app): State<Arc<App>>, request: Request) -> Result<Response, Problem> {
    only_its_own(request.headers())?;
    let glance = app.measures.glance(&app.site, || app.node.position()).await;
    let (tail_events, tail_bytes) = app.node.tail_size();
    let transports = Transport::ALL.map(|transport| (transport.as_str(), app.node.metrics.connections(transport)));
    let answer = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_s": app.measures.started.elapsed().as_secs(),
        "store": app.site.journal.load().engine,
        "memory_bytes": crate::http::metrics::process::resident_bytes(),
        "connections": transports.iter().map(|(name, open)| json!({ "transport": name, "open": open })).collect::<Vec<_>>(),
        "log": {
            "head": glance.as_ref().map(|glance| glance.head.id),
            "position": app.node.position(),
            "behind_events": glance.as_ref().map(|glance| glance.behind_events),
            "tail_events": tail_events,
            "tail_bytes": tail_bytes,
        },
        "events": app.node.newest_events(EVENTS_SHOWN).iter().map(|delivery| event(delivery)).collect::<Vec<_>>(),
        "routes": routes(&app),
        "jobs": glance.map(|glance| {
            let count = |jobs: &campanile_journal::JobsOfKind| json!({ "kind": jobs.kind, "state": jobs.state, "jobs": jobs.jobs });
            glance.jobs.iter().map(count).collect::<Vec<_>>()
        }),
        "failed_jobs": failed_jobs(&app).await?,
    });
    let mut response = json_text(StatusCode::OK, answer.to_string());
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

fn event(delivery: &Delivery) -> Value {
    let event = &delivery.event;
    let data: String = event.data.chars().take(DATA_SIGNS_SHOWN).collect();
    let at = instant::format(event.recorded_at_ms);
    json!({ "id": event.id, "type": event.kind, "channel": event.channel, "at": at, "bytes": event.data.len(), "data": data })
}

fn routes(app: &App) -> Vec<Value> {
    let mut routes: Vec<(f64, Value)> = Vec::new();
    for reading in app.measures.routes() {
        let count = reading.took_us.count();
        let mean_ms = reading.took_us.sum as f64 / 1e3 / count.max(1) as f64;
        let (route, method, class) = (&reading.route, reading.method, reading.class);
        routes.push((
            mean_ms,
            json!({ "route": route, "method": method, "status": class, "requests": count, "mean_ms": mean_ms }),
        ));
    }
    routes.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    routes.into_iter().take(ROUTES_SHOWN).map(|(_, route)| route).collect()
}

/// Dead jobs, and waiting ones that have failed before.
async fn failed_jobs(app: &App) -> Result<Vec<Value>, Refusal> {
    let mut jobs = app.site.journal.list_jobs(JobState::Dead, 0, JOBS_SHOWN).await.map_err(Refusal::from)?;
    jobs.extend(app.site.journal.list_jobs(JobState::Ready, 0, JOBS_SHOWN).await.map_err(Refusal::from)?);
    let shown = |job: &Job| {
        let (kind, state, attempts) = (&job.kind, job.state, job.attempts);
        json!({ "id": job.id, "kind": kind, "state": state, "attempts": attempts, "error": job.last_error })
    };
    Ok(jobs.iter().filter(|job| job.last_error.is_some()).map(shown).collect())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenFor {
    user: i64,
}

async fn token(State(app): State<Arc<App>>, request: Request) -> Result<Response, Problem> {
    only_its_own(request.headers())?;
    let (_, body) = request.into_parts();
    let bytes = body::read(&app, body).await?;
    let wanted: TokenFor =
        serde_json::from_slice(&bytes).map_err(|error| Refusal::new(ErrorCode::InvalidData, error.to_string()))?;
    let no_secret =
        || Refusal::new(ErrorCode::NotFound, "this server was started with keys of its own; bring a token of theirs");
    let config = app.config();
    let secret = config.auth.hs256_secret.as_deref().ok_or_else(no_secret)?;
    let token = demo::token(secret, wanted.user).map_err(|_| Refusal::from(ErrorCode::InternalError))?;
    Ok(json_text(StatusCode::OK, json!({ "token": token }).to_string()))
}

/// Refuses whoever is not this server's own page, or a program of this machine that says where it asks.
fn only_its_own(headers: &HeaderMap) -> Result<(), Refusal> {
    let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("unreadable"));
    let host = text(header::HOST).unwrap_or("");
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    // A stranger's page may call the loopback address by a name of its own; then the Host is that name.
    let is_loopback = matches!(name, "localhost" | "127.0.0.1" | "[::1]");
    let is_same = text(header::ORIGIN).is_none_or(|origin| origin.strip_prefix("http://") == Some(host));
    let site = text(HeaderName::from_static("sec-fetch-site"));
    if is_loopback && is_same && site.is_none_or(|site| matches!(site, "same-origin" | "none")) {
        return Ok(());
    }
    Err(ErrorCode::OriginNotAllowed.into())
}

#[cfg(test)]
mod tests;
