//! What this is, whether it lives, and whether it is ready.

use crate::app::App;
use crate::http::problem::Problem;
use axum::extract::State;
use campanile_wire::ErrorCode;
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
pub(crate) async fn readyz(State(app): State<Arc<App>>) -> Result<&'static str, Problem> {
    if app.node.is_draining() {
        return Err(ErrorCode::ServerDraining.into());
    }
    let checked = tokio::time::timeout(READY_TIME_MAX, async {
        let head = app.site.journal.head().await?;
        app.node.reached(head.id).await;
        Ok::<_, campanile_journal::JournalError>(())
    });
    match checked.await {
        Ok(Ok(())) => Ok("ready\n"),
        Ok(Err(error)) => Err(campanile_wire::Refusal::from(error).into()),
        Err(_) => Err(ErrorCode::StoreUnavailable.into()),
    }
}
