//! Layers, mistakes and the reference, as an operator meets them.

use super::keys::{Kind, keys};
use super::{Change, Flag, Given, Loaded, reference};
use std::path::{Path, PathBuf};

/// Writes campanile.toml into a folder of its own and reads it below these variables and flags (`--set` each).
struct Site {
    folder: tempfile::TempDir,
    given: Given,
}

impl Site {
    fn new(toml: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("campanile.toml");
        std::fs::write(&file, toml).unwrap();
        Self { folder, given: Given { file: Some(file), ..Given::default() } }
    }

    fn variable(mut self, name: &str, text: &str) -> Self {
        self.given.variables.push((name.into(), text.into()));
        self
    }

    fn flag(mut self, path: &str, text: &str) -> Self {
        self.given.flags.push(Flag { path: path.into(), text: text.into(), name: format!("--set {path}") });
        self
    }

    /// A file beside campanile.toml.
    fn file(self, name: &str, text: &str) -> Self {
        std::fs::write(self.folder.path().join(name), text).unwrap();
        self
    }

    fn load(&self) -> Loaded {
        self.given.load().unwrap_or_else(|faults| panic!("{faults}"))
    }

    /// What the operator is told, without the folder's name.
    fn told(&self) -> String {
        let told = self.given.load().err().map(|faults| faults.to_string()).unwrap_or_default();
        told.replace(&format!("{}/", self.folder.path().display()), "")
    }
}

/// A configuration that cannot be read, and the sentence about it.
fn check(site: Site, expect: &str) {
    assert_eq!(site.told(), expect);
}

#[test]
fn flags_lie_over_the_environment_over_the_file_over_the_defaults() {
    let site = Site::new(
        "listen = '127.0.0.1:7001'\nstore = 'sqlite://a.db'\n[limits]\nauth_ms = 1_000\nbody_bytes = 0x1000\npong_ms = 700",
    )
    .variable("CAMPANILE_STORE", "sqlite://b.db")
    .variable("CAMPANILE_LIMITS__BODY_BYTES", "8_000")
    .flag("limits.body_bytes", "9000")
    .flag("limits.body_bytes", "9001");
    let loaded = site.load();
    assert_eq!(loaded.config.listen.to_string(), "127.0.0.1:7001");
    assert_eq!(loaded.config.store, "sqlite://b.db");
    assert_eq!((loaded.config.limits.auth_ms, loaded.config.limits.body_bytes), (1_000, 9_001));
    assert_eq!(loaded.config.limits.drain_ms, 10_000);
    let settings = loaded.settings();
    let from = |path: &str| {
        let setting = settings.iter().find(|setting| setting.path == path).unwrap();
        setting.place.as_ref().map_or("default".to_owned(), ToString::to_string)
    };
    assert!(from("limits.pong_ms").ends_with("campanile.toml:6:1"), "{}", from("limits.pong_ms"));
    assert_eq!(from("store"), "the variable CAMPANILE_STORE");
    assert_eq!(from("limits.body_bytes"), "the flag --set limits.body_bytes");
    assert_eq!(from("limits.drain_ms"), "default");
}

#[test]
fn lists_and_tables_come_by_the_environment_too() {
    let site = Site::new("allowed_origins = ['https://old.example']\n[[api_key]]\nname = 'old'\nscopes = ['publish']")
        .variable("CAMPANILE_ALLOWED_ORIGINS", "https://a.example, b.example")
        .variable("CAMPANILE_API_KEY", "[{ name = 'new', key = 'ck_x', scopes = ['roster'] }]")
        .variable("CAMPANILE_AUTH__SOURCES", "[\"bearer\"]")
        .variable(
            "CAMPANILE_EVENT_TYPE",
            r#"[{"name":"quiz","channel_kind":"course","class":"course","schema":{"type":"object"}}]"#,
        )
        .variable("CAMPANILE_LOG__FORMAT", "json")
        .flag("route.\"/ws\".reject", "http");
    let config = site.load().config;
    assert_eq!(config.allowed_origins, ["https://a.example", "b.example"]);
    assert_eq!(format!("{:?}", config.api_key), r#"[ApiKeyEntry { name: "new", scopes: ["roster"], .. }]"#);
    assert_eq!(config.auth.sources.unwrap().len(), 1);
    assert_eq!(config.event_type.len(), 1);
    assert_eq!(config.log.format, Some(super::LogFormat::Json));
    assert_eq!(config.route["/ws"].reject, super::Reject::Http);
}

#[test]
fn an_unknown_key_is_refused_with_its_place_and_the_nearest_known_one() {
    let said = |known: &str| format!("; did you mean `{known}`?");
    check(
        Site::new("[limits]\nbody_byte = 3"),
        &format!("campanile.toml:2:1: unknown key `limits.body_byte`{}", said("limits.body_bytes")),
    );
    check(
        Site::new("\n  body_bytes = 3"),
        &format!("campanile.toml:2:3: unknown key `body_bytes`{}", said("limits.body_bytes")),
    );
    check(Site::new("[auth]\nsecret_of_ours = 'x'"), "campanile.toml:2:1: unknown key `auth.secret_of_ours`");
    check(
        Site::new("[[api_key]]\nname = 'a'\nscopes = []\nrate = 3\nscope = []"),
        "campanile.toml:4:1: unknown key `api_key[0].rate`\n\
         campanile.toml:5:1: unknown key `api_key[0].scope`; did you mean `api_key[0].scopes`?",
    );
    check(
        Site::new("[route.\"/ws\"]\nrejects = 'http'"),
        "campanile.toml:2:1: unknown key `route.\"/ws\".rejects`; did you mean `route.\"/ws\".reject`?",
    );
    check(Site::new("[route.\"/ws\"]"), "campanile.toml:1:8: `route.\"/ws\"` lacks `reject`");
    check(
        Site::new("").variable("CAMPANILE_LIMITS__BODY_BYTE", "3"),
        "the variable CAMPANILE_LIMITS__BODY_BYTE: no key of the configuration has this variable; did you mean \
         `CAMPANILE_LIMITS__BODY_BYTES`?",
    );
    check(
        Site::new("").variable("CAMPANILE_API_KEY", "[{ nam = 'a', scopes = [] }]"),
        "the variable CAMPANILE_API_KEY: unknown key `api_key[0].nam`; did you mean `api_key[0].name`?\n\
         the variable CAMPANILE_API_KEY: `api_key[0]` lacks `name`",
    );
    check(
        Site::new("").flag("limit.body_bytes", "3"),
        &format!("the flag --set limit.body_bytes: unknown key `limit.body_bytes`{}", said("limits.body_bytes")),
    );
    check(
        Site::new("").flag("limits body", "3"),
        "the flag --set limits body: `limits body` is no path of a key, as `limits.body_bytes` is one",
    );
}

#[test]
fn a_wrong_kind_is_refused_with_what_is_expected() {
    check(
        Site::new("[limits]\nbody_bytes = '4 MiB'"),
        "campanile.toml:2:1: `limits.body_bytes` is text, where a whole number is expected",
    );
    check(
        Site::new("[limits]\nauth_ms = 1.5"),
        "campanile.toml:2:1: `limits.auth_ms` is a fraction, where a whole number is expected",
    );
    check(
        Site::new("allowed_origins = 'https://a.example'"),
        "campanile.toml:1:1: `allowed_origins` is text, where a list of texts is expected",
    );
    check(Site::new("limits = 3"), "campanile.toml:1:1: `limits` is a number, where a table is expected");
    check(
        Site::new("[[event_type]]\nname = 'a'\nchannel_kind = 'course'\nclass = 'cours'"),
        "campanile.toml:4:1: `event_type[0].class` is one of `grade`, `attendance`, `presence`, `chat`, `gamification`, `course`, \
         `technical`; did you mean `course`?",
    );
    check(
        Site::new("").variable("CAMPANILE_LIMITS__AUTH_MS", "soon"),
        "the variable CAMPANILE_LIMITS__AUTH_MS: a whole number is expected",
    );
    check(Site::new("").flag("insecure_public_bind", "yes"), "the flag --set insecure_public_bind: true or false is expected");
    check(
        Site::new("").variable("CAMPANILE_API_KEY", "platform"),
        "the variable CAMPANILE_API_KEY: a list as TOML or JSON is expected, such as [{ name = … }]",
    );
    check(Site::new("listen = 'localhost'"), "campanile.toml:1:1: `listen`: invalid socket address syntax");
    check(
        Site::new("listen = "),
        "campanile.toml:1:10: this is no TOML: string values must be quoted, expected literal string",
    );
}

#[test]
fn what_a_table_must_have_may_come_from_several_layers() {
    let half = || Site::new("[tls]\ncertificate_file = 'a.pem'");
    check(half(), "campanile.toml:1:2: `tls` lacks `key_file`");
    let tls = half().variable("CAMPANILE_TLS__KEY_FILE", "/b.pem").load().config.tls.unwrap();
    assert!(tls.certificate_file.ends_with("a.pem") && tls.key_file == Path::new("/b.pem"));
}

#[test]
fn a_number_out_of_its_range_is_refused_with_the_range() {
    check(
        Site::new("[limits]\nconnections_per_user = 0"),
        "campanile.toml:2:1: `limits.connections_per_user` is 0; it is at least 1",
    );
    check(Site::new("[limits]\ndrain_ms = -1"), "campanile.toml:2:1: `limits.drain_ms` is -1; it is at least 0");
    check(
        Site::new("").flag("limits.body_bytes", "999999999999"),
        "the flag --set limits.body_bytes: `limits.body_bytes` is 999999999999; it is at most 1073741824",
    );
}

#[test]
fn every_mistake_of_every_layer_is_told_at_once() {
    let site = Site::new("lissen = 1").variable("CAMPANILE_LOG__JSON", "1").flag("limits.pong_ms", "1");
    assert_eq!(site.told().lines().count(), 3, "{}", site.told());
}

#[test]
fn a_secret_comes_from_a_file_too_and_files_lie_beside_the_configuration() {
    let site = Site::new("[[auth.key]]\nalgorithm = 'ES256'\npem_file = 'keys/a.pem'").file("secret", "of the file\n");
    let secret = site.folder.path().join("secret").display().to_string();
    let site = site.variable("CAMPANILE_AUTH__HS256_SECRET_FILE", &secret);
    let loaded = site.load();
    assert_eq!(loaded.config.auth.hs256_secret.as_deref(), Some("of the file"));
    let pem = site.folder.path().join("keys/a.pem").display().to_string();
    let settings = loaded.settings();
    let keys = settings.iter().find(|setting| setting.path == "auth.key").unwrap();
    assert!(keys.value.as_ref().unwrap().to_string().contains(&pem));
    let twice = site.variable("CAMPANILE_AUTH__HS256_SECRET", "x");
    assert!(twice.told().contains("CAMPANILE_AUTH__HS256_SECRET is given as well; give one of the two"), "{}", twice.told());
    check(
        Site::new("").variable("CAMPANILE_STORE_FILE", "/nowhere/at/all"),
        "the variable CAMPANILE_STORE_FILE: the file that it names cannot be read: No such file or directory (os error 2)",
    );
}

/// What must not be shown, wherever it stands.
const SECRET: &str = "pa55w0rd-of-somebody";

#[test]
fn secrets_are_shown_neither_among_the_settings_nor_in_any_mistake() {
    let good = Site::new(&format!(
        "store = 'postgres://campanile:{SECRET}@db.example/school?password={SECRET}'\n[auth]\nhs256_secret = '{SECRET}'\n\
         [[auth.key]]\nalgorithm = 'HS256'\nsecret = '{SECRET}'\n[[api_key]]\nname = 'a'\nkey = '{SECRET}'\nscopes = ['publish']"
    ));
    let settings = good.load().settings();
    let shown: String = settings.iter().map(|setting| format!("{}={:?}\n", setting.path, setting.value)).collect();
    assert!(!shown.contains(SECRET), "{shown}");
    assert_eq!(shown.matches("[set]").count(), 3, "{shown}");
    assert!(shown.contains("postgres://…@db.example/school"), "{shown}");
    let bad = [
        Site::new(&format!("[auth]\nhs256_secret = '{SECRET}")),
        Site::new(&format!("[auth]\nhs256_secret = ['{SECRET}']")),
        Site::new(&format!("[[api_key]]\nname = 'a'\nkey = '{SECRET}'\nscopes = '{SECRET}'")),
        Site::new(&format!("listen = '{SECRET}'\n[limits]\nbody_bytes = '{SECRET}'")),
        Site::new("").variable("CAMPANILE_API_KEY", &format!("[{{ key = '{SECRET}'")),
        Site::new("").variable("CAMPANILE_AUTH__HS256_SECRETS", SECRET),
        Site::new("").flag("auth.hs256_secre", SECRET),
        Site::new("").flag("listen", SECRET),
    ];
    for site in bad {
        assert!(!site.told().is_empty() && !site.told().contains(SECRET), "{}", site.told());
    }
}

#[test]
fn variables_of_others_and_empty_ones_are_left_alone() {
    let site = Site::new("")
        .variable("CAMPANILE_PORT", "tcp://10.0.0.7:8000")
        .variable("CAMPANILE_SERVICE_HOST", "10.0.0.7")
        .variable("CAMPANILE_TEST_POSTGRES", "postgres://x")
        .variable("CAMPANILE_KEY", "ck_x")
        .variable("CAMPANILE_STORE", "")
        .variable("PATH", "/bin");
    assert_eq!(site.load().config.store, "sqlite://campanile.db");
}

#[test]
fn a_reload_changes_what_may_change_and_names_what_waits_for_a_restart() {
    let old = Site::new("store = 'sqlite://a.db'\n[limits]\nbody_bytes = 1000\ntail_bytes = 1\nauth_ms = 5000").load();
    let site = Site::new("listen = '127.0.0.1:7001'\n[auth]\nissuer = 'x'\n[limits]\nbody_bytes = 2000")
        .variable("CAMPANILE_LOG__LEVEL", "debug");
    let next = site.load();
    let change = |path: &str, reloads| Change { path: path.into(), reloads };
    let expected = [
        ("listen", false),
        ("store", false),
        ("auth.issuer", true),
        ("limits.body_bytes", true),
        ("limits.tail_bytes", false),
        ("log.level", true),
    ];
    assert_eq!(old.changes(&next), expected.map(|(path, reloads)| change(path, reloads)));
    let in_force = old.reloaded_as(&next).unwrap();
    assert_eq!(in_force.config.store, "sqlite://a.db");
    assert_eq!(in_force.config.listen.port(), 8000);
    assert_eq!((in_force.config.limits.body_bytes, in_force.config.limits.tail_bytes), (2_000, 1));
    assert_eq!(in_force.config.auth.issuer.as_deref(), Some("x"));
    let with_tls = Site::new("[tls]\ncertificate_file = 'a.pem'\nkey_file = 'b.pem'").load();
    assert!(old.reloaded_as(&with_tls).unwrap().config.tls.is_none());
    assert!(with_tls.reloaded_as(&old).unwrap().config.tls.is_some());
    // What waits for a restart is told again by the next reload.
    let waiting = [change("listen", false), change("store", false), change("limits.tail_bytes", false)];
    assert_eq!(in_force.changes(&next), waiting);
}

#[test]
fn every_key_is_described_and_every_limit_has_a_range() {
    for key in keys() {
        assert!(!key.node.description().is_empty(), "{} has no doc comment", key.path());
        let is_number = matches!(key.node.kind(), Kind::Whole | Kind::Number);
        assert!(!is_number || key.node.range().1.is_some(), "{} has no range", key.path());
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(file: &str) -> String {
    std::fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

#[test]
fn the_reference_and_the_examples_are_what_the_description_says() {
    let written = [
        ("docs/configuration.md", "reference", reference::markdown()),
        (".env.example", "env", reference::env_example()),
        ("campanile.example.toml", "example", reference::toml_example()),
    ];
    for (file, command, text) in written {
        // `CAMPANILE_WRITE_DOCS=1` writes the files instead of comparing them.
        if std::env::var_os("CAMPANILE_WRITE_DOCS").is_some() {
            std::fs::write(root().join(file), &text).unwrap();
        }
        assert!(read(file) == text, "run this test with CAMPANILE_WRITE_DOCS=1, or: campanile config {command} > {file}");
    }
}

#[test]
fn the_examples_can_be_read_as_they_stand_and_with_everything_in_them() {
    let example = reference::toml_example();
    Site::new(&example).load();
    let bare = |line: &str| line.strip_prefix('#').filter(|line| !line.starts_with(' ')).map(str::to_owned);
    let all: String = example.lines().map(|line| bare(line).unwrap_or_else(|| line.to_owned()) + "\n").collect();
    assert_eq!(Site::new(&all).told(), "");
    let env = reference::env_example();
    let assignments = env
        .lines()
        .filter_map(bare)
        .filter_map(|line| line.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())));
    let site = assignments.fold(Site::new(""), |site, (name, value)| site.variable(&name, value.trim_matches('\'')));
    assert!(site.given.variables.len() > 25);
    assert_eq!(site.told(), "");
    let readme = read("README.md");
    let (_, shown) = readme.split_once("```toml\n").unwrap();
    Site::new(shown.split("```").next().unwrap()).load();
    Site::new(&read("deploy/campanile.toml")).load();
}

#[test]
fn the_page_of_limits_names_every_key_with_its_default() {
    let page = read("docs/limits.md");
    for key in keys().iter().filter(|key| key.names[0] == "limits" && key.names.len() == 2) {
        let name = format!("`{}`", key.names[1]);
        let line = page.lines().find(|line| line.starts_with('|') && line.contains(&name));
        let line = line.unwrap_or_else(|| panic!("docs/limits.md does not name {name}"));
        let default = key.node.default().unwrap();
        let spelled = reference::spelled(&key.names[1], default).unwrap_or_else(|| default.to_string());
        let cell = line.split('|').nth(2).unwrap();
        assert!(cell.contains(&spelled), "docs/limits.md says {cell:?} for {name}, whose default is {spelled}");
    }
}
