//! `GET /api/access/sessions`: who is connected to this node, for administrators; and for everybody their own connections.

use crate::app::App;
use crate::http::entrance::{Asked, rest_caller};
use crate::http::problem::{Problem, json_text};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use campanile_live::OpenConnection;
use campanile_wire::{Caller, ErrorCode, Refusal, instant};
use serde_json::{Value, json};
use std::sync::Arc;

pub(crate) async fn sessions(State(app): State<Arc<App>>, request: Request) -> Result<Response, Problem> {
    let (parts, _) = request.into_parts();
    let asked = Asked::of(&parts)?;
    let caller = rest_caller(&app, &parts, &asked).await?;
    let person = whose(&caller, asked.get("user_id"))?;
    let sessions: Vec<Value> = app.node.open_connections(person.as_deref()).iter().map(shown).collect();
    Ok(json_text(StatusCode::OK, json!({ "sessions": sessions }).to_string()))
}

/// The person whose connections are listed; none for everybody's.
fn whose(caller: &Caller, wished: Option<&str>) -> Result<Option<String>, Refusal> {
    match caller {
        _ if caller.has_scope("admin") || caller.has_role("admin") => Ok(wished.map(str::to_owned)),
        Caller::Person(person) if wished.is_none_or(|wished| wished == person.id.as_str()) => {
            Ok(Some(person.id.as_str().to_owned()))
        }
        _ => Err(Refusal::new(ErrorCode::Forbidden, "this needs an API key with the scope admin, or the role admin")),
    }
}

fn shown(open: &OpenConnection) -> Value {
    json!({
        "connection": open.connection,
        "user_id": open.user_id.to_json(),
        "token_id": open.token_id,
        "transport": open.transport.as_str(),
        "address": open.address,
        "since": instant::format(open.since_ms),
    })
}
