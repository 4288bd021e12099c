//! What `doctor` and `selftest` found: one line each, with what to do about it.

use super::{Told, terminal};
use anyhow::Result;
use serde::Serialize;
use std::io::IsTerminal;
use std::time::Duration;

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    /// As it should be.
    Ok,
    /// Worth a look.
    Warning,
    /// Something does not work.
    Problem,
    /// What was given is not enough to tell.
    CannotTell,
}

/// One check.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Finding {
    /// What was looked at.
    pub(super) check: &'static str,
    /// How it came out.
    pub(super) verdict: Verdict,
    /// What was seen.
    pub(super) found: String,
    /// What to do; nothing where all is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) advice: Option<String>,
    /// How long it took, where that says something.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) took_ms: Option<u64>,
}

/// All checks so far; each is shown as soon as it is known.
pub(super) struct Findings {
    json: bool,
    all: Vec<Finding>,
}

#[derive(Serialize)]
struct Report<'a> {
    ok: bool,
    checks: &'a [Finding],
}

impl Finding {
    pub(super) fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Ok, found: found.into(), advice: None, took_ms: None }
    }

    pub(super) fn of(verdict: Verdict, check: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { check, verdict, found: found.into(), advice: Some(advice.into()), took_ms: None }
    }

    pub(super) fn warning(check: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::of(Verdict::Warning, check, found, advice)
    }

    pub(super) fn problem(check: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::of(Verdict::Problem, check, found, advice)
    }

    pub(super) fn cannot_tell(check: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::of(Verdict::CannotTell, check, found, advice)
    }

    pub(super) fn in_time(self, took: Duration) -> Self {
        Self { took_ms: Some(u64::try_from(took.as_millis()).unwrap_or(u64::MAX)), ..self }
    }

    fn lines(&self, is_coloured: bool) -> String {
        let (word, colour) = match self.verdict {
            Verdict::Ok => ("ok", 32),
            Verdict::Warning => ("warning", 33),
            Verdict::Problem => ("PROBLEM", 31),
            Verdict::CannotTell => ("cannot tell", 36),
        };
        let word = format!("{word:11}");
        let word = if is_coloured { format!("\u{1b}[{colour}m{word}\u{1b}[0m") } else { word };
        let took = self.took_ms.map(|ms| format!(" ({ms} ms)")).unwrap_or_default();
        let mut text = format!("{word}  {:16}  {}{took}", self.check, terminal::harmless(&self.found));
        if let Some(advice) = &self.advice {
            text.push_str(&format!("\n{:31}→ {}", "", terminal::harmless(advice)));
        }
        text
    }
}

impl Findings {
    pub(super) fn new(json: bool) -> Self {
        Self { json, all: Vec::new() }
    }

    pub(super) fn add(&mut self, finding: Finding) -> Result<()> {
        if !self.json {
            terminal::out(&finding.lines(std::io::stdout().is_terminal()))?;
        }
        self.all.push(finding);
        Ok(())
    }

    pub(super) fn add_all(&mut self, findings: impl IntoIterator<Item = Finding>) -> Result<()> {
        findings.into_iter().try_for_each(|finding| self.add(finding))
    }

    /// Says how many there were of each; a problem is exit status 1.
    pub(super) fn finish(self) -> Result<()> {
        let count = |verdict| self.all.iter().filter(|finding| finding.verdict == verdict).count();
        let problems = count(Verdict::Problem);
        if self.json {
            let report = Report { ok: problems == 0, checks: &self.all };
            terminal::out(&serde_json::to_string_pretty(&report)?)?;
        } else {
            let (fine, warnings, unknown) = (count(Verdict::Ok), count(Verdict::Warning), count(Verdict::CannotTell));
            terminal::out(&format!(
                "\n{fine} ok, {warnings} to look at, {problems} problems, {unknown} that cannot be told from here"
            ))?;
        }
        if problems == 0 { Ok(()) } else { Err(Told.into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::Finding;

    #[test]
    fn a_finding_is_a_line_with_what_to_do_below_it() {
        let finding = Finding::problem("token", "expired 3 min ago\u{7}", "get a fresh one");
        let expect = "PROBLEM      token             expired 3 min ago\\u{7}\n                               → get a fresh one";
        assert_eq!(finding.lines(false), expect);
        assert!(Finding::ok("store", "answers").lines(true).starts_with("\u{1b}[32mok"));
    }
}
