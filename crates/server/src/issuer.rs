//! Issuers whose keys are fetched: one request at a time, seldom, and the last good set while nothing comes.

use crate::auth::jwks::{KeyCache, KeySet, Step};
use crate::auth::{Algorithm, Claims, Peeked, TokenRules};
use crate::outbound::{self, Failed, Reach};
use anyhow::{Context, Result, bail};
use campanile_journal::Clock;
use campanile_wire::ErrorCode;
use reqwest::{Client, Url};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// A key set must have come by then.
pub(crate) const FETCH_TIME_MAX: Duration = Duration::from_secs(5);
/// The largest key set that is read.
const KEY_SET_BYTES_MAX: usize = 256 * 1024;

/// What the configuration says about an issuer.
#[derive(Clone, Debug)]
pub struct IssuerConfig {
    /// Tokens with exactly this `iss` are held against its keys, and against no other.
    pub issuer: String,
    /// Where its keys are.
    pub jwks_url: String,
    /// The only algorithms that count.
    pub algorithms: Vec<Algorithm>,
    /// Where the keys may be fetched from.
    pub allow_private_addresses: bool,
    /// A key set must have come by then.
    pub fetch_time_max: Duration,
    /// What else a token has to satisfy.
    pub rules: TokenRules,
}

/// The issuers whose keys are fetched.
#[derive(Clone, Default)]
pub(crate) struct Issuers(Vec<Arc<Issuer>>);

/// One issuer.
struct Issuer {
    config: IssuerConfig,
    url: Url,
    client: Client,
    clock: Arc<dyn Clock>,
    cache: Mutex<KeyCache>,
    /// Held while a fetch runs: who waits for it finds its result.
    flight: tokio::sync::Mutex<()>,
}

impl Issuers {
    pub(crate) fn new(configs: Vec<IssuerConfig>, clock: &Arc<dyn Clock>) -> Result<Self> {
        let mut issuers: Vec<Arc<Issuer>> = Vec::new();
        for config in configs {
            let name = config.issuer.clone();
            if issuers.iter().any(|known| known.config.issuer == name) {
                bail!("auth.jwks {name} is given twice");
            }
            let issuer = Issuer::new(config, Arc::clone(clock)).with_context(|| format!("auth.jwks {name}"))?;
            issuers.push(Arc::new(issuer));
        }
        Ok(Self(issuers))
    }

    /// Whom the token speaks for, when its `iss` is one of these.
    pub(crate) async fn verify(&self, token: &str, peeked: &Peeked) -> Option<Result<Claims, ErrorCode>> {
        let issuer = self.0.iter().find(|issuer| Some(&issuer.config.issuer) == peeked.issuer.as_ref())?;
        Some(issuer.verify(token, peeked.kid.as_deref()).await)
    }
}

impl Issuer {
    fn new(config: IssuerConfig, clock: Arc<dyn Clock>) -> Result<Self> {
        if config.issuer.is_empty() {
            bail!("the issuer is empty");
        }
        if config.algorithms.is_empty() || config.algorithms.iter().any(|algorithm| algorithm.is_symmetric()) {
            bail!("algorithms are one or more of RS256, ES256 and EdDSA: a published key is no secret");
        }
        let url = Url::parse(&config.jwks_url).context("jwks_url")?;
        let reach = if config.allow_private_addresses { Reach::Anywhere } else { Reach::Public };
        let client = outbound::client(&url, reach, config.fetch_time_max).context("jwks_url")?;
        Ok(Self { config, url, client, clock, cache: Mutex::default(), flight: tokio::sync::Mutex::default() })
    }

    fn cache(&self) -> MutexGuard<'_, KeyCache> {
        self.cache.lock().expect("nothing panics while it holds the keys")
    }

    fn step(&self, kid: Option<&str>) -> Step {
        self.cache().step(kid, self.clock.now_ms())
    }

    async fn verify(self: &Arc<Self>, token: &str, kid: Option<&str>) -> Result<Claims, ErrorCode> {
        let mut step = self.step(kid);
        if matches!(step, Step::Fetch) {
            self.renew(kid).await;
            step = self.step(kid);
        }
        let set = match step {
            Step::Judge(set) => set,
            Step::JudgeAndRenew(set) => {
                self.renew_behind();
                set
            }
            Step::Fetch | Step::Unavailable => return Err(ErrorCode::AuthUnavailable),
        };
        set.verify(token, self.clock.now_ms()).map_err(|error| {
            tracing::debug!(reason = error.reason(), "a token was refused");
            error.code()
        })
    }

    /// Fetches the set, unless somebody else just did. In a task of its own: a caller who goes away must not undo that it was tried.
    async fn renew(self: &Arc<Self>, kid: Option<&str>) {
        let (issuer, kid) = (Arc::clone(self), kid.map(str::to_owned));
        let task = tokio::spawn(async move {
            let _flight = issuer.flight.lock().await;
            if matches!(issuer.step(kid.as_deref()), Step::Fetch) {
                issuer.fetch().await;
            }
        });
        // It can only fail by a panic, and then the step that follows says that nobody can judge.
        let _ = task.await;
    }

    /// The same while the old set judges on; whoever finds a fetch under way leaves it alone.
    fn renew_behind(self: &Arc<Self>) {
        let issuer = Arc::clone(self);
        tokio::spawn(async move {
            let Ok(_flight) = issuer.flight.try_lock() else { return };
            if matches!(issuer.step(None), Step::JudgeAndRenew(_)) {
                issuer.fetch().await;
            }
        });
    }

    async fn fetch(&self) {
        let fetched = self.fetch_set().await;
        let now_ms = self.clock.now_ms();
        let mut cache = self.cache();
        match fetched {
            Ok(set) => cache.fetched(set, now_ms),
            Err(failed) => {
                cache.failed(now_ms);
                drop(cache);
                tracing::warn!(issuer = %self.config.issuer, %failed, "the issuer's keys cannot be fetched; the last ones count on");
            }
        }
    }

    async fn fetch_set(&self) -> Result<KeySet, Failed> {
        let response = self.client.get(self.url.clone()).header("accept", "application/json").send().await?;
        let body = outbound::body(response, KEY_SET_BYTES_MAX).await?;
        let text = std::str::from_utf8(&body).map_err(|_| Failed::Content("it is not UTF-8".into()))?;
        KeySet::read(text, &self.config.algorithms, &self.config.rules).map_err(|error| Failed::Content(error.to_string()))
    }
}

#[cfg(test)]
mod tests;
