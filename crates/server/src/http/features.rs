//! The features' routes: path, query and body become the fields of a command or query.

use crate::app::App;
use crate::http::body;
use crate::http::entrance::{Asked, rest_caller};
use crate::http::problem::{Problem, json_text};
use crate::http::publish::marked;
use axum::Router;
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{Query, RawPathParams, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{MethodFilter, on};
use campanile_contract::{Action, CommandType, Fields, Method, QueryType, Repeatable, Route};
use campanile_journal::Outcome;
use campanile_wire::{ErrorCode, Refusal};
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::sync::Arc;

/// What stands in the path, or why it cannot be read.
type PathParams = Result<RawPathParams, RawPathParamsRejection>;

/// Adds every route of the registry.
pub(crate) fn mount(router: Router<Arc<App>>, app: &App) -> Router<Arc<App>> {
    app.site.registry.routes().iter().fold(router, |router, route| {
        let route = *route;
        let handler = move |State(app): State<Arc<App>>, params: PathParams, request: Request| async move {
            let broken = |_| Refusal::new(ErrorCode::InvalidData, "the path is not percent-encoded UTF-8");
            answer(&app, route, &params.map_err(broken)?, request).await
        };
        router.route(route.path, on(filter(route.method), handler))
    })
}

/// The router's word for a method.
pub(crate) fn filter(method: Method) -> MethodFilter {
    match method {
        Method::Get => MethodFilter::GET,
        Method::Post => MethodFilter::POST,
        Method::Put => MethodFilter::PUT,
        Method::Delete => MethodFilter::DELETE,
    }
}

async fn answer(app: &App, route: Route, params: &RawPathParams, request: Request) -> Result<Response, Problem> {
    let params: Vec<(String, String)> = params.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    match route.action {
        Action::Command(command) => run(app, command, params, request).await,
        Action::Query(query) => ask(app, query, params, request).await,
    }
}

async fn run(app: &App, command: CommandType, params: Vec<(String, String)>, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let asked = Asked::of(&parts)?;
    let caller = rest_caller(app, &parts, &asked).await?;
    let key = body::idempotency_key(&parts.headers)?;
    let bytes = body::read(app, body).await?;
    let fields = Fields::parse(&bytes, params)?;
    // The path is part of the request: the same key on another person's path is another request.
    let route = format!("{} {}", parts.method, parts.uri.path());
    let repeatable = key.as_deref().map(|key| Repeatable { key, route: &route, body: &bytes });
    let outcome = app.site.command(&caller, &command, fields, repeatable).await.map_err(Refusal::from)?;
    app.node.applied(&outcome).await;
    Ok(marked(json_text(StatusCode::OK, with_id(&outcome)), &outcome))
}

async fn ask(app: &App, query: QueryType, params: Vec<(String, String)>, request: Request) -> Result<Response, Problem> {
    let (parts, _) = request.into_parts();
    let asked = Asked::of(&parts)?;
    let caller = rest_caller(app, &parts, &asked).await?;
    let given = Query::<HashMap<String, String>>::try_from_uri(&parts.uri).map(|query| query.0).unwrap_or_default();
    let credentials = ["token", "ticket"];
    let fields = given.into_iter().filter(|(name, _)| !credentials.contains(&name.as_str()));
    let fields = with_params(fields.map(|(name, value)| (name, Value::from(value))).collect(), params)?;
    let answer = app.site.query(&caller, &query, fields).await.map_err(Refusal::from)?;
    Ok(json_text(StatusCode::OK, answer))
}

fn with_params(mut fields: Map<String, Value>, params: Vec<(String, String)>) -> Result<Value, Refusal> {
    for (name, value) in params {
        if fields.contains_key(&name) {
            return Err(Refusal::new(ErrorCode::InvalidData, format!("{name} stands in the path; leave it out of the rest")));
        }
        fields.insert(name, value.into());
    }
    Ok(Value::Object(fields))
}

/// A command's answer with the id of the last event that it caused: where a client that wants to see the effect has to read up to.
fn with_id(outcome: &Outcome) -> String {
    match (serde_json::from_str(&outcome.answer), outcome.events.last()) {
        (Ok(Value::Object(mut answer)), Some(event)) => {
            answer.insert("id".into(), event.id.into());
            Value::Object(answer).to_string()
        }
        _ => outcome.answer.clone(),
    }
}
