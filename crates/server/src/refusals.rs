//! Counters of credentials: how often each source brought one, and how often each was refused and why. No token, no name.

use campanile_wire::ErrorCode;
use std::collections::BTreeMap;
use std::sync::Mutex;

/// The least time between two lines of the log.
const LINE_MS: i64 = 1_000;

/// The counters. Their keys are words of the protocol, so there are never many.
#[derive(Default)]
pub(crate) struct Refusals(Mutex<Inside>);

#[derive(Default)]
struct Inside {
    counts: Counts,
    line_at_ms: Option<i64>,
    unsaid: u64,
}

/// What was counted since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Credentials that were shown, by source; `none` counts requests that brought none, `message` what came over an open WebSocket.
    pub attempts: BTreeMap<&'static str, u64>,
    /// Refusals by source and code.
    pub refusals: BTreeMap<(&'static str, &'static str), u64>,
}

impl Refusals {
    /// Counts an attempt and how it ended.
    pub(crate) fn count(&self, source: &'static str, refused: Option<ErrorCode>, now_ms: i64) {
        let unsaid = {
            let mut inside = self.0.lock().expect("nothing panics while it counts");
            *inside.counts.attempts.entry(source).or_default() += 1;
            let Some(code) = refused else { return };
            *inside.counts.refusals.entry((source, code.as_str())).or_default() += 1;
            // Who shows nothing may still authenticate in the first message.
            if code == ErrorCode::NoCredential {
                return;
            }
            inside.line(now_ms)
        };
        if let (Some(unsaid), Some(code)) = (unsaid, refused) {
            tracing::debug!(target: "campanile::auth", source, code = code.as_str(), unsaid, "a credential was refused");
        }
    }

    /// What was counted since the start.
    pub(crate) fn counts(&self) -> Counts {
        self.0.lock().expect("nothing panics while it counts").counts.clone()
    }
}

impl Inside {
    /// Whether a line is due; then how many refusals it speaks for beside its own.
    fn line(&mut self, now_ms: i64) -> Option<u64> {
        if self.line_at_ms.is_some_and(|at_ms| (0..LINE_MS).contains(&(now_ms - at_ms))) {
            self.unsaid += 1;
            return None;
        }
        self.line_at_ms = Some(now_ms);
        Some(std::mem::take(&mut self.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::Refusals;
    use campanile_wire::ErrorCode;

    #[test]
    fn refusals_are_counted_by_source_and_code_and_told_once_a_second() {
        let refusals = Refusals::default();
        refusals.count("bearer", None, 0);
        refusals.count("bearer", Some(ErrorCode::ExpiredToken), 10);
        refusals.count("bearer", Some(ErrorCode::ExpiredToken), 20);
        refusals.count("none", Some(ErrorCode::NoCredential), 30);
        let counts = refusals.counts();
        assert_eq!(counts.attempts.into_iter().collect::<Vec<_>>(), [("bearer", 3), ("none", 1)]);
        assert_eq!(counts.refusals[&("bearer", "expired_token")], 2);
        let mut inside = refusals.0.lock().unwrap();
        assert_eq!((inside.line(1_009), inside.line(1_010)), (None, Some(2)));
    }
}
