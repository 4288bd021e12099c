//! `campanile token`: a JWT for a person, signed as the platform would sign it.

use super::credential::config_of;
use super::{Source, duration, terminal};
use crate::auth::SecretRule;
use crate::config::Config;
use anyhow::{Context, Result, bail};
use campanile_wire::{Id, instant};
use clap::Args;
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// Makes a token for a person, signed with the configuration's own secret.
///
/// That is `auth.hs256_secret`, or a `[[auth.key]]` with a secret; with --dev it is the key that a development server keeps beside its
/// database. Prints the token and nothing else.
#[derive(Args)]
#[command(after_help = "Examples:
  campanile token --user-id 1
  campanile token --user-id 12 --role cadet --cadet-id 9 --expires-in 15m
  campanile token --dev --user-id 1 --json
  curl -N -H \"Authorization: Bearer $(campanile token --user-id 1)\" http://127.0.0.1:8000/api/events")]
pub struct Token {
    /// The person: a number, or any text of at most 128 bytes.
    #[arg(long, value_name = "ID", value_parser = id)]
    user_id: Id,
    /// The role that the token names; the roster's role wins over it.
    #[arg(long)]
    role: Option<String>,
    /// The cadet that the person is.
    #[arg(long, value_name = "ID", value_parser = id)]
    cadet_id: Option<Id>,
    /// How long it is valid: 90s, 15m, 1h, 7d.
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = duration::parse)]
    expires_in: Duration,
    /// Says `is_approved: false`, to see how somebody who is not approved is refused.
    #[arg(long)]
    not_approved: bool,
    /// A further claim, `name=value`; a value that is JSON is taken as JSON. It wins over the claims above.
    #[arg(long = "claim", value_name = "NAME=VALUE", value_parser = claim)]
    claims: Vec<(String, Value)>,
    /// Prints one JSON object with `token`, `claims` and `expires_at`.
    #[arg(long)]
    json: bool,
    /// Signs with the keys of the `--dev` server of this folder (or of --store).
    #[arg(long)]
    dev: bool,
    #[command(flatten)]
    source: Source,
}

/// What a token is to say.
pub(super) struct Wish {
    pub(super) user_id: Id,
    pub(super) role: Option<String>,
    pub(super) cadet_id: Option<Id>,
    pub(super) expires_in: Duration,
    pub(super) further: Map<String, Value>,
}

impl Token {
    pub(super) fn run(self) -> Result<()> {
        let config = config_of(&self.source, self.dev)?;
        let mut further: Map<String, Value> = self.claims.into_iter().collect();
        if self.not_approved {
            further.entry("is_approved").or_insert(Value::Bool(false));
        }
        let Self { user_id, role, cadet_id, expires_in, .. } = self;
        let now_ms = now_ms();
        let (token, claims) = sign(&config, Wish { user_id, role, cadet_id, expires_in, further }, now_ms)?;
        if let Some(reason) = refusal(&config, self.dev, &token, now_ms) {
            terminal::say(&format!("campanile: note: a server with this configuration refuses this token: {reason}"));
        }
        if !self.json {
            return terminal::out(&token);
        }
        let expires_at = claims["exp"].as_i64().map(|seconds| instant::format(seconds.saturating_mul(1_000)));
        terminal::out(&json!({ "token": token, "claims": claims, "expires_at": expires_at }).to_string())
    }
}

/// Signs a token; answers it and its claims.
pub(super) fn sign(config: &Config, wish: Wish, now_ms: i64) -> Result<(String, Map<String, Value>)> {
    let Some((secret, kid)) = config.auth.signing_secret() else {
        if config.auth.key.is_empty() {
            bail!(
                "the configuration has no signing secret: set auth.hs256_secret in campanile.toml, name the file with --config, \
                 or use --dev beside a development server"
            );
        }
        bail!(
            "the configuration has only public keys, which verify tokens but cannot sign them: ask your identity provider for one"
        );
    };
    let now_s = now_ms / 1_000;
    let expires_s = now_s.saturating_add(i64::try_from(wish.expires_in.as_secs()).unwrap_or(i64::MAX));
    let mut claims = Map::new();
    claims.insert("user_id".into(), wish.user_id.to_json());
    claims.insert("token_type".into(), "access".into());
    claims.insert("iat".into(), now_s.into());
    claims.insert("exp".into(), expires_s.into());
    claims.insert("jti".into(), format!("{:032x}", rand::random::<u128>()).into());
    let named = [
        ("role", wish.role.map(Value::from)),
        ("cadet_id", wish.cadet_id.map(|cadet| cadet.to_json())),
        ("iss", config.auth.issuer.clone().map(Value::from)),
        ("aud", config.auth.audience.clone().map(Value::from)),
    ];
    claims.extend(named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    claims.extend(wish.further);
    let header = Header { kid: kid.map(str::to_owned), ..Header::default() };
    let token = jsonwebtoken::encode(&header, &claims, &EncodingKey::from_secret(secret.as_bytes())).context("signing")?;
    Ok((token, claims))
}

/// Why a server with this configuration would refuse the token.
fn refusal(config: &Config, dev: bool, token: &str, now_ms: i64) -> Option<String> {
    let rule = if dev { SecretRule::AnyForDev } else { SecretRule::Strong };
    match config.verifier(rule) {
        Ok(None) => Some("no configured key judges tokens: others do".into()),
        Ok(Some(verifier)) => verifier.verify(token, now_ms).err().map(|error| error.reason().to_owned()),
        Err(error) => Some(format!("{error:#}")),
    }
}

/// An id from an argument: what looks like a number is one.
pub(super) fn id(text: &str) -> Result<Id, String> {
    let number = serde_json::from_str::<Value>(text).ok().filter(Value::is_number).and_then(|value| Id::from_json(&value));
    number.map_or_else(|| Id::new(text).map_err(|error| error.to_string()), Ok)
}

fn claim(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or("a claim is name=value")?;
    Ok((name.to_owned(), serde_json::from_str(value).unwrap_or_else(|_| Value::from(value))))
}

/// The present instant, in unix milliseconds.
pub(super) fn now_ms() -> i64 {
    campanile_journal::Clock::now_ms(&campanile_journal::SystemClock)
}

#[cfg(test)]
mod tests {
    use super::{Wish, claim, id, refusal, sign};
    use crate::config::Config;
    use campanile_wire::Id;
    use serde_json::{Map, json};
    use std::time::Duration;

    const NOW_MS: i64 = 1_767_225_600_000;

    fn config(text: &str) -> Config {
        toml::from_str(text).unwrap()
    }

    fn wish() -> Wish {
        let (role, cadet_id) = (Some("cadet".into()), Some(Id::from(9)));
        Wish { user_id: Id::from(1), role, cadet_id, expires_in: Duration::from_secs(3_600), further: Map::new() }
    }

    const STRONG: &str = "hs256_secret = 'c0f1d9a65be27384e0915d3fa2b6784c1e9d70f35a8b2c46'";

    #[test]
    fn a_token_is_accepted_by_the_configuration_that_signed_it() {
        let config = config(&format!("[auth]\n{STRONG}\nissuer = 'campus'\naudience = 'rt'\n"));
        let (token, claims) = sign(&config, wish(), NOW_MS).unwrap();
        assert_eq!((&claims["user_id"], &claims["cadet_id"], &claims["aud"]), (&json!(1), &json!(9), &json!("rt")));
        assert_eq!(refusal(&config, false, &token, NOW_MS), None);
        assert_eq!(refusal(&config, false, &token, NOW_MS + 3_700_000).as_deref(), Some("exp is past"));
    }

    #[test]
    fn a_configuration_without_a_secret_says_what_it_lacks() {
        let none = sign(&Config::default(), wish(), NOW_MS).unwrap_err().to_string();
        assert!(none.contains("auth.hs256_secret"), "{none}");
        let public = config("[[auth.key]]\nalgorithm = 'RS256'\npem_file = 'public.pem'\n");
        let told = sign(&public, wish(), NOW_MS).unwrap_err().to_string();
        assert!(told.contains("only public keys"), "{told}");
    }

    #[test]
    fn ids_that_look_like_numbers_are_numbers() {
        let spelled = ["7", "07", "ada", "1.5", "1e3"].map(|text| id(text).unwrap().to_json());
        assert_eq!(spelled, [json!(7), json!("07"), json!("ada"), json!("1.5"), json!("1e3")]);
        assert!(id("").is_err());
    }

    #[test]
    fn a_claim_is_json_where_it_can_be() {
        assert_eq!(claim("a=1"), Ok(("a".into(), json!(1))));
        assert_eq!(claim("a=b=c"), Ok(("a".into(), json!("b=c"))));
        assert!(claim("a").is_err() && claim("=1").is_err());
    }
}
