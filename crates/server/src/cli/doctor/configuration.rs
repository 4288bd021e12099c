//! What the configuration alone can answer: secrets, the token, the origin.

use super::Patient;
use crate::auth::{Carried, Claims, TokenError};
use crate::cli::duration;
use crate::cli::finding::Finding;
use crate::cli::token::now_ms;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;
use std::time::Duration;

/// A token that ends so soon is a warning: who debugs with it will meet its end.
const ENDS_SOON_MS: i64 = 60_000;

/// Keys and secrets.
pub(super) fn look(patient: &Patient) -> Vec<Finding> {
    let tokens = match patient.config.verifier(patient.rule) {
        Ok(_) => Finding::ok("token keys", "usable and strong enough"),
        Err(error) => {
            let advice = "the server does not start like this; a good secret: openssl rand -hex 32. The platform must sign with the same one";
            Finding::problem("token keys", format!("{error:#}"), advice)
        }
    };
    let keys = match patient.config.api_keys(patient.rule) {
        Ok(_) => Finding::ok("API keys", format!("{} configured", patient.config.api_key.len())),
        Err(error) => {
            Finding::problem("API keys", format!("{error:#}"), "mend the [[api_key]]; the server does not start like this")
        }
    };
    vec![tokens, keys]
}

/// Is the token valid and not expired? Says which check fails.
pub(super) fn token(patient: &Patient) -> (Finding, Option<Claims>) {
    let Some(token) = &patient.token else {
        let advice = "give --token @file, or --user-id 1 where the configuration can sign one";
        return (Finding::cannot_tell("token", "none was given", advice), None);
    };
    let Ok(Some(verifier)) = patient.config.verifier(patient.rule) else {
        return (Finding::cannot_tell("token", "there are no keys to hold it against", "mend the token keys first"), None);
    };
    let now_ms = now_ms();
    let since = |ms: i64| duration::spelled(Duration::from_millis(ms.unsigned_abs()));
    match verifier.verify(token, now_ms) {
        Ok(claims) => {
            let left_ms = claims.expires_at_ms - now_ms;
            let role = claims.role.as_deref().map(|role| format!(" with role {role}")).unwrap_or_default();
            let found = format!("valid: speaks for {}{role}, for another {}", claims.user, since(left_ms));
            let finding = match left_ms < ENDS_SOON_MS {
                true => Finding::warning("token", found, "it ends soon: clients must refresh in time ({\"type\":\"refresh\"})"),
                false => Finding::ok("token", found),
            };
            (finding, Some(claims))
        }
        Err(TokenError::Expired) => {
            let ago = expiry_ms(token).map(|exp_ms| format!(", {} ago", since(now_ms - exp_ms))).unwrap_or_default();
            let leeway_s = verifier.leeway_ms() / 1_000;
            let found = format!("expired{ago}; signature and everything else are right (the leeway is {leeway_s} s)");
            (Finding::problem("token", found, "get a fresh one. If it is fresh, the clocks of issuer and server differ"), None)
        }
        Err(TokenError::NotApproved) => (
            Finding::problem(
                "token",
                "refused: it says is_approved: false",
                "approve the person on the platform, then get a fresh one",
            ),
            None,
        ),
        Err(TokenError::Invalid(reason)) => (Finding::problem("token", format!("refused: {reason}"), advice(reason)), None),
    }
}

/// What to do about each reason that a verifier gives.
fn advice(reason: &str) -> &'static str {
    let known = [
        (
            "signature",
            "issuer and server have different keys: compare auth.hs256_secret with the platform's signing key, sign by sign",
        ),
        ("algorithm", "the token is signed by another algorithm than the configured keys: add the issuer's as an [[auth.key]]"),
        ("iss", "auth.issuer must be what the token's iss says"),
        ("no audience", "set auth.audience to the token's aud"),
        ("aud", "auth.audience must be the token's aud, or one of them"),
        ("lifetime", "the token lives longer than auth.lifetime_s_max: raise it, or issue shorter ones"),
        ("future", "the issuer's clock is ahead: set both by NTP, or raise auth.leeway_s"),
        ("token_type", "this is a refresh token: send the access token"),
        ("user_id", "the token must name its user in user_id or sub"),
        ("exp", "the token needs exp, in seconds since 1970"),
    ];
    let found = known.iter().find(|(word, _)| reason.contains(word));
    found.map_or("is it the whole token, without quotes and without `Bearer`?", |(_, advice)| advice)
}

/// `exp` of a token whose signature has been verified.
fn expiry_ms(token: &str) -> Option<i64> {
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: Value = serde_json::from_slice(&payload).ok()?;
    Some((claims["exp"].as_f64()? * 1_000.0) as i64)
}

/// May pages of this origin connect?
pub(super) fn origin(patient: &Patient, origin: Option<&str>) -> Finding {
    let listed = patient.config.allowed_origins.len();
    let origins = match patient.config.origins() {
        Ok(origins) => origins,
        Err(error) => {
            return Finding::problem("origin", error.to_string(), "mend allowed_origins; the server does not start like this");
        }
    };
    let Some(origin) = origin else {
        let found = format!("none was asked about; {listed} are allowed, besides the server's own pages");
        return Finding::cannot_tell("origin", found, "give --origin as the browser sends it, such as https://lms.example");
    };
    let host = patient.base.split_once("://").map(|(_, rest)| rest.split('/').next().unwrap_or(rest));
    match origins.allows(Some(origin), host, Carried::Explicitly) {
        true => Finding::ok("origin", format!("{origin} is allowed")),
        false => {
            let advice = format!(
                "add \"{origin}\" to allowed_origins: scheme, host and port must be the same, without a slash at the end"
            );
            Finding::problem("origin", format!("{origin} is not among the {listed} allowed ones"), advice)
        }
    }
}
