//! `POST /api/ticket`: a one-use credential for an address line.

use crate::app::App;
use crate::http::entrance::{Asked, judged, reader};
use crate::http::problem::{Problem, json_text};
use crate::identity::TICKET_MS;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use campanile_live::Transport;
use serde_json::json;
use std::sync::Arc;

pub(crate) async fn issue(State(app): State<Arc<App>>, request: Request) -> Result<Response, Problem> {
    let (parts, _) = request.into_parts();
    let asked = Asked::of(&parts)?;
    let person = reader(&app, &parts, &asked).await?;
    judged(&parts, app.gate.admit_ticket(&person))?;
    app.node.admit_rate(Transport::Poll).map_err(Problem::of)?;
    let ticket = app.identity.issue_ticket(&person).await?;
    Ok(json_text(StatusCode::CREATED, json!({ "ticket": ticket, "expires_in_s": TICKET_MS / 1_000 }).to_string()))
}
