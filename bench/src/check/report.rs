//! Counting of chances and violations, and the verdict that comes of them.

use std::fmt;

use serde::Serialize;

use super::rules::Rule;

/// How many violations of one rule are told in words.
const EXAMPLES_MAX: usize = 5;

/// What became of one rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// There were chances to fail and none was taken.
    Kept,
    /// At least one violation.
    Broken,
    /// The run gave no chance to fail, so it shows nothing: a failure.
    NoChance,
}

/// One line of the verdict.
#[derive(Clone, Debug, Serialize)]
pub struct RuleVerdict {
    /// Which rule.
    pub rule: Rule,
    /// How many chances to fail the run gave.
    pub chances: u64,
    /// How often it failed.
    pub violations: u64,
    /// The sum of the two numbers above.
    pub outcome: Outcome,
    /// Up to five violations in words.
    pub examples: Vec<String>,
}

/// The judgement of a run; prints as a table and serialises to JSON.
#[derive(Clone, Debug, Serialize)]
pub struct Verdict {
    /// Whether every rule was kept.
    pub passed: bool,
    /// Gaps that the server told: each excuses what it covers, so a run without retention should show none.
    pub gaps_told: u64,
    /// One line for each rule that the run was asked about, in the order of [`Rule::ALL`].
    pub rules: Vec<RuleVerdict>,
}

#[derive(Default)]
struct Tally {
    chances: u64,
    violations: u64,
    examples: Vec<String>,
}

/// The counters while the judging goes on.
pub struct Tallies {
    asked: Vec<Rule>,
    /// Gaps that the server told.
    pub gaps_told: u64,
    tallies: [Tally; Rule::ALL.len()],
}

// === impl Tallies ===

impl Tallies {
    /// Empty books about these rules. A violation of another one counts as well; that it had no chance does not.
    pub fn asking(asked: Vec<Rule>) -> Self {
        Self { asked, gaps_told: 0, tallies: Default::default() }
    }

    /// Counts chances of a rule to fail.
    pub fn chances(&mut self, rule: Rule, count: u64) {
        self.tallies[rule as usize].chances += count;
    }

    /// Counts one violation; the words are only built while examples are still wanted.
    pub fn violation(&mut self, rule: Rule, example: impl FnOnce() -> String) {
        self.violations(rule, 1, example);
    }

    /// Counts several violations that one example describes.
    pub fn violations(&mut self, rule: Rule, count: u64, example: impl FnOnce() -> String) {
        let tally = &mut self.tallies[rule as usize];
        tally.violations = tally.violations.saturating_add(count);
        if count > 0 && tally.examples.len() < EXAMPLES_MAX {
            tally.examples.push(example());
        }
    }

    /// Closes the books.
    pub fn into_verdict(self) -> Verdict {
        let judged = Rule::ALL.into_iter().zip(self.tallies);
        let judged = judged.filter(|(rule, tally)| self.asked.contains(rule) || tally.violations > 0);
        let rules: Vec<RuleVerdict> = judged.map(|(rule, tally)| RuleVerdict::new(rule, tally)).collect();
        Verdict { passed: rules.iter().all(|rule| rule.outcome == Outcome::Kept), gaps_told: self.gaps_told, rules }
    }
}

// === impl RuleVerdict ===

impl RuleVerdict {
    fn new(rule: Rule, tally: Tally) -> Self {
        let outcome = match tally {
            Tally { violations: 1.., .. } => Outcome::Broken,
            Tally { chances: 0, .. } => Outcome::NoChance,
            Tally { .. } => Outcome::Kept,
        };
        Self { rule, chances: tally.chances, violations: tally.violations, outcome, examples: tally.examples }
    }
}

// === impl Verdict ===

#[cfg(test)]
impl Verdict {
    /// The line of one rule.
    pub fn of(&self, rule: Rule) -> &RuleVerdict {
        self.rules.iter().find(|line| line.rule == rule).expect("the run was asked about this rule")
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{:<29} {:>12} {:>12}  verdict", "rule", "chances", "violations")?;
        for line in &self.rules {
            let outcome = match line.outcome {
                Outcome::Kept => "kept",
                Outcome::Broken => "BROKEN",
                Outcome::NoChance => "NO CHANCE",
            };
            writeln!(out, "{:<29} {:>12} {:>12}  {outcome}", line.rule.name(), line.chances, line.violations)?;
        }
        writeln!(out, "gaps told: {}", self.gaps_told)?;
        for line in self.rules.iter().filter(|line| line.outcome != Outcome::Kept) {
            writeln!(out, "\n{}: {}", line.rule.name(), line.rule.sentence())?;
            for example in &line.examples {
                writeln!(out, "  - {example}")?;
            }
        }
        writeln!(out, "\n{}", if self.passed { "PASSED" } else { "FAILED" })
    }
}
