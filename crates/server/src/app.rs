//! The assembler: knows every part, decides nothing.

use crate::auth::{AllowedOrigins, SecretRule, Source};
use crate::config::{Config, Reject};
use crate::gate::{Gate, Rates};
use crate::http::documents::Documents;
use crate::identity::{Identity, TokenPort};
use crate::maintenance;
use crate::sync::Processor;
use anyhow::{Context, Result};
use campanile_contract::{Registry, Site};
use campanile_journal::SystemClock;
use campanile_live::Node;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Everything that a request can need.
pub struct App {
    /// The durable half.
    pub site: Site,
    /// The live half.
    pub node: Arc<Node>,
    pub(crate) identity: Arc<Identity>,
    pub(crate) origins: AllowedOrigins,
    pub(crate) gate: Gate,
    pub(crate) documents: Documents,
    pub(crate) config: Config,
    /// Rows of other programs that become events.
    pub sync: Processor,
    pub(crate) dev: bool,
}

impl App {
    /// Opens the store, loads the state and starts following the log.
    ///
    /// # Errors
    /// When the configuration or the store cannot be used; the message says what to do.
    pub async fn start(config: Config, dev: bool) -> Result<Arc<Self>> {
        let rule = if dev { SecretRule::AnyForDev } else { SecretRule::Strong };
        let (verifier, api_keys, origins) = (config.verifier(rule)?, config.api_keys(rule)?, config.origins()?);
        let site = open_site(&config).await?;
        let sync = Processor::new(&site, config.sync_sources()?)?;
        let sources = config.auth.sources.clone().unwrap_or_else(|| Source::ALL.to_vec());
        let identity = Arc::new(Identity { verifier, api_keys, sources, site: site.clone() });
        let port = Arc::new(TokenPort(Arc::clone(&identity)));
        let node = Node::start(site.clone(), port, config.limits.live()).await.context("loading the site")?;
        let rates = Rates {
            anonymous_per_hour: config.limits.rest_per_hour_anonymous,
            signed_in_per_hour: config.limits.rest_per_hour_signed_in,
        };
        let (gate, documents) = (Gate::new(rates), Documents::of(&site.registry, config.listen));
        Ok(Arc::new(Self { site, node, identity, origins, gate, documents, config, sync, dev }))
    }

    /// Starts the workers of the job queue and the processor of sync events; they end with `stop`.
    ///
    /// # Errors
    /// When a schedule cannot be read: a programmer's error.
    pub(crate) fn work(&self, stop: &CancellationToken) -> Result<TaskTracker> {
        let tasks = maintenance::start(&self.site, &self.sync, stop)?;
        self.sync.start(&tasks, stop);
        Ok(tasks)
    }

    /// How a WebSocket route refuses.
    pub(crate) fn reject(&self, route: &str) -> Reject {
        self.config.route.get(route).map(|entry| entry.reject).unwrap_or_default()
    }
}

/// The site of a configuration, without its live half: what the command line's tools work on.
///
/// # Errors
/// When the store cannot be reached or used, or the declarations contradict each other.
pub async fn open_site(config: &Config) -> Result<Site> {
    let registry = Registry::new(campanile_features::ALL, config.event_types()?).map_err(anyhow::Error::msg)?;
    let open = Site::open(&config.store, registry, config.limits.journal(), Arc::new(SystemClock));
    open.await.with_context(|| format!("opening {}", without_password(&config.store)))
}

/// A store's address as it may be shown.
pub(crate) fn without_password(store: &str) -> String {
    match (store.split_once("://"), store.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://…@{rest}"),
        _ => store.to_owned(),
    }
}
