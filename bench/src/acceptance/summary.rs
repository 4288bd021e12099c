//! The run in words and figures: a section of docs/acceptance.md, and what fails the run besides the checker.

use std::{fmt::Write as _, time::Duration};

use super::{AcceptanceArgs, act_three::ActThree, act_two::ActTwo, world::World};
use crate::{check::Verdict, figures::Figures, fixtures::ATTRIBUTION, process::machine_line, report::command_line};

/// What the acts showed.
pub struct Summary {
    pub registrations: usize,
    pub import: Duration,
    pub act_two: ActTwo,
    pub act_three: ActThree,
    /// Of the config, the SQLite store and the log; PostgreSQL keeps its own elsewhere.
    pub disk_bytes: u64,
}

// === impl Summary ===

impl Summary {
    /// What fails the run, in sentences.
    pub fn failures(&self, world: &World, verdict: &Verdict) -> Vec<String> {
        let mut failures = world.tally.troubles();
        if verdict.gaps_told > 0 {
            failures.push(format!("the server told {} gaps, though nothing of this run had been pruned", verdict.gaps_told));
        }
        let ActTwo { audience, reached, deliveries, .. } = self.act_two;
        if (reached, deliveries) != (audience, audience) {
            failures
                .push(format!("the announcement of act two reached {reached} of {audience} people in {deliveries} deliveries"));
        }
        let (finished, everybody) = self.act_three.caught_up;
        if finished < everybody {
            failures.push(format!("only {finished} of {everybody} people had caught up at the end"));
        }
        failures
    }

    /// The section in Markdown.
    pub fn section(&self, args: &AcceptanceArgs, world: &World, figures: &Figures, verdict: &Verdict) -> String {
        let mut text = String::new();
        // Writing to a String does not fail.
        let _ = self.write(&mut text, args, world, figures, verdict);
        text
    }

    fn write(
        &self,
        out: &mut String,
        args: &AcceptanceArgs,
        world: &World,
        figures: &Figures,
        verdict: &Verdict,
    ) -> std::fmt::Result {
        let form = if args.short { ", short form" } else { "" };
        writeln!(out, "## On {}{form}\n", args.store_name())?;
        writeln!(out, "Machine: {}; server and bench share it.  \nCommand: `{}`\n", machine_line(), command_line())?;
        self.write_acts(out, world)?;
        self.write_traffic(out, world, figures)?;
        writeln!(out, "\nWhat clients and publishers did, by count:\n\n| what | count |\n|---|---:|")?;
        for (what, count) in world.tally.counts() {
            writeln!(out, "| {what} | {count} |")?;
        }
        let failures = self.failures(world, verdict);
        writeln!(out, "\nThe checker's verdict, from {} records:\n\n```text\n{}```\n", figures.records, verdict)?;
        for failure in &failures {
            writeln!(out, "- FAILED: {failure}")?;
        }
        let passed = verdict.passed && failures.is_empty();
        writeln!(out, "\nThe run as a whole: **{}**.\n\n{ATTRIBUTION}", if passed { "passed" } else { "failed" })
    }

    fn write_acts(&self, out: &mut String, world: &World) -> std::fmt::Result {
        let per_second = self.registrations as f64 / self.import.as_secs_f64();
        writeln!(
            out,
            "1. Import of {} registrations, {} people, {} courses: {:.1} s ({per_second:.0} registrations/s). {} FUN-MOOC learners, each an OULAD student of their own.",
            self.registrations,
            world.cast.people.len(),
            world.cast.courses.len(),
            self.import.as_secs_f64(),
            world.cast.learners.len(),
        )?;
        let ActTwo { course, audience, connected_within, parts: [ws, sse, poll], reached, deliveries, acked_after, arrivals } =
            &self.act_two;
        writeln!(
            out,
            "2. {audience} students of {course} connected within {:.1} s ({ws} WebSocket, {sse} SSE, {poll} poll). One announcement, acknowledged after {:.1} ms, \
             reached {reached} people in {deliveries} deliveries; after its sending {arrivals}.",
            connected_within.as_secs_f64(),
            acked_after.as_secs_f64() * 1e3,
        )
    }

    fn write_traffic(&self, out: &mut String, world: &World, figures: &Figures) -> std::fmt::Result {
        let act = &self.act_three;
        let (fewest, mean, most) = world.cast.reach();
        let [at_start, median, peak] = act.connected;
        writeln!(
            out,
            "3. {} students of {} courses ({fewest} to {most} a course, {mean} in the mean); {at_start} connected within {:.1} s, when the traffic began, \
             {median} in its median, {peak} at most. Traffic for {:.0} s, {} kills.",
            world.cast.population.len(),
            world.cast.stages.len(),
            act.connected_within.as_secs_f64(),
            act.traffic.as_secs_f64(),
            figures.kills,
        )?;
        let [ws, sse, poll] = figures.delivered;
        let sum = ws + sse + poll;
        writeln!(
            out,
            "   - {sum} deliveries over {} connections: {ws} by WebSocket, {sse} by SSE, {poll} by poll.",
            figures.connections
        )?;
        writeln!(
            out,
            "   - From sending a publish to its live arrival, slow readers and kills included: {}.",
            figures.live_latency
        )?;
        writeln!(out, "   - From sending a publish to its acknowledgement, kills included: {}.", figures.ack_latency)?;
        let slowest = act.restarts.iter().max().copied().unwrap_or_default();
        let mean = act.restarts.iter().sum::<Duration>() / u32::try_from(act.restarts.len().max(1)).unwrap_or(1);
        writeln!(
            out,
            "   - A restart answers again after {:.0} ms in the mean, {:.0} ms at most.",
            mean.as_secs_f64() * 1e3,
            slowest.as_secs_f64() * 1e3
        )?;
        let (finished, everybody) = act.caught_up;
        writeln!(
            out,
            "   - {finished} of {everybody} people had heard everything {:.1} s after the last publish.",
            act.catch_up.as_secs_f64()
        )?;
        writeln!(
            out,
            "   - {} requests were repeated for want of an answer. The server ended with {:.1} MiB resident, {:.1} MiB at most since the last restart; its folder holds {:.1} MiB.",
            act.repeats,
            act.resident_kib as f64 / 1024.0,
            act.peak_resident_kib as f64 / 1024.0,
            self.disk_bytes as f64 / 1_048_576.0,
        )
    }
}
