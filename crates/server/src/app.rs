//! The assembler: knows every part, decides nothing.

use crate::auth::{AllowedOrigins, SecretRule, Source};
use crate::certificate::Certificate;
use crate::config::{Config, Reject};
use crate::gate::{Gate, Rates};
use crate::http::{self, documents::Documents};
use crate::identity::{Identity, Known, TokenPort};
use crate::issuer::Issuers;
use crate::maintenance;
use crate::measures::Measures;
use crate::refusals::Refusals;
use crate::sync::Processor;
use crate::telemetry::Telemetry;
use anyhow::{Context, Result, bail};
use arc_swap::{ArcSwap, Guard};
use campanile_contract::{Registry, Site};
use campanile_journal::{Clock, SystemClock};
use campanile_live::{LiveLimits, Node};
use std::sync::{Arc, OnceLock};
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Everything that a request can need.
pub struct App {
    /// The durable half.
    pub site: Site,
    /// The live half.
    pub node: Arc<Node>,
    pub(crate) identity: Arc<Identity>,
    pub(crate) origins: ArcSwap<AllowedOrigins>,
    pub(crate) gate: Gate,
    pub(crate) measures: Measures,
    pub(crate) telemetry: Telemetry,
    pub(crate) documents: Documents,
    config: ArcSwap<Config>,
    /// Rows of other programs that become events.
    pub sync: Processor,
    pub(crate) dev: bool,
    /// The worker and the scheduler of the job queue, once they were started.
    workers: OnceLock<[AbortHandle; 2]>,
}

impl App {
    /// Opens the store, loads the state and starts following the log.
    ///
    /// # Errors
    /// When the configuration or the store cannot be used; the message says what to do.
    pub async fn start(config: Config, dev: bool) -> Result<Arc<Self>> {
        let Judged { known, origins } = judge(&config, dev)?;
        let site = open_site(&config).await?;
        let sync = Processor::new(&site, config.sync_sources()?)?;
        let refusals = Refusals::default();
        let identity = Arc::new(Identity { known: ArcSwap::from_pointee(known), site: site.clone(), refusals });
        let port = Arc::new(TokenPort(Arc::clone(&identity)));
        let node = Node::start(site.clone(), port, live_limits(&config)).await.context("loading the site")?;
        let (gate, documents) = (Gate::new(rates(&config)), Documents::of(&site.registry, config.listen));
        let (measures, telemetry) = (Measures::new(), Telemetry::start(&config.telemetry)?);
        telemetry.follow(&site.journal);
        let (origins, config) = (ArcSwap::from_pointee(origins), ArcSwap::from_pointee(config));
        Ok(Arc::new(Self {
            site,
            node,
            identity,
            origins,
            gate,
            measures,
            telemetry,
            documents,
            config,
            sync,
            dev,
            workers: OnceLock::new(),
        }))
    }

    /// The configuration in force. Read it anew for each request; it changes with a reload.
    pub(crate) fn config(&self) -> Guard<Arc<Config>> {
        self.config.load()
    }

    /// What a configuration says of credentials and origins.
    ///
    /// # Errors
    /// When a key, an origin or an event type cannot be used.
    pub(crate) fn judged(&self, config: &Config) -> Result<Judged> {
        judge(config, self.dev)
    }

    /// The same with what was fetched and asked so far: a reload that does not touch `auth` forgets no key of an issuer that is down.
    pub(crate) fn keeping_answers(&self, judged: Judged) -> Judged {
        let now = self.identity.known.load();
        let (issuers, introspection) = (now.issuers.clone(), now.introspection.clone());
        Judged { known: Known { issuers, introspection, ..judged.known }, ..judged }
    }

    /// Puts a configuration into force, as far as it can change while the server runs. Connections that are open stay open.
    pub(crate) fn apply(&self, config: Config, judged: Judged) {
        self.node.set_limits(live_limits(&config));
        self.gate.set_rates(rates(&config));
        self.origins.store(Arc::new(judged.origins));
        self.identity.known.store(Arc::new(judged.known));
        self.config.store(Arc::new(config));
    }

    /// Starts the workers of the job queue and the processor of sync events; they end with `stop`.
    ///
    /// # Errors
    /// When a schedule cannot be read: a programmer's error.
    pub(crate) fn work(&self, stop: &CancellationToken) -> Result<TaskTracker> {
        let life_ms = self.config().auth.token_life_ms_max();
        let (tasks, workers) = maintenance::start(&self.site, &self.sync, life_ms, stop)?;
        self.sync.start(&tasks, stop);
        let _ = self.workers.set(workers);
        Ok(tasks)
    }

    /// Whether this process carries out jobs: its worker and its scheduler both run.
    pub(crate) fn is_working(&self) -> bool {
        self.workers.get().is_some_and(|workers| workers.iter().all(|worker| !worker.is_finished()))
    }

    /// How a WebSocket route refuses.
    pub(crate) fn reject(&self, route: &str) -> Reject {
        self.config().route.get(route).map(|entry| entry.reject).unwrap_or_default()
    }
}

/// What a configuration says of credentials and origins, ready for use.
pub(crate) struct Judged {
    known: Known,
    origins: AllowedOrigins,
}

/// Reads keys, origins and event types as a start would.
///
/// # Errors
/// When one of them cannot be used.
pub(crate) fn judge(config: &Config, dev: bool) -> Result<Judged> {
    let rule = if dev { SecretRule::AnyForDev } else { SecretRule::Strong };
    let sources = config.auth.sources.clone().unwrap_or_else(|| Source::ALL.to_vec());
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let known = Known {
        verifier: config.verifier(rule)?,
        issuers: Issuers::new(config.auth.issuers(), &clock)?,
        introspection: config.auth.introspection(&clock)?,
        api_keys: config.api_keys(rule)?,
        sources,
    };
    registry(config)?;
    judge_routes(config)?;
    Ok(Judged { known, origins: config.origins()? })
}

/// What only a start uses: a reload asks as well, so that a restart is not the first to find out.
///
/// # Errors
/// When a start would fail.
pub(crate) fn judge_start(config: &Config) -> Result<()> {
    config.check_bind()?;
    config.proxies()?;
    config.sync_sources()?;
    config.tls.as_ref().map(Certificate::load).transpose()?;
    Ok(())
}

/// A misspelled path would leave its route as it is, without a word.
pub(crate) fn judge_routes(config: &Config) -> Result<()> {
    let known: Vec<&str> = http::websocket_paths().collect();
    match config.route.keys().find(|path| !known.contains(&path.as_str())) {
        Some(path) => bail!("route.{path:?}: no WebSocket begins there; the routes are {}", known.join(", ")),
        None => Ok(()),
    }
}

/// Everything that is declared: by the features, and by the configuration.
pub(crate) fn registry(config: &Config) -> Result<Registry> {
    Registry::new(campanile_features::ALL, config.event_types()?).map_err(anyhow::Error::msg)
}

fn live_limits(config: &Config) -> LiveLimits {
    LiveLimits { token_life_ms_max: config.auth.token_life_ms_max(), ..config.limits.live() }
}

fn rates(config: &Config) -> Rates {
    Rates {
        anonymous_per_hour: config.limits.rest_per_hour_anonymous,
        signed_in_per_hour: config.limits.rest_per_hour_signed_in,
        tickets_per_minute: config.limits.tickets_per_minute,
    }
}

/// The site of a configuration, without its live half: what the command line's tools work on.
///
/// # Errors
/// When the store cannot be reached or used, or the declarations contradict each other.
pub async fn open_site(config: &Config) -> Result<Site> {
    let open = Site::open(&config.store, registry(config)?, config.limits.journal(), Arc::new(SystemClock));
    open.await.with_context(|| format!("opening {}", without_password(&config.store)))
}

/// A store's address as it may be shown.
pub(crate) fn without_password(store: &str) -> String {
    // A password may also stand among the parameters; those of a file are harmless, but tell nobody anything.
    let store = store.split('?').next().unwrap_or(store);
    match (store.split_once("://"), store.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://…@{rest}"),
        _ => store.to_owned(),
    }
}

/// Where the file of an SQLite store lies.
pub(crate) fn sqlite_path(store: &str) -> Option<std::path::PathBuf> {
    let path = store.strip_prefix("sqlite:")?;
    let path = path.strip_prefix("//").unwrap_or(path);
    Some(path.split('?').next().unwrap_or(path).into())
}
