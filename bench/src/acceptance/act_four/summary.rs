//! The act in words and figures: a section of docs/acceptance.md, and what fails it besides the checker.

use std::{fmt::Write as _, time::Duration};

use super::{
    super::{AcceptanceArgs, world::World},
    Played,
};
use crate::{check::Verdict, figures::Figures, process::machine_line, report::command_line};

/// Whose the data is: this act uses the roster alone.
const ATTRIBUTION: &str = "Data: Open University Learning Analytics Dataset (OULAD), CC-BY 4.0: J. Kuzilek, M. Hlosta, Z. Zdrahal, \
    Scientific Data 4:170171, 2017.";

/// What the act showed and how it was judged.
pub struct Summary<'a> {
    pub played: &'a Played,
    pub world: &'a World,
    pub figures: &'a Figures,
    pub verdict: &'a Verdict,
}

// === impl Summary ===

impl Summary<'_> {
    /// What fails the run, in sentences.
    pub fn failures(&self) -> Vec<String> {
        let mut failures = self.world.tally.troubles();
        if self.verdict.gaps_told > 0 {
            failures
                .push(format!("the server told {} gaps, though nothing of this run had been pruned", self.verdict.gaps_told));
        }
        let (finished, everybody) = self.played.caught_up;
        if finished < everybody {
            failures.push(format!("only {finished} of {everybody} people had caught up at the end"));
        }
        if self.count("changes refused as stale") == 0 {
            failures.push("no two graders ever met on a sheet, so nothing could be lost".to_owned());
        }
        if self.played.written.rolled_back == 0 || self.played.written.tried_again == 0 {
            failures.push("the platform rolled nothing back, or was never hit by a kill of its database".to_owned());
        }
        failures
    }

    /// The section in Markdown.
    pub fn section(&self, args: &AcceptanceArgs) -> String {
        let mut text = String::new();
        // Writing to a String does not fail.
        let _ = self.write(&mut text, args);
        text
    }

    fn count(&self, what: &str) -> u64 {
        self.world.tally.counts().get(what).copied().unwrap_or(0)
    }

    fn write(&self, out: &mut String, args: &AcceptanceArgs) -> std::fmt::Result {
        let form = if args.short { ", short form" } else { "" };
        writeln!(out, "## Act four on {}: a Django project beside Campanile{form}\n", args.store_name())?;
        writeln!(
            out,
            "Machine: {}; server, PostgreSQL, Django and bench share it.  \nCommand: `{}`\n",
            machine_line(),
            command_line()
        )?;
        self.write_day(out)?;
        self.write_kills(out)?;
        writeln!(out, "\nWhat everybody did, by count:\n\n| what | count |\n|---|---:|")?;
        for (what, count) in self.world.tally.counts() {
            writeln!(out, "| {what} | {count} |")?;
        }
        writeln!(out, "\nThe checker's verdict, from {} records:\n\n```text\n{}```\n", self.figures.records, self.verdict)?;
        let failures = self.failures();
        for failure in &failures {
            writeln!(out, "- FAILED: {failure}")?;
        }
        let passed = self.verdict.passed && failures.is_empty();
        writeln!(out, "\nThe act as a whole: **{}**.\n\n{ATTRIBUTION}", if passed { "passed" } else { "failed" })
    }

    fn write_day(&self, out: &mut String) -> std::fmt::Result {
        let Played { connected_within, parts: [ws, sse, poll], traffic, written, repeats, .. } = self.played;
        writeln!(
            out,
            "1. {} people with SimpleJWT tokens of the platform connected within {:.1} s ({ws} WebSocket `/ws/updates/`, {sse} SSE, {poll} poll).",
            self.world.cast.people.len(),
            connected_within.as_secs_f64()
        )?;
        writeln!(
            out,
            "2. Django wrote for {:.0} s in {} transactions: {} rows committed, {} rolled back; {} transactions tried again after the \
             database had died, {} commits whose answer was lost.",
            traffic.as_secs_f64(),
            written.transactions,
            written.committed,
            written.rolled_back,
            written.tried_again,
            written.answers_lost
        )?;
        writeln!(
            out,
            "3. Graders raised {} scores and added {} merits; {} changes came too late and were made again. {} approvals were taken away, \
             {} given back. {repeats} requests were repeated for want of an answer.",
            self.count("scores raised"),
            self.count("merits added"),
            self.count("changes refused as stale"),
            self.count("approvals taken away"),
            self.count("approvals given back"),
        )
    }

    fn write_kills(&self, out: &mut String) -> std::fmt::Result {
        let Played { restarts, rows_heard_after, catch_up, caught_up: (finished, everybody), .. } = self.played;
        let times = |restarts: &[Duration]| {
            let slowest = restarts.iter().max().copied().unwrap_or_default();
            format!("{} kills, up again after {:.0} ms at most", restarts.len(), slowest.as_secs_f64() * 1e3)
        };
        writeln!(out, "4. Campanile: {}; PostgreSQL: {}.", times(&restarts.campanile), times(&restarts.postgres))?;
        let heard = rows_heard_after
            .map_or_else(|| "never".to_owned(), |after| format!("{:.1} s after the end of the traffic", after.as_secs_f64()));
        let [ws, sse, poll] = self.figures.delivered;
        writeln!(
            out,
            "5. {} deliveries over {} connections: {ws} by WebSocket, {sse} by SSE, {poll} by poll. The last committed row was heard {heard}; \
             {finished} of {everybody} people had heard everything {:.1} s later.",
            ws + sse + poll,
            self.figures.connections,
            catch_up.as_secs_f64()
        )
    }
}
