//! `GET /api/openapi.json`: OpenAPI 3.1, generated from the table of fixed routes and the features' routes.

use crate::app::App;
use crate::http::described::{self, Allowed, Answer};
use crate::http::documents::Document;
use crate::http::schemas::{Schemas, count, place_events, reference};
use crate::http::{FIXED, Fixed};
use axum::extract::State;
use campanile_contract::{Action, Channel, CommandType, ErrorCode, Id, Method, QueryType, Registry, Route};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Statuses with which commands are refused.
const COMMAND_REFUSALS: &[u16] = &[400, 401, 403, 404, 409, 413, 422, 429, 500, 503, 507];
/// Statuses with which queries are refused.
const QUERY_REFUSALS: &[u16] = &[401, 403, 404, 422, 429, 500, 503];

/// Parameters that several routes have: name, place, type, meaning.
const PARAMETERS: [(&str, &str, &str, &str); 9] = [
    ("since", "query", "string", "The cursor to resume from: the id of an event, or an ISO 8601 instant. Absent: from now."),
    ("Last-Event-ID", "header", "string", "The cursor of an EventSource; wins over `since`."),
    ("wait", "query", "number", "Seconds to wait for something due, at most 60."),
    ("client", "query", "string", "A name of this client instance: a new connection of it replaces the old one."),
    ("channels", "query", "string", "Only these channels, separated by commas: `course:7,user:1`."),
    ("epoch", "query", "integer", "The epoch in which the cursor was given out."),
    ("user_id", "query", "string", "Only the connections of this person."),
    ("verbose", "query", "string", "Answers what was looked at, as JSON; its value is not looked at."),
    ("Idempotency-Key", "header", "string", "At most 255 signs. A repeat with the same key and body gets the same answer."),
];

pub(crate) async fn openapi(State(app): State<Arc<App>>) -> Document {
    app.documents.openapi.clone()
}

/// The document of everything that is declared.
pub(crate) fn document(registry: &Registry) -> Value {
    let mut schemas = Schemas::default();
    schemas.place_type::<Id>();
    schemas.place_type::<Channel>();
    place_problems(&mut schemas);
    place_events(&mut schemas, registry);
    described::place(&mut schemas, registry);
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for route in FIXED {
        paths.entry(route.path).or_default().insert(method(route.method), fixed_operation(route));
    }
    for route in registry.routes() {
        paths.entry(route.path).or_default().insert(method(route.method), feature_operation(&mut schemas, route));
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Campanile",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The real-time half of a learning platform. Instants are ISO 8601 UTC; ids are opaque JSON scalars.",
            "license": { "name": env!("CARGO_PKG_LICENSE"), "identifier": env!("CARGO_PKG_LICENSE") },
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": {
            "schemas": schemas.into_json(),
            "parameters": shared_parameters(),
            "responses": problem_responses(),
            "headers": {
                "Retry-After": { "description": "Come back after so many seconds.", "schema": { "type": "integer" } },
                "Idempotency-Replayed": {
                    "description": "`true` on the answer of an earlier request with the same key.",
                    "schema": { "const": "true" },
                },
            },
            "securitySchemes": security_schemes(),
        },
    })
}

// === operations ===

fn fixed_operation(route: &Fixed) -> Value {
    let described = route.described;
    let parameters: Vec<_> = described.parameters.iter().map(|name| shared_parameter(name)).collect();
    let (status, answer) = match described.answer {
        Answer::Json { status, schema } => (status, content("application/json", &reference(schema), schema)),
        Answer::Text(media_type) => (200, content(media_type, &json!({ "type": "string" }), "Text.")),
        Answer::Document(standard) => (200, content("application/json", &json!({ "type": "object" }), standard)),
        Answer::Stream => (200, content("text/event-stream", &json!({ "type": "string" }), "The stream.")),
        Answer::WebSocket => (101, json!({ "description": "The connection speaks WebSocket from here on." })),
    };
    let mut operation = operation(described.name, described.summary, described.allowed, &parameters, described.refusals);
    operation["responses"][status.to_string()] = with_replayed(answer, described.parameters.contains(&"Idempotency-Key"));
    if let Some(body) = described.body {
        operation["requestBody"] = json!({ "required": true, "content": media("application/json", &reference(body)) });
    }
    if matches!(described.answer, Answer::WebSocket) {
        operation["responses"]["426"] = json!({ "description": "Plain HTTP on a route that only speaks WebSocket." });
    }
    operation
}

fn feature_operation(schemas: &mut Schemas, route: &Route) -> Value {
    match route.action {
        Action::Command(command) => command_operation(schemas, route, &command),
        Action::Query(query) => query_operation(schemas, route, &query),
    }
}

fn command_operation(schemas: &mut Schemas, route: &Route, command: &CommandType) -> Value {
    let fields = Fields::split(schemas.take_in(command.name, (command.schema)()), route.path);
    let mut parameters = fields.in_path;
    parameters.push(shared_parameter("Idempotency-Key"));
    let mut operation = operation(command.name, route.summary, Allowed::Known, &parameters, COMMAND_REFUSALS);
    let answer_name = format!("answer.{}", command.name);
    let mut answer = schemas.take_in(&answer_name, (command.answer_schema)());
    if answer["type"] == "object" {
        answer["properties"]["id"] = count("the last event that the command caused; absent when nothing changed");
    }
    let answer = schemas.place(&answer_name, answer);
    operation["responses"]["200"] = with_replayed(content("application/json", &answer, "It is so, and stored."), true);
    // A command whose fields all stand in the path takes no body.
    if fields.rest["properties"].as_object().is_some_and(|properties| !properties.is_empty()) {
        let required = fields.rest["required"].as_array().is_some_and(|names| !names.is_empty());
        operation["requestBody"] = json!({ "required": required, "content": media("application/json", &fields.rest) });
    }
    operation
}

fn query_operation(schemas: &mut Schemas, route: &Route, query: &QueryType) -> Value {
    let fields = Fields::split(schemas.take_in(query.name, (query.schema)()), route.path);
    let required: Vec<&str> = fields.rest["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let in_query = fields.rest["properties"].as_object().into_iter().flatten().map(|(name, schema)| {
        json!({ "name": name, "in": "query", "required": required.contains(&name.as_str()), "schema": schema })
    });
    let parameters: Vec<_> = fields.in_path.iter().cloned().chain(in_query).collect();
    let mut operation = operation(query.name, route.summary, Allowed::Known, &parameters, QUERY_REFUSALS);
    let answer_name = format!("answer.{}", query.name);
    let answer = schemas.take_in(&answer_name, (query.answer_schema)());
    let answer = schemas.place(&answer_name, answer);
    operation["responses"]["200"] = content("application/json", &answer, "The answer.");
    operation
}

fn operation(name: &str, summary: &str, allowed: Allowed, parameters: &[Value], refusals: &[u16]) -> Value {
    let refused = |status: &u16| (status.to_string(), json!({ "$ref": format!("#/components/responses/{status}") }));
    json!({
        "operationId": name,
        "summary": summary,
        "security": security(allowed),
        "parameters": parameters,
        "responses": refusals.iter().map(refused).collect::<Map<_, _>>(),
    })
}

/// A command's or query's fields, by where a request has them.
struct Fields {
    in_path: Vec<Value>,
    /// The schema without them: the body of a command, the query of a query.
    rest: Value,
}

impl Fields {
    fn split(mut schema: Value, path: &str) -> Self {
        let named = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
        let named: Vec<&str> = named.collect();
        if let Some(required) = schema.get_mut("required").and_then(Value::as_array_mut) {
            required.retain(|field| !named.iter().any(|name| field == name));
        }
        let mut in_path = Vec::new();
        for name in named {
            let field = schema.get_mut("properties").and_then(Value::as_object_mut).and_then(|fields| fields.remove(name));
            let field = field.unwrap_or_else(|| json!({ "type": "string" }));
            in_path.push(json!({ "name": name, "in": "path", "required": true, "schema": field }));
        }
        Self { in_path, rest: schema }
    }
}

fn method(method: Method) -> String {
    let word = match method {
        Method::Get => "get",
        Method::Post => "post",
        Method::Put => "put",
        Method::Delete => "delete",
    };
    word.to_owned()
}

fn media(media_type: &str, schema: &Value) -> Value {
    json!({ media_type: { "schema": schema } })
}

fn content(media_type: &str, schema: &Value, description: &str) -> Value {
    json!({ "description": description, "content": media(media_type, schema) })
}

fn with_replayed(mut answer: Value, replayable: bool) -> Value {
    if replayable {
        answer["headers"] = json!({ "Idempotency-Replayed": { "$ref": "#/components/headers/Idempotency-Replayed" } });
    }
    answer
}

// === what operations share ===

fn shared_parameter(name: &str) -> Value {
    json!({ "$ref": format!("#/components/parameters/{name}") })
}

fn shared_parameters() -> Map<String, Value> {
    let parameter = |(name, place, kind, meaning): (&str, &str, &str, &str)| {
        let schema = json!({ "type": kind });
        (name.to_owned(), json!({ "name": name, "in": place, "description": meaning, "schema": schema }))
    };
    PARAMETERS.into_iter().map(parameter).collect()
}

fn security(allowed: Allowed) -> Value {
    match allowed {
        Allowed::Everybody => json!([]),
        Allowed::Person => json!([{ "jwt": [] }, { "ticket": [] }, { "token": [] }]),
        Allowed::Service => json!([{ "api_key": [] }]),
        Allowed::Known => json!([{ "jwt": [] }, { "api_key": [] }, { "ticket": [] }, { "token": [] }]),
    }
}

fn security_schemes() -> Value {
    json!({
        "jwt": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "A person's access token." },
        "api_key": { "type": "http", "scheme": "bearer", "description": "A service's API key, `ck_…`." },
        "ticket": { "type": "apiKey", "in": "query", "name": "ticket", "description": "Of `POST /api/ticket`: one use, 30 s." },
        "token": { "type": "apiKey", "in": "query", "name": "token", "description": "A person's access token." },
    })
}

/// The codes of each status.
fn codes_by_status() -> BTreeMap<u16, Vec<ErrorCode>> {
    let mut codes: BTreeMap<u16, Vec<ErrorCode>> = BTreeMap::new();
    for &code in ErrorCode::ALL {
        codes.entry(code.status()).or_default().push(code);
    }
    codes
}

/// The schema of every code.
pub(crate) fn place_error_code(schemas: &mut Schemas) {
    schemas.place("ErrorCode", one_of_codes(ErrorCode::ALL));
}

fn one_of_codes(codes: &[ErrorCode]) -> Value {
    let lines: Vec<_> = codes.iter().map(|code| format!("- `{code}`: {}", code.sentence())).collect();
    let words: Vec<_> = codes.iter().map(|code| code.as_str()).collect();
    json!({ "type": "string", "enum": words, "description": lines.join("\n") })
}

fn place_problems(schemas: &mut Schemas) {
    place_error_code(schemas);
    let problem = json!({
        "type": "object",
        "required": ["code", "message", "status"],
        "properties": {
            "code": reference("ErrorCode"),
            "message": { "type": "string", "description": "a sentence for people" },
            "status": { "type": "integer" },
            "next_poll_ms": count("come back after so many milliseconds"),
            "request_id": { "type": "string", "description": "the answer's X-Request-Id, as it stands in the log" },
        },
    });
    schemas.place("Problem", problem);
}

fn problem_responses() -> Map<String, Value> {
    let response = |(status, codes): (u16, Vec<ErrorCode>)| {
        let fields = json!({ "code": one_of_codes(&codes), "status": { "const": status } });
        let schema = json!({ "allOf": [reference("Problem"), { "properties": fields }] });
        let words: Vec<_> = codes.iter().map(|code| format!("`{code}`")).collect();
        let mut response = content("application/problem+json", &schema, &format!("{}.", words.join(", ")));
        if codes.iter().any(|code| code.is_passing()) {
            response["headers"] = json!({ "Retry-After": { "$ref": "#/components/headers/Retry-After" } });
        }
        (status.to_string(), response)
    };
    codes_by_status().into_iter().map(response).collect()
}

#[cfg(test)]
mod tests;
