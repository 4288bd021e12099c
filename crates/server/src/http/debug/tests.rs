//! The page exists in development only, answers its own page only, and runs nothing but its own script.

use crate::app::App;
use crate::config::Config;
use axum::body::Body;
use axum::http::{Request, header};
use axum::response::Response;
use http_body_util::BodyExt;
use std::sync::Arc;
use tower::ServiceExt;

struct School {
    app: Arc<App>,
    _folder: tempfile::TempDir,
}

impl School {
    async fn new(dev: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let secret = "auth.hs256_secret = \"f6352147136060d27c642823384954b6a5e5b0e3964b8dffd8a9e38f0923256f\"";
        let config: Config =
            toml::from_str(&format!("store = \"sqlite://{}/school.db\"\n{secret}", folder.path().display())).unwrap();
        Self { app: App::start(config, dev).await.unwrap(), _folder: folder }
    }

    async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &'static str) -> Response {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        crate::http::router(Arc::clone(&self.app)).oneshot(request.body(Body::from(body)).unwrap()).await.unwrap()
    }
}

const HOME: (&str, &str) = ("host", "127.0.0.1:8000");

#[tokio::test]
async fn without_dev_there_is_no_such_page() {
    let school = School::new(false).await;
    for (method, path) in [("GET", "/debug"), ("GET", "/debug/data"), ("POST", "/debug/token")] {
        assert_eq!(school.ask(method, path, &[HOME], "").await.status(), 404, "{path}");
    }
}

#[tokio::test]
async fn only_the_servers_own_page_is_answered() {
    let school = School::new(true).await;
    for (headers, status) in [
        (&[HOME][..], 200),
        (&[HOME, ("origin", "http://127.0.0.1:8000")], 200),
        (&[HOME, ("origin", "http://127.0.0.1:8001")], 403),
        (&[HOME, ("origin", "null")], 403),
        (&[HOME, ("origin", "https://evil.example")], 403),
        (&[HOME, ("sec-fetch-site", "cross-site")], 403),
        (&[("host", "evil.example:8000")], 403),
        (&[], 403),
    ] {
        assert_eq!(school.ask("GET", "/debug/data", headers, "").await.status(), status, "{headers:?}");
        assert_eq!(school.ask("POST", "/debug/token", headers, r#"{"user":1}"#).await.status(), status, "{headers:?}");
        assert_eq!(school.ask("GET", "/debug", headers, "").await.status(), status, "{headers:?}");
    }
    assert_eq!(school.ask("POST", "/debug/token", &[HOME], "{}").await.status(), 422);
}

#[tokio::test]
async fn the_page_runs_only_the_script_that_bears_its_nonce_and_loads_nothing() {
    let school = School::new(true).await;
    let answer = school.ask("GET", "/debug", &[HOME], "").await;
    let policy = answer.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
    let page = String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap();
    let nonce = policy.split("script-src 'nonce-").nth(1).unwrap().split('\'').next().unwrap();
    assert!(policy.starts_with("default-src 'none';") && nonce.len() == 32);
    assert_eq!(page.matches("<script").count(), 1);
    assert_eq!(page.matches(&format!("nonce=\"{nonce}\"")).count(), 2, "one script, one style");
    for forbidden in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "src=", "https://", "onclick"]
    {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
}
