//! `POST /api/events`: facts from a host platform.

use crate::app::App;
use crate::http::body;
use crate::http::entrance::{Asked, rest_caller};
use crate::http::problem::{Problem, json_text};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use campanile_contract::{PublishBody, Repeatable};
use campanile_journal::{Outcome, Placed};
use campanile_wire::{Channel, EventId, Refusal, instant};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

pub(crate) async fn publish(State(app): State<Arc<App>>, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let asked = Asked::of(&parts)?;
    let caller = rest_caller(&app, &parts, &asked).await?;
    let key = body::idempotency_key(&parts.headers)?;
    let bytes = body::read(&app, body).await?;
    let events = PublishBody::parse(&bytes)?;
    let repeatable = key.as_deref().map(|key| Repeatable { key, route: "POST /api/events", body: &bytes });
    let outcome = app.site.publish(&caller, &events, repeatable).await.map_err(Refusal::from)?;
    app.node.applied(&outcome).await;
    Ok(marked(json_text(StatusCode::CREATED, answer(&outcome, events.is_batch)), &outcome))
}

/// Where a published event stands, in the order in which PROTOCOL.md prints it.
#[derive(Serialize)]
struct Receipt<'a> {
    id: EventId,
    channel: &'a Channel,
    seq: u64,
    timestamp: &'a str,
}

fn answer(outcome: &Outcome, is_batch: bool) -> String {
    let timestamp = &instant::format(outcome.recorded_at_ms);
    let receipts: Vec<Receipt<'_>> =
        outcome.events.iter().map(|Placed { id, channel, seq }| Receipt { id: *id, channel, seq: *seq, timestamp }).collect();
    let text = match receipts.as_slice() {
        [single] if !is_batch => serde_json::to_string(single),
        all => serde_json::to_string(&BTreeMap::from([("events", all)])),
    };
    text.expect("receipts serialise")
}

/// Says when the answer is that of an earlier request with the same key.
pub(crate) fn marked(mut response: Response, outcome: &Outcome) -> Response {
    if outcome.replayed {
        response.headers_mut().insert("idempotency-replayed", HeaderValue::from_static("true"));
    }
    response
}
