//! Which lines are wanted: a level for all, and levels for components by the names that operators know.

use crate::config::{Log, LogLevel, LogLevels};
use anyhow::{Context, Result};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;

/// A component's level and the targets that it logs under; a target covers all that begin with it.
type Component = (Option<LogLevel>, &'static [&'static str]);

fn components(levels: &LogLevels) -> [Component; 9] {
    [
        (levels.ws, &["campanile::ws"]),
        (levels.live, &["campanile_live"]),
        (levels.journal, &["campanile_journal"]),
        (levels.jobs, &["campanile_journal::job"]),
        (levels.http, &["campanile::http", "campanile::listen"]),
        (levels.auth, &["campanile::auth", "campanile::identity"]),
        (levels.sync, &["campanile::sync"]),
        (levels.features, &["campanile_features", "campanile_contract"]),
        (levels.maintenance, &["campanile::maintenance"]),
    ]
}

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
    for (level, targets) in components(&log.levels) {
        let Some(level) = level else { continue };
        directives.extend(targets.iter().map(|target| format!("{target}={}", level.as_str())));
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
        assert!(directives("level = \"loud=very\"", false).unwrap_err().contains("log.level"));
        assert!(directives("level = \"loud\"", false).unwrap_err().contains("is none of off"));
    }
}
