//! The assembler: knows every part, decides nothing.

use crate::auth::{AllowedOrigins, SecretRule, Source};
use crate::config::{Config, Reject};
use crate::gate::{Gate, Rates};
use crate::identity::{Identity, TokenPort};
use anyhow::{Context, Result};
use campanile_contract::{Registry, Site};
use campanile_journal::SystemClock;
use campanile_live::Node;
use std::sync::Arc;
use std::time::Duration;

/// Everything that a request can need.
pub struct App {
    /// The durable half.
    pub site: Site,
    /// The live half.
    pub node: Arc<Node>,
    pub(crate) identity: Arc<Identity>,
    pub(crate) origins: AllowedOrigins,
    pub(crate) gate: Gate,
    pub(crate) config: Config,
    pub(crate) dev: bool,
}

/// How often what is no longer kept is removed.
const MAINTENANCE: Duration = Duration::from_secs(600);

impl App {
    /// Opens the store, loads the state and starts following the log.
    ///
    /// # Errors
    /// When the configuration or the store cannot be used; the message says what to do.
    pub async fn start(config: Config, dev: bool) -> Result<Arc<Self>> {
        let rule = if dev { SecretRule::AnyForDev } else { SecretRule::Strong };
        let (verifier, api_keys, origins) = (config.verifier(rule)?, config.api_keys(rule)?, config.origins()?);
        let site = open_site(&config).await?;
        let sources = config.auth.sources.clone().unwrap_or_else(|| Source::ALL.to_vec());
        let identity = Arc::new(Identity { verifier, api_keys, sources, site: site.clone() });
        let port = Arc::new(TokenPort(Arc::clone(&identity)));
        let node = Node::start(site.clone(), port, config.limits.live()).await.context("loading the site")?;
        let rates = Rates {
            anonymous_per_hour: config.limits.rest_per_hour_anonymous,
            signed_in_per_hour: config.limits.rest_per_hour_signed_in,
        };
        let app = Arc::new(Self { site, node, identity, origins, gate: Gate::new(rates), config, dev });
        tokio::spawn(maintain(app.site.clone()));
        Ok(app)
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

/// Removes what types no longer keep, and what repeats can no longer ask for.
async fn maintain(site: Site) {
    let mut tick = tokio::time::interval(MAINTENANCE);
    loop {
        tick.tick().await;
        for kind in site.registry.event_types() {
            match site.journal.prune(&kind.name, kind.retention).await {
                Ok(0) => {}
                Ok(events) => tracing::info!(kind = %kind.name, events, "events were pruned"),
                Err(error) => tracing::warn!(kind = %kind.name, %error, "pruning failed and is tried again later"),
            }
        }
        if let Err(error) = site.journal.forget_expired().await {
            tracing::warn!(%error, "expired keys and tickets could not be removed and are tried again later");
        }
    }
}
