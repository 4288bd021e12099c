//! What this is, whether it lives, and whether it is ready.

use crate::app::App;
use crate::http::problem::{Problem, json_text};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use campanile_journal::Head;
use campanile_wire::{ErrorCode, Refusal};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// How long the store may take to answer a readiness check.
const READY_TIME_MAX: Duration = Duration::from_secs(2);

pub(crate) async fn index() -> &'static str {
    concat!(
        "Campanile ",
        env!("CARGO_PKG_VERSION"),
        "\n\nWebSocket  /ws\nSSE        GET /api/events\nLong poll  GET /api/poll\nPublish    POST /api/events\n",
        "OpenAPI    /api/openapi.json\nAsyncAPI   /api/asyncapi.json\nHealth     /healthz /readyz /metrics\n"
    )
}

pub(crate) async fn healthz() -> &'static str {
    "ok\n"
}

/// Ready means: the store answers, and this node has applied the log up to where the store's head was.
pub(crate) async fn readyz(State(app): State<Arc<App>>, request: Request) -> Response {
    let checked = check(&app).await;
    let names = request.uri().query().unwrap_or("").split('&').map(|pair| pair.split('=').next().unwrap_or(""));
    if names.into_iter().any(|name| name == "verbose") {
        return verbose(&app, &checked);
    }
    match checked {
        Ok(_) => "ready\n".into_response(),
        Err(refusal) => Problem::from(refusal).into_response(),
    }
}

async fn check(app: &App) -> Result<Head, Refusal> {
    if app.node.is_draining() {
        return Err(ErrorCode::ServerDraining.into());
    }
    let checked = tokio::time::timeout(READY_TIME_MAX, async {
        let head = app.site.journal.head().await?;
        app.node.reached(head.id).await;
        Ok::<_, campanile_journal::JournalError>(head)
    });
    match checked.await {
        Ok(head) => head.map_err(Refusal::from),
        Err(_) => Err(ErrorCode::StoreUnavailable.into()),
    }
}

/// What was looked at. A job worker that has ended makes nobody unready: requests are answered without it, and other nodes work.
fn verbose(app: &App, checked: &Result<Head, Refusal>) -> Response {
    let position = app.node.position();
    let head = checked.as_ref().ok().map(|head| head.id);
    let answer = json!({
        "ready": checked.is_ok(),
        "code": checked.as_ref().err().map(|refusal| refusal.code.as_str()),
        "store": app.site.journal.load().engine,
        "head": head,
        "position": position,
        "behind_events": head.map(|head| head.saturating_sub(position)),
        "jobs_working": app.is_working(),
        "draining": app.node.is_draining(),
        "connections": app.node.connections(),
    });
    let status = checked.as_ref().err().map_or(200, |refusal| refusal.code.status());
    json_text(StatusCode::from_u16(status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE), answer.to_string())
}
