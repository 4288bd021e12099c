//! `campanile doctor`: the questions one asks when nothing arrives, answered one by one.

mod configuration;
mod resources;
mod server;
mod store;

use super::credential;
use super::duration;
use super::finding::{Finding, Findings};
use super::remote::{Place, Reader};
use super::token::now_ms;
use crate::app::open_site;
use crate::auth::{Claims, SecretRule};
use crate::config::Config;
use anyhow::Result;
use campanile_contract::Site;
use campanile_wire::Id;
use clap::Args;
use std::time::Duration;

/// Looks for what is wrong, and says what to do about it.
///
/// Answers what one asks when a connection fails, events do not arrive or streams drop: is the token valid, the person approved, the origin
/// allowed, the store up, are producers wired, rows processed, workers alive? Looks at the configuration, the store and the running server.
/// It changes nothing, but opens the store as a server does (which brings its tables up to date).
#[derive(Args)]
#[command(after_help = "Examples:
  campanile doctor
  campanile doctor --token @token.txt --origin https://lms.example
  campanile doctor --dev --user-id 1
  campanile doctor --json | jq '.checks[] | select(.verdict != \"ok\")'

Exit status: 0 without problems (warnings do not count), 1 with one.")]
pub struct Doctor {
    #[command(flatten)]
    reader: Reader,
    /// The API key whose scopes and metrics are looked at; `@file` reads a file, `-` standard input.
    #[arg(long, env = "CAMPANILE_KEY", hide_env_values = true)]
    key: Option<String>,
    /// A page's origin, as the browser sends it: https://lms.example.
    #[arg(long)]
    origin: Option<String>,
    /// How long no event may come before that is a warning.
    #[arg(long, value_name = "DURATION", default_value = "15m", value_parser = duration::parse)]
    quiet_after: Duration,
    /// Prints one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

/// What the checks share.
struct Patient {
    config: Config,
    rule: SecretRule,
    base: String,
    token: Option<String>,
    key: Option<String>,
    /// Whom the token speaks for, once it was found valid.
    claims: Option<Claims>,
    /// Who was asked about, or whom the token speaks for.
    person: Option<Id>,
}

impl Doctor {
    pub(super) async fn run(self) -> Result<()> {
        let mut findings = Findings::new(self.json);
        let Some(mut patient) = self.admit(&mut findings)? else { return findings.finish() };
        findings.add_all(configuration::look(&patient))?;
        let server = self.place.server()?;
        let is_up = server::answers(&server, &mut findings).await?;
        let (finding, claims) = configuration::token(&patient);
        patient.person = patient.person.or_else(|| claims.as_ref().map(|claims| claims.user.clone()));
        patient.claims = claims;
        findings.add(finding)?;
        let site = self.open(&patient, &mut findings).await?;
        findings.add(store::approved(&patient, site.as_ref(), is_up.then_some(&server)).await)?;
        findings.add(configuration::origin(&patient, self.origin.as_deref()))?;
        if let Some(site) = &site {
            findings.add(resources::disk(&patient.config))?;
            let metrics = server::metrics(&server, &patient, is_up).await;
            findings.add(store::backplane(site, metrics.as_ref().ok(), is_up).await)?;
            findings.add(store::producers(&patient))?;
            findings.add(store::events_lately(site, self.quiet_after).await)?;
            findings.add(store::sync_events(site).await)?;
            findings.add_all(store::workers(site, now_ms()).await)?;
            findings.add(server::stream(&server, &patient, is_up).await)?;
            findings.add_all(resources::server(metrics))?;
        } else {
            findings.add(server::stream(&server, &patient, is_up).await)?;
            findings.add_all(resources::server(server::metrics(&server, &patient, is_up).await))?;
        }
        findings.add(server::clock(&server, is_up).await)?;
        findings.finish()
    }

    /// Reads what the checks share; none when there is no configuration to begin with.
    fn admit(&self, findings: &mut Findings) -> Result<Option<Patient>> {
        let name = self
            .place
            .source
            .file()
            .map_or("no campanile.toml here, so the defaults".into(), |path| path.display().to_string());
        let config = match credential::config_of(&self.place.source, self.place.dev) {
            Ok(config) => config,
            Err(error) => {
                let advice = "mend it; everything else depends on it (--config names another file)";
                findings.add(Finding::problem("configuration", format!("{error:#}"), advice))?;
                return Ok(None);
            }
        };
        findings.add(Finding::ok("configuration", format!("readable: {name}")))?;
        let token = match (&self.reader.token, &self.reader.user_id) {
            (_, Some(_)) => self.place.tokens(&self.reader).and_then(|tokens| tokens.token()).ok(),
            (Some(given), None) => Some(credential::read(given)?),
            (None, None) => None,
        };
        let key = match &self.key {
            Some(given) => Some(credential::read(given)?),
            None if self.place.dev => Some(credential::dev_keys(&config)?.api_key().to_owned()),
            None => None,
        };
        let rule = if self.place.dev { SecretRule::AnyForDev } else { SecretRule::Strong };
        let base = self.place.base()?;
        Ok(Some(Patient { config, rule, base, token, key, claims: None, person: self.reader.user_id.clone() }))
    }

    async fn open(&self, patient: &Patient, findings: &mut Findings) -> Result<Option<Site>> {
        let store = crate::app::without_password(&patient.config.store);
        if let Some(path) = crate::app::sqlite_path(&patient.config.store)
            && !path.exists()
        {
            let advice = "`campanile serve` makes it; or --store or --config names another one";
            findings.add(Finding::problem("store", format!("there is no database at {}", path.display()), advice))?;
            return Ok(None);
        }
        match open_site(&patient.config).await {
            Ok(site) => {
                let found = format!("{store} answers, and what it acknowledges is flushed to the disk (checked settings)");
                findings.add(Finding::ok("store", found))?;
                Ok(Some(site))
            }
            Err(error) => {
                let advice = "start it, or mend what it says; until then nothing can be published or read";
                findings.add(Finding::problem("store", format!("{error:#}"), advice))?;
                Ok(None)
            }
        }
    }
}

#[cfg(test)]
mod tests;
