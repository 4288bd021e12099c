//! `GET /api/events`: the stream.

use crate::app::App;
use crate::http::entrance::{Asked, reader};
use crate::http::problem::Problem;
use crate::stall::WriteEnd;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use campanile_live::{Refused, Transport, socket};
use campanile_wire::ErrorCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How long after a token's end a peer may take to read the block that says so.
const LAST_BLOCK_MAX: Duration = Duration::from_secs(2);
/// Keeps instants in range when a token lives for centuries.
const TOKEN_LIFE_MAX: Duration = Duration::from_secs(10 * 365 * 86_400);

pub(crate) async fn stream(State(app): State<Arc<App>>, request: Request) -> Result<Response, Problem> {
    let (parts, _) = request.into_parts();
    let asked = Asked::of(&parts)?;
    let person = reader(&app, &parts, &asked).await?;
    let expires_in_ms = person.expires_at_ms - app.site.journal.clock().now_ms();
    let connect = asked.connect(&app, person, Transport::Sse)?;
    match app.node.connect(connect).await {
        Ok(session) => {
            if let Some(end) = parts.extensions.get::<WriteEnd>() {
                let left = Duration::from_millis(u64::try_from(expires_in_ms).unwrap_or(0));
                end.at(Instant::now() + left.min(TOKEN_LIFE_MAX) + LAST_BLOCK_MAX);
            }
            Ok(event_stream(Body::from_stream(socket::sse::stream(session))))
        }
        // For load an EventSource must be told with 200: anything else it takes for final.
        Err(Refused { refusal, retry_after_ms: Some(retry_after_ms), .. }) if refusal.code != ErrorCode::StoreUnavailable => {
            Ok(event_stream(Body::from(socket::sse::refused(retry_after_ms))))
        }
        Err(refused) => Err(Problem::of(refused)),
    }
}

fn event_stream(body: Body) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        // Asks nginx not to hold blocks back.
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    (headers, body).into_response()
}
