//! `campanile check-config`: reads the configuration as `serve` would, and says everything that is wrong with it.

use super::Source;
use crate::app::{self, without_password};
use crate::auth::SecretRule;
use crate::certificate::Certificate;
use crate::config::{Config, Setting};
use crate::issuer::Issuers;
use crate::log;
use anyhow::Result;
use campanile_journal::{Clock, Probed, SystemClock, probe};
use clap::Args;
use serde_json::{Value, json};
use std::process::ExitCode;
use std::sync::Arc;

/// Reads the configuration as `serve` would and says what is wrong with it.
///
/// Reads every layer, judges keys, secrets, origins, event types and their schemas, looks at the store without changing it, and
/// prints the configuration in force with where each value comes from. Secrets are never printed. Exits with 1 if `serve` would not start.
#[derive(Args)]
#[command(after_help = "Examples:
  campanile check-config
  campanile check-config --offline --json | jq .settings")]
pub struct CheckConfig {
    #[command(flatten)]
    source: Source,
    /// Address and port, as `serve` takes it.
    #[arg(long)]
    listen: Option<String>,
    /// Does not look at the store.
    #[arg(long)]
    offline: bool,
    /// Prints one JSON object: ok, errors, warnings, store, settings.
    #[arg(long)]
    json: bool,
}

/// What was found.
#[derive(Default)]
struct Findings {
    errors: Vec<String>,
    warnings: Vec<String>,
    store: Option<String>,
    settings: Vec<Setting>,
}

impl CheckConfig {
    pub(super) async fn run(self) -> Result<ExitCode> {
        let findings = self.findings().await;
        let text = if self.json { format!("{:#}\n", findings.json()) } else { findings.text() };
        print(&text);
        Ok(if findings.errors.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    async fn findings(&self) -> Findings {
        let mut findings = Findings::default();
        let loaded = match self.source.given(self.listen.as_ref()).load() {
            Ok(loaded) => loaded,
            Err(faults) => {
                findings.errors = faults.0.iter().map(ToString::to_string).collect();
                return findings;
            }
        };
        findings.settings = loaded.settings();
        findings.judge(&loaded.config);
        if !self.offline {
            findings.look_at_store(&loaded.config).await;
        }
        findings
    }
}

impl Findings {
    fn judge(&mut self, config: &Config) {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let judged = [
            config.verifier(SecretRule::Strong).map(drop),
            Issuers::new(config.auth.issuers(), &clock).map(drop),
            config.auth.introspection(&clock).map(drop),
            config.api_keys(SecretRule::Strong).map(drop),
            config.origins().map(drop),
            app::registry(config).map(drop),
            app::judge_routes(config),
            config.check_bind(),
            config.proxies().map(drop),
            config.sync_sources().map(drop),
            config.tls.as_ref().map(Certificate::load).transpose().map(drop),
            log::check(&config.log),
        ];
        self.errors.extend(judged.into_iter().filter_map(Result::err).map(|error| format!("{error:#}")));
        if !["sqlite:", "postgres:", "postgresql:"].iter().any(|scheme| config.store.starts_with(scheme)) {
            self.errors.push("store is sqlite://path/to.db or postgres://user@host/database".into());
        }
        let mut warn = |is_so: bool, sentence: &str| {
            if is_so {
                self.warnings.push(sentence.into());
            }
        };
        warn(config.allowed_origins.is_empty(), "allowed_origins is empty: no page of another origin can connect");
        warn(config.api_key.is_empty(), "there is no [[api_key]]: no service can publish");
        let plain = config.api_key.iter().any(crate::config::ApiKeyEntry::holds_key);
        warn(plain, "an [[api_key]] holds the key itself; give key_sha256, and the file tells nobody how to sign in");
        warn(config.insecure_public_bind, "insecure_public_bind is on: without TLS everybody on the way reads the tokens");
        warn(
            config.limits.pong_ms + config.limits.heartbeat_ms > NOTICE_MS,
            "limits.heartbeat_ms and pong_ms: a connection that is gone is noticed only after more than two minutes",
        );
    }

    async fn look_at_store(&mut self, config: &Config) {
        let Ok(registry) = app::registry(config) else { return };
        match probe(&config.store, registry.migrations(), &config.limits.journal()).await {
            Ok(Probed::Absent) => self.store = Some("not there yet; the first start makes it".into()),
            Ok(Probed::Empty) => self.store = Some("empty; the first start makes its tables".into()),
            Ok(Probed::Log(head)) => self.store = Some(format!("a log with {head} as its last id")),
            Err(error) => self.errors.push(format!("the store {}: {error}", without_password(&config.store))),
        }
    }

    fn json(&self) -> Value {
        let setting = |setting: &Setting| {
            let from = setting.place.as_ref().map_or("default", crate::config::Place::layer);
            let place = setting.place.as_ref().map(ToString::to_string);
            json!({ "key": setting.path, "value": setting.value, "from": from, "place": place })
        };
        json!({
            "ok": self.errors.is_empty(),
            "errors": self.errors,
            "warnings": self.warnings,
            "store": self.store,
            "settings": self.settings.iter().map(setting).collect::<Vec<_>>(),
        })
    }

    fn text(&self) -> String {
        let mut lines = Vec::new();
        for Setting { path, value, place } in &self.settings {
            let value = value.as_ref().map_or_else(|| "–".to_owned(), ToString::to_string);
            let from = place.as_ref().map_or_else(|| "default".to_owned(), ToString::to_string);
            lines.push(format!("{path} = {value}  ({from})"));
        }
        lines.extend(self.store.iter().map(|store| format!("store: {store}")));
        lines.extend(self.warnings.iter().map(|warning| format!("warning: {warning}")));
        lines.extend(self.errors.iter().map(|error| format!("error: {error}")));
        lines.push(match self.errors.len() {
            0 => "the configuration is good".into(),
            count => format!("serve would not start: {count} to mend"),
        });
        lines.join("\n") + "\n"
    }
}

/// Longer than this, a dead connection keeps its place for so long that its owner notices.
const NOTICE_MS: u64 = 120_000;

#[allow(clippy::print_stdout, reason = "the operator reads it")]
fn print(text: &str) {
    print!("{text}");
}
