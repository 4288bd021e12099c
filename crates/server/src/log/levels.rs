//! Which lines are wanted: a level for all, and levels for components by the names that operators know.

use crate::config::Log;
use anyhow::{Context, Result, bail};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;

/// Components and the targets that they log under; a target covers all that begin with it.
pub(super) const COMPONENTS: [(&str, &[&str]); 9] = [
    ("ws", &["campanile::ws"]),
    ("live", &["campanile_live"]),
    ("journal", &["campanile_journal"]),
    ("jobs", &["campanile_journal::job"]),
    ("http", &["campanile::http", "campanile::listen"]),
    ("auth", &["campanile::auth", "campanile::identity"]),
    ("sync", &["campanile::sync"]),
    ("features", &["campanile_features", "campanile_contract"]),
    ("maintenance", &["campanile::maintenance"]),
];

/// The filter of a configuration. More exact targets win over less exact ones, whatever their order.
pub(super) fn filter(log: &Log, dev: bool) -> Result<EnvFilter> {
    let mut directives = match &log.level {
        Some(level) => vec![level.clone()],
        None if dev => vec!["info".to_owned(), "campanile=debug".to_owned()],
        None => vec!["info".to_owned()],
    };
    // A bare word that is no level would be taken for a target, and everything of it logged.
    for bare in log.level.iter().flat_map(|level| level.split(',')).filter(|part| !part.contains(['=', '['])) {
        known(bare.trim()).context("log.level")?;
    }
    for (component, level) in &log.levels {
        let level = known(level).with_context(|| format!("log.levels.{component}"))?;
        let Some((_, targets)) = COMPONENTS.iter().find(|(name, _)| name == component) else {
            let names: Vec<&str> = COMPONENTS.iter().map(|(name, _)| *name).collect();
            bail!("log.levels knows no {component}, but {}", names.join(", "));
        };
        directives.extend(targets.iter().map(|target| format!("{target}={level}")));
    }
    EnvFilter::try_new(directives.join(",")).context("log.level")
}

fn known(level: &str) -> Result<LevelFilter> {
    level.parse().ok().with_context(|| format!("{level:?} is none of off, error, warn, info, debug, trace"))
}

#[cfg(test)]
mod tests {
    use super::filter;
    use crate::config::Log;

    fn directives(toml: &str, dev: bool) -> Result<Vec<String>, String> {
        let log: Log = toml::from_str(toml).unwrap();
        let filter = filter(&log, dev).map_err(|error| format!("{error:#}"))?;
        let mut all: Vec<String> = filter.to_string().split(',').map(str::to_owned).collect();
        all.sort_unstable();
        Ok(all)
    }

    #[test]
    fn production_is_calm_and_development_is_telling_about_our_own_parts() {
        assert_eq!(directives("", false).unwrap(), ["info"]);
        assert_eq!(directives("", true).unwrap(), ["campanile=debug", "info"]);
        assert_eq!(directives("level = \"warn\"", true).unwrap(), ["warn"]);
    }

    #[test]
    fn a_component_has_a_level_of_its_own_and_mistakes_are_told() {
        let given = "level = \"warn\"\n[levels]\nws = \"debug\"\njobs = \"off\"";
        assert_eq!(directives(given, false).unwrap(), ["campanile::ws=debug", "campanile_journal::job=off", "warn"]);
        let unknown = directives("[levels]\nwebsocket = \"debug\"", false).unwrap_err();
        assert!(unknown.contains("knows no websocket, but ws, live"), "{unknown}");
        let wrong = directives("[levels]\nws = \"loud\"", false).unwrap_err();
        assert!(wrong.contains("log.levels.ws") && wrong.contains("\"loud\" is none of off"), "{wrong}");
        assert!(directives("level = \"loud=very\"", false).unwrap_err().contains("log.level"));
        assert!(directives("level = \"loud\"", false).unwrap_err().contains("is none of off"));
    }
}
