//! What every kind of answer carries, asked of the real router.

use crate::app::App;
use crate::config::Config;
use crate::http::{Peer, router};
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, Response, header};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

const KEY: &str = "ck_0123456789abcdef0123456789abcdef";
const SECRET: &str = "a secret of the tests that is long enough";
const LMS: &str = "https://lms.example";

/// A running school.
struct School {
    router: Router,
    _folder: tempfile::TempDir,
}

impl School {
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = format!(
            "store = \"sqlite://{}/school.db\"\nauth.hs256_secret = \"{SECRET}\"\nlimits.rest_per_hour_anonymous = 10000\n\
             allowed_origins = [\"{LMS}\"]\n[[api_key]]\nname = \"host\"\nkey = \"{KEY}\"\nscopes = [\"publish\", \"roster\"]\n",
            folder.path().display()
        );
        let config: Config = toml::from_str(&config).unwrap();
        Self { router: router(App::start(config, true).await.unwrap()), _folder: folder }
    }

    async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Response<Body> {
        let mut request = Request::builder().method(Method::from_bytes(method.as_bytes()).unwrap()).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let is_secure = headers.contains(&("test", "tls"));
        let peer = Peer { address: ([192, 0, 2, 1], 4000).into(), client: [192, 0, 2, 1].into(), is_secure };
        let request = request.extension(peer).body(Body::from(body.to_owned())).unwrap();
        self.router.clone().oneshot(request).await.unwrap()
    }
}

fn ada() -> String {
    let claims = json!({ "user_id": 1, "role": "student", "token_type": "access", "exp": 4_000_000_000_u64 });
    let key = jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes());
    let token = jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).unwrap();
    format!("Bearer {token}")
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap())
}

/// A header with all its lines, as one list.
fn list(headers: &HeaderMap, name: &str) -> Vec<String> {
    let lines = headers.get_all(name).iter().flat_map(|line| line.to_str().unwrap().split(','));
    lines.map(|word| word.trim().to_owned()).collect()
}

/// What it is, method, path, headers, body, and the expected status.
type Kind = (&'static str, &'static str, &'static str, Vec<(&'static str, String)>, &'static str, u16);

/// One of every kind.
fn kinds() -> Vec<Kind> {
    let (ada, host) = (vec![("authorization", ada())], vec![("authorization", format!("Bearer {KEY}"))]);
    let publish = r#"{"type":"announcement","channel":"course:7","data":{"title":"Hello","body":"The bell rings"}}"#;
    vec![
        ("text", "GET", "/", vec![], "", 200),
        ("health", "GET", "/healthz", vec![], "", 200),
        ("readiness", "GET", "/readyz", vec![], "", 200),
        ("metrics", "GET", "/metrics", vec![], "", 200),
        ("document", "GET", "/api/openapi.json", vec![], "", 200),
        ("stream", "GET", "/api/events", ada.clone(), "", 200),
        ("poll", "GET", "/api/poll?since=0", ada.clone(), "", 200),
        ("ticket", "POST", "/api/ticket", ada.clone(), "", 201),
        ("publish", "POST", "/api/events", host.clone(), publish, 201),
        ("command", "PUT", "/api/roster/courses/7", host.clone(), r#"{"title":"Bell founding"}"#, 200),
        ("query", "GET", "/api/roster/people/1/courses", host.clone(), "", 200),
        ("bad body", "POST", "/api/events", host, "{", 400),
        ("no credential", "GET", "/api/poll", vec![], "", 401),
        ("wrong credential", "GET", "/api/events", vec![("authorization", "Bearer x.y.z".into())], "", 401),
        ("not allowed", "PUT", "/api/roster/courses/7", ada, r#"{"title":"Mine"}"#, 403),
        ("foreign origin", "GET", "/api/poll", vec![("origin", "https://stranger.example".into())], "", 403),
        ("not found", "GET", "/nowhere", vec![], "", 404),
        ("wrong method", "DELETE", "/api/poll", vec![], "", 405),
        ("no upgrade", "GET", "/ws", vec![], "", 426),
    ]
}

#[tokio::test]
async fn every_kind_of_answer_forbids_browsers_what_they_need_not_do_with_it() {
    let school = School::open().await;
    for (kind, method, path, given, body, status) in kinds() {
        for is_secure in [false, true] {
            let mut given: Vec<(&str, &str)> = given.iter().map(|(name, value)| (*name, value.as_str())).collect();
            if is_secure {
                given.push(("test", "tls"));
            }
            let response = school.ask(method, path, &given, body).await;
            assert_eq!(response.status().as_u16(), status, "{kind}");
            let headers = response.headers();
            for (name, value) in [
                ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
                ("referrer-policy", "no-referrer"),
                ("x-content-type-options", "nosniff"),
                ("x-frame-options", "DENY"),
                ("cache-control", "no-store"),
            ] {
                assert_eq!(text(headers, name), Some(value), "{kind}: {name}");
            }
            assert!(text(headers, "permissions-policy").unwrap().contains("microphone=()"), "{kind}");
            let transport = text(headers, "strict-transport-security");
            assert_eq!(transport, is_secure.then_some("max-age=31536000"), "{kind}");
            assert!(list(headers, "vary").contains(&"origin".to_owned()), "{kind}");
            assert!(headers.get("access-control-allow-origin").is_none(), "{kind}");
            assert!(headers.get_all("content-type").iter().count() <= 1, "{kind}");
        }
    }
}

#[tokio::test]
async fn an_allowed_page_may_read_every_kind_of_answer_and_no_cookie_is_asked_for() {
    let school = School::open().await;
    for (kind, method, path, given, body, status) in kinds().into_iter().filter(|kind| kind.0 != "foreign origin") {
        let mut given: Vec<(&str, &str)> = given.iter().map(|(name, value)| (*name, value.as_str())).collect();
        given.push(("origin", LMS));
        let response = school.ask(method, path, &given, body).await;
        assert_eq!(response.status().as_u16(), status, "{kind}");
        let headers = response.headers();
        assert_eq!(text(headers, "access-control-allow-origin"), Some(LMS), "{kind}");
        assert_eq!(headers.get("access-control-allow-credentials"), None, "{kind}");
        let exposed = list(headers, "access-control-expose-headers");
        for name in ["x-request-id", "retry-after", "idempotency-replayed", "ratelimit-limit", "ratelimit-remaining"] {
            assert!(exposed.contains(&name.to_owned()), "{kind}: {name}");
        }
    }
}

#[tokio::test]
async fn over_tls_the_servers_own_pages_are_those_that_came_over_tls() {
    let school = School::open().await;
    for (transport, origin, status) in [
        ("tls", "https://campus.example", 200),
        ("tls", "http://campus.example", 403),
        ("tls", "HTTP://CAMPUS.example:80", 403),
        ("tls", LMS, 200),
        ("plain", "http://campus.example", 200),
        ("plain", "https://campus.example", 200),
    ] {
        let (ada, host) = (ada(), "campus.example");
        let given = [("test", transport), ("origin", origin), ("host", host), ("authorization", ada.as_str())];
        let response = school.ask("GET", "/api/poll?since=0", &given, "").await;
        assert_eq!(response.status().as_u16(), status, "{transport} {origin}");
        let readable_by = text(response.headers(), "access-control-allow-origin");
        assert_eq!(readable_by, (status == 200).then_some(origin), "{transport} {origin}");
    }
}

#[tokio::test]
async fn a_preflight_lists_what_is_allowed_and_refuses_the_rest() {
    let school = School::open().await;
    for (origin, method, asked, status, is_allowed) in [
        (LMS, "POST", "authorization,content-type", 204, true),
        (LMS, "PUT", "", 204, true),
        (LMS, "DELETE", "Idempotency-Key, X-Request-Id", 204, true),
        (LMS, "GET", "last-event-id", 204, true),
        (LMS, "PATCH", "", 204, false),
        (LMS, "TRACE", "", 204, false),
        (LMS, "POST", "x-anything", 204, false),
        (LMS, "POST", "authorization, cookie", 204, false),
        ("https://stranger.example", "POST", "authorization", 403, false),
        ("https://lms.example.stranger.example", "GET", "", 403, false),
        ("http://lms.example", "GET", "", 403, false),
    ] {
        let mut given = vec![("origin", origin), ("access-control-request-method", method)];
        if !asked.is_empty() {
            given.push(("access-control-request-headers", asked));
        }
        let response = school.ask("OPTIONS", "/api/events", &given, "").await;
        let headers = response.headers();
        assert_eq!(response.status().as_u16(), status, "{given:?}");
        assert_eq!(headers.get("access-control-allow-methods").is_some(), is_allowed, "{given:?}");
        assert_eq!(headers.get("access-control-allow-headers").is_some(), is_allowed, "{given:?}");
        assert_eq!(text(headers, "access-control-allow-origin"), (status == 204).then_some(LMS), "{given:?}");
        if status == 204 {
            let vary = list(headers, "vary");
            let depends = ["origin", "access-control-request-method", "access-control-request-headers"];
            assert!(depends.iter().all(|name| vary.contains(&(*name).to_owned())), "{vary:?}");
        }
    }
}

#[tokio::test]
async fn a_request_keeps_its_id_if_a_log_line_can_hold_it() {
    let school = School::open().await;
    let longest = "x".repeat(64);
    for (given, is_kept) in [
        ("7c9f", true),
        ("A-b_c.9", true),
        (longest.as_str(), true),
        ("", false),
        (&format!("{longest}x"), false),
        ("a b", false),
        ("a\tb", false),
        ("\u{00e9}", false),
        ("a\"b", false),
        ("a,b", false),
        ("{}", false),
    ] {
        let response = school.ask("GET", "/nowhere", &[("x-request-id", given)], "").await;
        let id = text(response.headers(), "x-request-id").unwrap().to_owned();
        assert_eq!(id == given, is_kept, "{given:?} became {id:?}");
        assert!((1..=64).contains(&id.len()), "{id}");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let problem: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((problem["request_id"].as_str(), problem["code"].as_str()), (Some(id.as_str()), Some("not_found")));
    }
}

#[tokio::test]
async fn a_rest_answer_says_where_the_caller_stands() {
    let school = School::open().await;
    let (ada, host) = (ada(), format!("Bearer {KEY}"));
    let mut left = Vec::new();
    for _ in 0..2 {
        let response = school.ask("GET", "/api/roster/people/1/courses", &[("authorization", &ada)], "").await;
        assert_eq!(text(response.headers(), "ratelimit-limit"), Some("1000"));
        left.push(text(response.headers(), "ratelimit-remaining").unwrap().parse::<u32>().unwrap());
        assert!(text(response.headers(), "ratelimit-reset").unwrap().parse::<u32>().unwrap() <= 8);
    }
    assert_eq!(left, [999, 998]);
    let response = school.ask("GET", "/api/roster/people/1/courses", &[("authorization", &host)], "").await;
    assert_eq!(text(response.headers(), "ratelimit-limit"), Some("10000"));
    let response = school.ask("GET", "/api/roster/people/1/courses", &[], "").await;
    assert_eq!(text(response.headers(), "ratelimit-remaining"), Some("9999"), "a stranger's");
    for remaining in (0..60).rev() {
        let response = school.ask("POST", "/api/ticket", &[("authorization", &ada)], "").await;
        assert_eq!(response.status().as_u16(), 201);
        assert_eq!(text(response.headers(), "ratelimit-remaining"), Some(remaining.to_string().as_str()));
    }
    let response = school.ask("POST", "/api/ticket", &[("authorization", &ada)], "").await;
    assert_eq!((response.status().as_u16(), text(response.headers(), "retry-after")), (429, Some("1")));
    let response = school.ask("GET", "/api/poll?since=0", &[("authorization", &ada)], "").await;
    assert_eq!(
        response.headers().get(header::HeaderName::from_static("ratelimit-limit")),
        None,
        "real-time routes are not counted"
    );
}
