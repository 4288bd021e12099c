//! A strict reading of the text: every sample has its family, every family its help and type, and docs/metrics.md lists them all.

use super::render;
use crate::app::App;
use crate::config::Config;
use axum::body::Body;
use axum::http::{Request, header};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::Arc;
use tower::ServiceExt;

const KEY: &str = "ck_0123456789abcdef0123456789abcdef";

struct School {
    app: Arc<App>,
    _folder: tempfile::TempDir,
}

impl School {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = format!(
            "store = \"sqlite://{}/school.db\"\nauth.hs256_secret = \"f6352147136060d27c642823384954b6a5e5b0e3964b8dffd8a9e38f0923256f\"\n\
             [[api_key]]\nname = \"host\"\nkey = \"{KEY}\"\nscopes = [\"publish\", \"metrics\"]\n",
            folder.path().display()
        );
        let config: Config = toml::from_str(&config).unwrap();
        Self { app: App::start(config, false).await.unwrap(), _folder: folder }
    }

    async fn ask(&self, method: &str, path: &str, body: &str) -> u16 {
        let request = Request::builder().method(method).uri(path).header(header::AUTHORIZATION, format!("Bearer {KEY}"));
        let router = crate::http::router(Arc::clone(&self.app));
        router.oneshot(request.body(Body::from(body.to_owned())).unwrap()).await.unwrap().status().as_u16()
    }

    async fn read(&self) -> BTreeMap<String, f64> {
        parse(&render(&self.app).await.text)
    }
}

/// Reads the text as the strictest reader would: answers the samples by name and labels.
fn parse(text: &str) -> BTreeMap<String, f64> {
    let (mut helped, mut kinds, mut samples) = (BTreeSet::new(), BTreeMap::new(), BTreeMap::new());
    let mut family = "";
    assert!(text.ends_with('\n'));
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, sentence) = help.split_once(' ').unwrap();
            assert!(helped.insert(name) && sentence.ends_with('.'), "{line}");
            family = name;
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap();
            assert!(name == family && ["gauge", "counter", "histogram"].contains(&kind), "{line}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            kinds.insert(name, kind);
        } else {
            let (sample, value) = line.rsplit_once(' ').unwrap();
            let name = sample.split('{').next().unwrap();
            let stem = match kinds[family] {
                "histogram" => ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap(),
                _ => name,
            };
            assert_eq!(stem, family, "samples stand with their family: {line}");
            assert!(name.chars().all(|sign| sign.is_ascii_lowercase() || sign == '_'), "{line}");
            assert!(sample.matches('"').count() % 2 == 0 && value.parse::<f64>().unwrap() >= 0.0, "{line}");
            assert!(samples.insert(sample.to_owned(), value.parse().unwrap()).is_none(), "twice: {line}");
        }
    }
    samples
}

fn assert_rising_buckets(samples: &BTreeMap<String, f64>, prefix: &str, labels: &str) {
    let buckets: Vec<f64> = samples
        .iter()
        .filter(|(name, _)| name.starts_with(&format!("{prefix}_bucket")) && name.contains(labels))
        .map(|(_, count)| *count)
        .collect();
    let most = buckets.iter().copied().fold(0.0, f64::max);
    assert_eq!(most, samples[&format!("{prefix}_count{{{labels}}}").replace("{}", "")], "{prefix}");
}

#[tokio::test]
async fn every_line_reads_strictly_and_requests_are_counted_by_template_and_code() {
    let school = School::new().await;
    let body = r#"{"type":"announcement","channel":"course:7","data":{"title":"a","body":"b"}}"#;
    assert_eq!(school.ask("POST", "/api/events", body).await, 201);
    assert_eq!(school.ask("POST", "/api/events", "{").await, 400);
    assert_eq!(school.ask("GET", "/nobody/knows/\"this\"", "").await, 404);
    assert_eq!(school.ask("GET", "/api/roster/people/1/courses", "").await, 403);
    let samples = school.read().await;
    let count = |route, method, status| {
        samples[&format!(
            "campanile_http_request_duration_seconds_count{{route=\"{route}\",method=\"{method}\",status=\"{status}\"}}"
        )]
    };
    assert_eq!(count("/api/roster/people/{person_id}/courses", "GET", "4xx"), 1.0);
    assert_eq!((count("/api/events", "POST", "2xx"), count("/api/events", "POST", "4xx")), (1.0, 1.0));
    assert_eq!(count("none", "GET", "4xx"), 1.0);
    assert_eq!(samples["campanile_http_errors_total{code=\"malformed_json\"}"], 1.0);
    assert_eq!(samples["campanile_http_errors_total{code=\"not_found\"}"], 1.0);
    assert_eq!((samples["campanile_log_head"], samples["campanile_log_position"]), (1.0, 1.0));
    assert_eq!((samples["campanile_events_committed_total"], samples["campanile_commits_total"]), (1.0, 1.0));
    assert_rising_buckets(&samples, "campanile_commit_duration_seconds", "");
    let labels = "route=\"/api/events\",method=\"POST\",status=\"2xx\"";
    assert_rising_buckets(&samples, "campanile_http_request_duration_seconds", labels);
    assert!(samples["process_resident_memory_bytes"] > 1e6 && samples["process_threads"] >= 1.0);
}

#[tokio::test]
async fn a_refused_credential_and_a_request_over_its_limit_are_counted() {
    let school = School::new().await;
    for place in 0..=100 {
        let request = Request::get("/api/roster/people/1/courses").header(header::AUTHORIZATION, "Bearer no.token.this");
        let router = crate::http::router(Arc::clone(&school.app));
        let status = router.oneshot(request.body(Body::empty()).unwrap()).await.unwrap().status().as_u16();
        assert_eq!(status, if place < 100 { 401 } else { 429 });
    }
    let samples = school.read().await;
    assert_eq!(samples["campanile_auth_refusals_total{source=\"bearer\",code=\"invalid_token\"}"], 101.0);
    assert_eq!(samples["campanile_rest_limit_refusals_total{caller=\"anonymous\"}"], 1.0);
    assert_eq!(samples["campanile_http_errors_total{code=\"rate_limited\"}"], 1.0);
}

/// The names of metrics in a text.
fn named(text: &str) -> BTreeSet<&str> {
    let words = text.split(|sign: char| !sign.is_ascii_lowercase() && sign != '_');
    words.filter(|word| word.starts_with("campanile_") || word.starts_with("process_")).collect()
}

#[tokio::test]
async fn dashboard_and_alerts_name_only_metrics_that_exist() {
    let school = School::new().await;
    let families = render(&school.app).await.families;
    let is_known = |name: &&str| {
        families.iter().any(|family| {
            let rest = name.strip_prefix(family.name);
            rest == Some("") || (family.kind == "histogram" && matches!(rest, Some("_bucket" | "_sum" | "_count")))
        })
    };
    for text in
        [include_str!("../../../../../deploy/grafana/campanile.json"), include_str!("../../../../../docs/observability.md")]
    {
        let names = named(text);
        assert!(names.len() >= 10);
        let unknown: Vec<_> = names.into_iter().filter(|name| !is_known(name)).collect();
        // Targets of the log are no metrics.
        let targets = ["campanile_live", "campanile_journal", "campanile_features", "campanile_contract"];
        assert!(unknown.iter().all(|name| targets.contains(name)), "{unknown:?}");
    }
}

/// `CAMPANILE_WRITE_DOCS=1` writes the page instead of comparing it.
#[tokio::test]
async fn the_page_of_metrics_lists_what_is_rendered() {
    let school = School::new().await;
    let mut page = String::from(
        "# Metrics\n\nWhat `GET /metrics` answers, in the order in which it stands there. A test writes this page; \
         [observability.md](observability.md) says how to read it and what to be woken for.\n\n\
         | name | type | labels | meaning |\n|---|---|---|---|\n",
    );
    for family in render(&school.app).await.families {
        let labels: Vec<String> = family.labels.iter().map(|label| format!("`{label}`")).collect();
        let labels = if labels.is_empty() { "–".to_owned() } else { labels.join(", ") };
        let _ = writeln!(page, "| `{}` | {} | {labels} | {} |", family.name, family.kind, family.help);
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/metrics.md");
    if std::env::var_os("CAMPANILE_WRITE_DOCS").is_some() {
        std::fs::write(path, &page).unwrap();
    }
    assert!(std::fs::read_to_string(path).unwrap_or_default() == page, "run this test with CAMPANILE_WRITE_DOCS=1 and commit");
}
