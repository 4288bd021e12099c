//! One person's whole run over all their connections: was anything acknowledged and lost, and did they end caught up.

use super::reader::{Desk, Lane, Span};
use super::report::Tallies;
use super::rules::Rule;
use crate::history::Conn;

/// What a person reached and received, on whichever connection.
#[derive(Default)]
pub struct Journey {
    first_start: Option<u64>,
    reached: u64,
    /// `(position, at_us)` of each advance, both rising.
    passes: Vec<(u64, u64)>,
    received: Vec<u64>,
    /// Told gaps, and what the person chose to skip by coming back without a cursor.
    excuses: Vec<Span>,
}

// === impl Journey ===

impl Journey {
    /// A connection began at `start`; `asked` when the client named that cursor itself.
    pub fn starts(&mut self, conn: Conn, start: u64, asked: bool, tallies: &mut Tallies) {
        if self.first_start.is_none() {
            self.first_start = Some(start);
            self.reached = start;
        }
        if start > self.reached {
            // The client's own fault, and it would hide a loss.
            if asked {
                tallies.violation(Rule::RecordsSound, || {
                    format!("connection {conn} resumes at {start}, but its person had only reached {}", self.reached)
                });
            }
            self.excuses.push(Span { after: self.reached, through: start });
        }
    }

    /// A connection stands at `position` now.
    pub fn reaches(&mut self, position: u64, at_us: u64) {
        if position > self.reached {
            self.reached = position;
            self.passes.push((position, at_us));
        }
    }

    /// An event arrived on any connection.
    pub fn receives(&mut self, id: u64) {
        self.received.push(id);
    }

    /// A gap was told on any connection; a client may come back with its end as cursor.
    pub fn gap(&mut self, told: Span, at_us: u64, highest_possible: u64) {
        self.excuses.push(told);
        self.reaches(told.through.min(highest_possible), at_us);
    }

    /// The run is over, with the person's last connection at `last_position`.
    pub fn finish(mut self, desk: &mut Desk, last_position: Option<u64>) {
        let Some(first_start) = self.first_start else { return };
        self.received.sort_unstable();
        for lane in desk.lanes {
            self.lost(
                desk.truth.person_name(desk.person),
                &desk.truth.channel_name(lane.channel),
                lane,
                first_start,
                desk.tallies,
            );
        }
        let Some(last_due) = desk.lanes.iter().filter_map(last_due).max().filter(|id| *id > first_start) else { return };
        desk.tallies.chances(Rule::CaughtUpAtTheEnd, 1);
        if last_position.is_none_or(|position| position < last_due) {
            desk.tallies.violation(Rule::CaughtUpAtTheEnd, || {
                format!("{} ends at {last_position:?}, but id {last_due} was due", desk.truth.person_name(desk.person))
            });
        }
    }

    fn lost(&self, person: &str, channel: &str, lane: &Lane, first_start: u64, tallies: &mut Tallies) {
        let first = lane.due.partition_point(|due| due.id <= first_start);
        let passed = lane.due[first..].iter().take_while(|due| due.id <= self.reached);
        for due in passed.filter(|due| due.acked) {
            let pass = self.passes.partition_point(|(position, _)| *position < due.id);
            let Some((_, at_us)) = self.passes.get(pass) else { break };
            let excused = self.excuses.iter().any(|excuse| excuse.holds(due.id));
            if excused || !lane.story.is_firm(due.id, *at_us) {
                continue;
            }
            tallies.chances(Rule::AcknowledgedAndLost, 1);
            if self.received.binary_search(&due.id).is_err() {
                tallies.violation(Rule::AcknowledgedAndLost, || {
                    format!("{person} never got id {} of {channel}, though their clients went on to {}", due.id, self.reached)
                });
            }
        }
    }
}

/// The last acknowledged event that nothing can excuse a person from by the end of the run.
fn last_due(lane: &Lane) -> Option<u64> {
    let acked = lane.due.iter().rev().find(|due| due.acked)?;
    // The last one decides: were an earlier one firm, no change came after it, and this one would be firm as well.
    lane.story.is_firm(acked.id, u64::MAX - 1).then_some(acked.id)
}
