//! `GET /api/events`: the stream.

use crate::app::App;
use crate::http::entrance::{Asked, reader};
use crate::http::problem::Problem;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use campanile_live::{Refused, Transport, socket};
use campanile_wire::ErrorCode;
use std::sync::Arc;

pub(crate) async fn stream(State(app): State<Arc<App>>, request: Request) -> Result<Response, Problem> {
    let (parts, _) = request.into_parts();
    let asked = Asked::of(&parts)?;
    let person = reader(&app, &parts, &asked).await?;
    let connect = asked.connect(&app, person, Transport::Sse)?;
    match app.node.connect(connect).await {
        Ok(session) => Ok(event_stream(Body::from_stream(socket::sse::stream(session)))),
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
