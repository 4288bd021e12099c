//! Rows become the events that the platform's documents promise, or are told why not.

use super::Processor;
use crate::config::Config;
use campanile_contract::{Class, DataCheck, EventType, Origin, Registry, Retention, Site, Subject};
use campanile_journal::{JournalLimits, ManualClock, Tx, Unit, UnitError};
use campanile_wire::EventId;
use futures_util::future::BoxFuture;

/// A row as another program inserts it: the other columns fill themselves in.
struct Insert {
    event_type: String,
    cadet_id: Option<String>,
    payload: String,
}

impl Unit for Insert {
    fn run<'a>(&'a self, tx: &'a mut Tx) -> BoxFuture<'a, Result<String, UnitError>> {
        Box::pin(async move {
            let values = [self.event_type.as_str().into(), self.cadet_id.clone().into(), self.payload.as_str().into()];
            tx.execute("INSERT INTO sync_events (event_type, cadet_id, payload) VALUES ($1, $2, $3)", &values).await?;
            Ok("null".into())
        })
    }
}

fn host(name: &'static str, channel_kind: &'static str) -> EventType {
    EventType {
        name: name.into(),
        channel_kind: channel_kind.into(),
        class: Class::Grade,
        subject: Subject::Nobody,
        origin: Origin::Host,
        retention: Retention::Forever,
        data: DataCheck::Any,
    }
}

struct School {
    site: Site,
    sync: Processor,
    _folder: tempfile::TempDir,
}

async fn school() -> School {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("school.db");
    let types = ["grade_update", "attendance_update", "exam_score_update"].map(|name| host(name, "cadet"));
    let types = types.into_iter().chain([host("notification", "user"), host("duty_posted", "role")]).collect();
    let registry = Registry::new(&[], types).expect("a registry");
    let url = format!("sqlite://{}", path.display());
    let site = Site::open(&url, registry, JournalLimits::default(), ManualClock::at(1_767_225_600_000)).await.expect("a site");
    let config = Config { store: url, ..Config::default() };
    let sync = Processor::new(&site, config.sync_sources().expect("sources")).expect("a processor");
    School { site, sync, _folder: folder }
}

impl School {
    async fn insert(&self, event_type: &str, cadet_id: Option<&str>, payload: &str) {
        let (event_type, payload) = (event_type.to_owned(), payload.to_owned());
        let row = Insert { event_type, cadet_id: cadet_id.map(str::to_owned), payload };
        self.site.journal.run(Box::new(row), None).await.expect("a row");
    }

    async fn log(&self) -> Vec<(String, String, String)> {
        let events = self.site.journal.read(0, EventId::MAX >> 1, 1_000).await.expect("the log");
        events.iter().map(|event| (event.kind.to_string(), event.channel.to_string(), event.data.to_string())).collect()
    }
}

fn told(kind: &str, channel: &str, data: &str) -> (String, String, String) {
    (kind.to_owned(), channel.to_owned(), data.to_owned())
}

/// `SyncEvent.objects.create(event_type='grade_update', cadet_id=1, payload={…})`, as Django's JSONField writes it.
#[tokio::test]
async fn the_sync_event_of_the_seed_becomes_its_grade_update_with_the_payload_untouched() {
    let school = school().await;
    let payload = r#"{"type": "merit", "points": 5, "merit_points": 25, "demerit_points": 10}"#;
    school.insert("grade_update", Some("1"), payload).await;
    let pass = school.sync.run_to_the_end(None).await.expect("a pass");
    assert_eq!((pass.processed, pass.failed), (1, 0));
    assert_eq!(school.log().await, [told("grade_update", "cadet:1", payload)]);
}

#[tokio::test]
async fn a_type_of_another_kind_of_channel_finds_its_owner_in_the_payload() {
    let school = school().await;
    school.insert("notification", None, r#"{"user_id": 7, "message": "x"}"#).await;
    school.insert("notification", Some("1"), r#"{"message": "x", "user_id": "a-7"}"#).await;
    school.insert("duty_posted", None, r#"{"role_id": "training_staff"}"#).await;
    assert_eq!(school.sync.run_to_the_end(Some("own")).await.expect("a pass").processed, 3);
    assert_eq!(
        school.log().await,
        [
            told("notification", "user:7", r#"{"user_id": 7, "message": "x"}"#),
            told("notification", "user:a-7", r#"{"message": "x", "user_id": "a-7"}"#),
            told("duty_posted", "role:training_staff", r#"{"role_id": "training_staff"}"#),
        ]
    );
}

#[tokio::test]
async fn rows_without_an_owner_a_type_or_an_object_are_told_why_between_rows_that_go_on() {
    let school = school().await;
    school.insert("grade_update", Some("1"), r#"{"n":1}"#).await;
    school.insert("grade_update", None, "{}").await;
    school.insert("notification", Some("1"), "{}").await;
    school.insert("notification", Some("1"), r#"{"user_id": 1.5}"#).await;
    school.insert("none_such", Some("1"), "{}").await;
    school.insert("grade_update", Some("1"), "[1]").await;
    school.insert("grade_update", Some("1"), "{\"a\":").await;
    school.insert("grade_update", Some("\u{1}"), "{}").await;
    school.insert("grade_update", Some("1"), &format!("{{\"a\":\"{}\"}}", "x".repeat(70_000))).await;
    school.insert("grade_update", Some("1"), &"{\"a\":".repeat(2_000)).await;
    school.insert("grade_update", Some("1"), &format!("{}1{}", "{\"a\":".repeat(70), "}".repeat(70))).await;
    school.insert("grade_update", Some("1"), r#"{"n":2}"#).await;
    let pass = school.sync.run_to_the_end(None).await.expect("a pass");
    assert_eq!((pass.processed, pass.failed), (2, 10));
    let good = [told("grade_update", "cadet:1", r#"{"n":1}"#), told("grade_update", "cadet:1", r#"{"n":2}"#)];
    assert_eq!(school.log().await, good);
    let sql = "SELECT error FROM sync_events WHERE processed AND error IS NOT NULL ORDER BY id";
    let rows = school.site.journal.reader().await.expect("a reader").fetch(sql, &[]).await.expect("rows");
    let errors: Vec<String> = rows.iter().map(|row| row.text("error").expect("an error")).collect();
    let expected = [
        "grade_update belongs to a cadet, and cadet_id is NULL",
        "notification belongs to a user, and payload has no user_id that is an integer or a text",
        "notification belongs to a user, and payload has no user_id that is an integer or a text",
        "\"none_such\" is no known event type; declare it in campanile.toml under [[event_type]]",
        "payload is no JSON object",
        "payload is no JSON: EOF while parsing a value at line 1 column 5",
        "a channel is kind:id, with one of the kinds cadet, role, user",
        "payload has 70008 bytes, at most 65536 are taken",
        "payload is no JSON: ",
        "data of grade_update: nested deeper than 64 levels",
    ];
    assert_eq!(errors.len(), expected.len());
    for (error, expected) in errors.iter().zip(expected) {
        assert!(error.starts_with(expected), "{error} instead of {expected}");
    }
    let (_, own) = school.sync.sources().next().expect("our own source");
    assert_eq!(own.failed.load(std::sync::atomic::Ordering::Relaxed), 10, "counted for metrics");
}

#[test]
fn sources_are_named_once_and_ours_is_always_there() {
    let sources =
        |text: &str| toml::from_str::<Config>(text).map_err(anyhow::Error::from).and_then(|config| config.sync_sources());
    let names = |text: &str| {
        let sources = sources(text).expect("sources");
        sources.iter().map(|setting| setting.spec.name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(""), ["own"]);
    assert_eq!(names("[[sync_source]]\npoll_ms = 50"), ["own"], "tuned");
    assert_eq!(names("[[sync_source]]\nname = \"lms\"\nstore = \"sqlite://lms.db\"\ntable = \"lms_row\""), ["lms", "own"]);
    for broken in
        ["name = \"A\"", "poll_ms = 0", "batch_rows = 0", "table = \"a b\"", "store = \"mysql://x\"\ntable = \"a\"", "x = 1"]
    {
        assert!(sources(&format!("[[sync_source]]\n{broken}")).is_err(), "{broken}");
    }
    assert!(sources("[[sync_source]]\n[[sync_source]]").is_err(), "two are called own");
    let shown = format!(
        "{:?}",
        toml::from_str::<Config>("[[sync_source]]\nstore = \"postgres://u:secret@h/d\"").expect("a config").sync_source
    );
    assert!(!shown.contains("secret"), "{shown}");
}
