//! OpenAPI against the router that serves it: the same paths, and answers of the described shape.

use super::document;
use crate::app::App;
use crate::config::Config;
use crate::http::router;
use crate::http::schemas::tests::{HOST, assert_fits, assert_sound, registry, validator};
use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, header};
use campanile_contract::{Action, ErrorCode};
use http_body_util::BodyExt;
use jsonschema::Draft;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tower::ServiceExt;

const KEY: &str = "ck_0123456789abcdef0123456789abcdef";
const SECRET: &str = "a secret of the tests that is long enough";

/// A running school.
struct School {
    router: Router,
    document: Value,
    _folder: tempfile::TempDir,
}

impl School {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = format!(
            "store = \"sqlite://{}/school.db\"\nauth.hs256_secret = \"{SECRET}\"\nlimits.rest_per_hour_anonymous = 10000\n\
             [[api_key]]\nname = \"host\"\nkey = \"{KEY}\"\nscopes = [\"publish\", \"roster\"]\n{HOST}",
            folder.path().display()
        );
        let config: Config = toml::from_str(&config).unwrap();
        let app = App::start(config, true).await.unwrap();
        let document = serde_json::from_slice(&app.documents.openapi.0).unwrap();
        Self { router: router(app), document, _folder: folder }
    }

    async fn ask(&self, method: &str, uri: &str, token: Option<&str>, body: Option<&Value>) -> (u16, Value) {
        let mut request = Request::builder().method(Method::from_bytes(method.as_bytes()).unwrap()).uri(uri);
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        let response = self.router.clone().oneshot(request.body(body).unwrap()).await.unwrap();
        let status = response.status().as_u16();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&bytes).unwrap_or_else(|_| String::from_utf8_lossy(&bytes).into_owned().into()))
    }

    /// Asks, and holds request and answer against what is described for `path`.
    async fn check(&self, method: &str, path: &str, uri: &str, token: Option<&str>, body: Option<Value>, expect: u16) -> Value {
        let (status, answer) = self.ask(method, uri, token, body.as_ref()).await;
        assert_eq!(status, expect, "{method} {uri}: {answer}");
        let operation = &self.document["paths"][path][method.to_lowercase()];
        let described = &operation["responses"][status.to_string()];
        let described = match described["$ref"].as_str() {
            Some(reference) => self.document.pointer(&reference[1..]).unwrap(),
            None => described,
        };
        assert_fits(&self.document, &schema_of(&described["content"]), &answer);
        if let Some(body) = body.filter(|_| status < 300) {
            assert_fits(&self.document, &schema_of(&operation["requestBody"]["content"]), &body);
        }
        answer
    }
}

fn schema_of(content: &Value) -> Value {
    let mut media = content.as_object().unwrap_or_else(|| panic!("nothing is described: {content}")).values();
    media.next().unwrap()["schema"].clone()
}

fn ada() -> String {
    let claims = json!({ "user_id": 1, "role": "student", "token_type": "access", "exp": 4_000_000_000_u64 });
    let key = jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes());
    jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).unwrap()
}

/// The paths that axum itself knows, by whatever way they were added.
fn served(router: &Router) -> BTreeSet<String> {
    let text = format!("{router:?}");
    let routes = text.split("RouteId(").filter_map(|rest| rest.split_once("): \"")?.1.split_once('"'));
    // The fallback is a route of axum's own.
    routes.map(|(path, _)| path.to_owned()).filter(|path| !path.contains("__private__axum_fallback")).collect()
}

#[tokio::test]
async fn what_the_router_serves_and_what_is_described_are_the_same() {
    let school = School::new().await;
    let described = school.document["paths"].as_object().unwrap();
    let mut served = served(&school.router);
    // Of development servers only, and for their own page only.
    served.retain(|path| !path.starts_with("/debug"));
    assert_eq!(served, described.keys().cloned().collect());
    for (path, operations) in described {
        let uri = path.replace(['{', '}'], "");
        for method in ["GET", "POST", "PUT", "DELETE", "PATCH"] {
            let (status, _) = school.ask(method, &uri, None, None).await;
            let is_described = operations.get(method.to_lowercase()).is_some();
            assert_eq!(status != 405, is_described, "{method} {path} answers {status}");
        }
    }
}

#[test]
fn every_reference_points_at_something_and_every_schema_is_one() {
    let document = document(&registry());
    assert_sound(&document);
    let mut schemas = Vec::new();
    gather_schemas(&document["paths"], &mut schemas);
    gather_schemas(&document["components"], &mut schemas);
    assert!(schemas.len() > 40, "{} schemas", schemas.len());
    for schema in schemas {
        validator(&document, schema, Draft::Draft202012);
    }
}

/// The schemas of bodies, answers, parameters and headers.
fn gather_schemas<'a>(value: &'a Value, schemas: &mut Vec<&'a Value>) {
    let inside: Vec<&Value> = match value {
        Value::Object(fields) => fields.values().collect(),
        Value::Array(elements) => elements.iter().collect(),
        _ => Vec::new(),
    };
    schemas.extend(value.get("schema"));
    inside.into_iter().for_each(|value| gather_schemas(value, schemas));
}

#[test]
fn every_path_parameter_is_a_field_of_its_command_or_query() {
    for route in registry().routes() {
        let schema = match route.action {
            Action::Command(command) => (command.schema)(),
            Action::Query(query) => (query.schema)(),
        };
        for name in route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
            assert!(schema.as_value()["properties"].get(name).is_some(), "{}: {name}", route.path);
        }
    }
}

#[test]
fn every_error_code_stands_under_its_status() {
    let document = document(&registry());
    for code in ErrorCode::ALL {
        let response = &document["components"]["responses"][code.status().to_string()];
        let problem = json!({ "code": code.as_str(), "message": code.sentence(), "status": code.status() });
        assert_fits(&document, &schema_of(&response["content"]), &problem);
    }
}

#[test]
fn a_field_stands_in_the_path_or_in_the_body_and_not_in_both() {
    let document = document(&registry());
    let register = &document["paths"]["/api/roster/courses/{course_id}/registrations/{person_id}"]["put"];
    let body = schema_of(&register["requestBody"]["content"]);
    assert_eq!(body["properties"].as_object().unwrap().keys().collect::<Vec<_>>(), ["role"]);
    assert_eq!(register["requestBody"]["required"], false);
    let withdraw = &document["paths"]["/api/roster/courses/{course_id}/registrations/{person_id}"]["delete"];
    assert!(withdraw.get("requestBody").is_none());
}

#[tokio::test]
async fn the_rosters_requests_and_answers_are_as_described() {
    let school = School::new().await;
    let (host, course) = (Some(KEY), "/api/roster/courses/{course_id}");
    let title = || Some(json!({ "title": "Bell founding" }));
    let saved = school.check("PUT", course, "/api/roster/courses/7", host, title(), 200).await;
    assert!(saved["id"].is_u64());
    let again = school.check("PUT", course, "/api/roster/courses/7", host, title(), 200).await;
    assert!(again.get("id").is_none());
    school.check("PUT", course, "/api/roster/courses/7", None, title(), 401).await;
    school.check("PUT", course, "/api/roster/courses/7", Some(&ada()), title(), 403).await;
    school.check("PUT", course, "/api/roster/courses/7", host, Some(json!({ "title": 7 })), 422).await;
    let rows = json!({ "people": [{ "person_id": 1, "name": "Ada", "role": "student" }] });
    school.check("POST", "/api/roster/import", "/api/roster/import", host, Some(rows), 200).await;
    let registration = "/api/roster/courses/{course_id}/registrations/{person_id}";
    school.check("PUT", registration, "/api/roster/courses/7/registrations/1", host, Some(json!({})), 200).await;
    let list = "/api/roster/people/{person_id}/courses";
    school.check("GET", list, "/api/roster/people/1/courses", Some(&ada()), None, 200).await;
    school.check("DELETE", registration, "/api/roster/courses/7/registrations/1", host, None, 200).await;
}

#[tokio::test]
async fn deliverys_requests_and_answers_are_as_described() {
    let school = School::new().await;
    let (host, ada) = (Some(KEY), ada());
    let ada = Some(ada.as_str());
    let one = json!({ "type": "progress_update", "channel": "user:1", "data": { "course_id": 7, "percent": 50 } });
    let booked = json!({ "type": "lab/booked", "channel": "course:7", "data": { "slot": 2 } });
    let events = "/api/events";
    school.check("POST", events, events, host, Some(one.clone()), 201).await;
    school.check("POST", events, events, host, Some(json!({ "events": [one, booked] })), 201).await;
    school.check("POST", events, events, host, Some(json!({ "events": [] })), 422).await;
    school.check("POST", events, events, ada, Some(json!({})), 422).await;
    let poll = "/api/poll";
    let head = school.check("GET", poll, poll, ada, None, 200).await;
    assert_eq!(head["cursor"], 3);
    let page = school.check("GET", poll, "/api/poll?since=0", ada, None, 200).await;
    assert_eq!(page["events"].as_array().unwrap().len(), 2);
    let ahead = school.check("GET", poll, "/api/poll?since=99", ada, None, 200).await;
    assert_eq!(ahead["gap"]["reason"], "cursor_ahead");
    school.check("GET", poll, "/api/poll?since=yesterday", ada, None, 400).await;
    school.check("GET", events, events, host, None, 403).await;
    school.check("POST", "/api/ticket", "/api/ticket", ada, None, 201).await;
    for path in ["/", "/healthz", "/readyz", "/metrics", "/api/openapi.json", "/api/asyncapi.json"] {
        school.check("GET", path, path, None, None, 200).await;
    }
}
