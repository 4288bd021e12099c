//! The demo school of `--dev`: keys of its own, a course, a few people, and lines to paste.

use crate::app::App;
use crate::config::{ApiKeyEntry, Config};
use anyhow::{Context, Result};
use campanile_contract::bench::service;
use campanile_wire::instant;
use jsonwebtoken::{EncodingKey, Header};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::io::Write;
use std::path::PathBuf;

/// A token of the demo lives a day.
const TOKEN_S: i64 = 86_400;

/// The keys of a development server, kept beside its database so that a restart keeps its tokens valid.
#[derive(Serialize, Deserialize)]
pub(crate) struct DevKeys {
    hs256_secret: String,
    api_key: String,
}

impl DevKeys {
    /// Reads the keys of a development server that has run here.
    pub(crate) fn existing(config: &Config) -> Result<Option<Self>> {
        let path = keys_path(config);
        let Ok(text) = std::fs::read_to_string(&path) else { return Ok(None) };
        serde_json::from_str(&text).map(Some).with_context(|| format!("in {}", path.display()))
    }

    /// The API key, which may do everything.
    pub(crate) fn api_key(&self) -> &str {
        &self.api_key
    }

    /// Reads the keys, or makes them.
    pub(crate) fn load(config: &Config) -> Result<Self> {
        if let Some(keys) = Self::existing(config)? {
            return Ok(keys);
        }
        let path = keys_path(config);
        let random = || format!("{:032x}{:032x}", rand::random::<u128>(), rand::random::<u128>());
        let keys = Self { hs256_secret: random(), api_key: format!("ck_{}", random()) };
        let mut options = std::fs::OpenOptions::new();
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file =
            options.write(true).create_new(true).open(&path).with_context(|| format!("writing {}", path.display()))?;
        file.write_all(serde_json::to_string_pretty(&keys)?.as_bytes())?;
        Ok(keys)
    }

    /// Adds the keys to a configuration that names none.
    pub(crate) fn add_to(&self, config: &mut Config) {
        if config.auth.hs256_secret.is_none() && config.auth.key.is_empty() {
            config.auth.hs256_secret = Some(self.hs256_secret.clone());
        }
        if config.api_key.is_empty() {
            let scopes = ["publish", "roster", "grading", "notifications", "metrics", "admin"].map(str::to_owned).to_vec();
            config.api_key.push(ApiKeyEntry::plain("demo", &self.api_key, scopes));
        }
    }
}

/// Where the keys lie: beside the database, or in this folder for a store elsewhere.
pub(crate) fn keys_path(config: &Config) -> PathBuf {
    let database = config.store.strip_prefix("sqlite://").map(|path| path.split('?').next().unwrap_or(path));
    PathBuf::from(format!("{}.dev-keys", database.unwrap_or("campanile")))
}

/// The school. Saving it again changes nothing.
pub(crate) async fn seed(app: &App) -> Result<()> {
    let rows = json!({
        "courses": [{ "course_id": 7, "title": "Bell founding" }, { "course_id": 8, "title": "Campanology" }],
        "people": [
            { "person_id": 1, "name": "Ada", "role": "student" },
            { "person_id": 2, "name": "Ben", "role": "student" },
            { "person_id": 3, "name": "Cleo", "role": "admin" },
        ],
        "registrations": [
            { "course_id": 7, "person_id": 1 }, { "course_id": 7, "person_id": 2 }, { "course_id": 8, "person_id": 1 },
        ],
    });
    let command = *app.site.registry.command("import_roster").map_err(|refusal| anyhow::anyhow!("{refusal}"))?;
    app.site.command(&service(&["roster"]), &command, rows, None).await.context("saving the demo school")?;
    Ok(())
}

/// A person's token, for a day.
pub(crate) fn token(hs256_secret: &str, user: i64) -> Result<String> {
    let expires_at_s = now_ms() / 1_000 + TOKEN_S;
    let claims = json!({ "user_id": user, "role": "student", "token_type": "access", "exp": expires_at_s });
    Ok(jsonwebtoken::encode(&Header::default(), &claims, &EncodingKey::from_secret(hs256_secret.as_bytes()))?)
}

/// What to paste into a terminal.
pub(crate) fn lines(keys: &DevKeys, address: std::net::SocketAddr) -> Result<String> {
    let expires_at_ms = now_ms() + TOKEN_S * 1_000;
    let token = token(&keys.hs256_secret, 1)?;
    let key = &keys.api_key;
    Ok(format!(
        "Campanile rings at http://{address}, and http://{address}/debug shows what it does\n\
         \n\
         Ada (user 1, course 7) has this token until {until}:\n  {token}\n\
         \n\
         Listen over WebSocket:\n  wscat -c 'ws://{address}/ws?token={token}'\n\
         Listen over SSE:\n  curl -N -H 'Authorization: Bearer {token}' 'http://{address}/api/events'\n\
         Poll, from the beginning:\n  curl -H 'Authorization: Bearer {token}' 'http://{address}/api/poll?since=0&wait=20'\n\
         \n\
         Publish to course 7 (in another terminal):\n  curl -X POST 'http://{address}/api/events' -H 'Authorization: Bearer {key}' \\\n    \
         -d '{{\"type\":\"announcement\",\"channel\":\"course:7\",\"data\":{{\"title\":\"Hello\",\"body\":\"The bell rings\"}}}}'\n",
        until = instant::format(expires_at_ms),
    ))
}

fn now_ms() -> i64 {
    campanile_journal::Clock::now_ms(&campanile_journal::SystemClock)
}
