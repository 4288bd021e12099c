//! The rules by name, each with the sentence that it holds the server to.

use serde::{Serialize, Serializer};

use super::truth::is_cadets;
use crate::history::History;

/// One rule of the checker; [`Rule::sentence`] says what each demands.
#[allow(missing_docs, reason = "`sentence` documents each, where the report can print it")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rule {
    RecordsSound,
    AcknowledgedAndLost,
    SilentGaps,
    DuplicatesAfterTheCursor,
    OutOfOrder,
    DeliveriesAfterRevocation,
    GrantBoundary,
    ForeignDeliveries,
    NothingInvented,
    OneIdOneContent,
    IdempotentRepeat,
    IdsDense,
    SeqDense,
    RecordedAtNeverBackwards,
    CursorHonest,
    ReplayCount,
    SurvivedKills,
    EpochConstant,
    AllTransportsUsed,
    CaughtUpAtTheEnd,
    SyncExactlyOnce,
    SyncNoRolledBack,
    OwnCadetOnly,
    NoLostUpdate,
    NothingToUnapproved,
}

impl Rule {
    /// Every rule, in the order of the report.
    pub const ALL: [Rule; 25] = [
        Rule::RecordsSound,
        Rule::AcknowledgedAndLost,
        Rule::SilentGaps,
        Rule::DuplicatesAfterTheCursor,
        Rule::OutOfOrder,
        Rule::DeliveriesAfterRevocation,
        Rule::GrantBoundary,
        Rule::ForeignDeliveries,
        Rule::NothingInvented,
        Rule::OneIdOneContent,
        Rule::IdempotentRepeat,
        Rule::IdsDense,
        Rule::SeqDense,
        Rule::RecordedAtNeverBackwards,
        Rule::CursorHonest,
        Rule::ReplayCount,
        Rule::SurvivedKills,
        Rule::EpochConstant,
        Rule::AllTransportsUsed,
        Rule::CaughtUpAtTheEnd,
        Rule::SyncExactlyOnce,
        Rule::SyncNoRolledBack,
        Rule::OwnCadetOnly,
        Rule::NoLostUpdate,
        Rule::NothingToUnapproved,
    ];

    /// Those of a school with courses only.
    const OF_COURSES: [Rule; 2] = [Rule::DeliveriesAfterRevocation, Rule::GrantBoundary];

    /// Those of a host platform with cadets only.
    const OF_CADETS: [Rule; 5] =
        [Rule::SyncExactlyOnce, Rule::SyncNoRolledBack, Rule::OwnCadetOnly, Rule::NoLostUpdate, Rule::NothingToUnapproved];

    /// The rules that a run must give a chance to fail.
    pub fn asked_of(history: &History) -> Vec<Rule> {
        let cadets = history.channels.iter().any(|channel| is_cadets(channel));
        let left_out: &[Rule] = if cadets { &Self::OF_COURSES } else { &Self::OF_CADETS };
        Self::ALL.into_iter().filter(|rule| !left_out.contains(rule)).collect()
    }

    /// The name as the report prints it.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.texts().0
    }

    /// What the rule demands.
    #[must_use]
    pub fn sentence(self) -> &'static str {
        self.texts().1
    }

    fn texts(self) -> (&'static str, &'static str) {
        match self {
            Rule::RecordsSound => {
                ("records sound", "the history itself is well formed, and no client resumed beyond what it had seen")
            }
            Rule::AcknowledgedAndLost => {
                ("acknowledged and lost", "an acknowledged event that was due reached the person on some connection")
            }
            Rule::SilentGaps => {
                ("silent gaps", "between two positions of a connection everything due was received, or a gap was told")
            }
            Rule::DuplicatesAfterTheCursor => {
                ("duplicates after the cursor", "no event at or below the position arrives, unless rewound")
            }
            Rule::OutOfOrder => (
                "out of order",
                "ids rise on a connection, and a publish acknowledged before another was sent has the smaller id",
            ),
            Rule::DeliveriesAfterRevocation => {
                ("deliveries after revocation", "nothing between a revocation and the next grant reaches the person")
            }
            Rule::GrantBoundary => {
                ("grant boundary", "what lies before the latest grant, or was decided after a revocation, is not delivered")
            }
            Rule::ForeignDeliveries => ("foreign deliveries", "no event of a channel that the person never belonged to"),
            Rule::NothingInvented => ("nothing invented", "every delivered event was published and not refused"),
            Rule::OneIdOneContent => {
                ("one id, one content", "an id means the same event everywhere, as it was published and acknowledged")
            }
            Rule::IdempotentRepeat => ("idempotent repeat", "a repeated operation gets the same answer and is stored once"),
            Rule::IdsDense => ("ids dense", "ids have no hole, and none is used twice"),
            Rule::SeqDense => ("seq dense", "each channel's seq rises by one with the id"),
            Rule::RecordedAtNeverBackwards => ("recorded_at never backwards", "recorded_at does not fall along the ids"),
            Rule::CursorHonest => {
                ("cursor honest", "a told cursor never falls, exists, and everything due up to it has been sent")
            }
            Rule::ReplayCount => ("replay count", "replay_complete counts what the replay delivered"),
            Rule::SurvivedKills => ("survived kills", "what was acknowledged before a kill keeps its id and content after it"),
            Rule::EpochConstant => ("epoch constant", "the epoch does not change during the run"),
            Rule::AllTransportsUsed => ("all transports used", "WebSocket, SSE and long poll each delivered events"),
            Rule::CaughtUpAtTheEnd => {
                ("caught up at the end", "each person's last connection reached the last acknowledged event that was due")
            }
            Rule::SyncExactlyOnce => (
                "sync exactly once",
                "every committed row of the platform became one event, and each who was due it got it once",
            ),
            Rule::SyncNoRolledBack => ("sync: no rolled back", "nothing of a rolled-back row is ever delivered"),
            Rule::OwnCadetOnly => ("own cadet only", "a cadet gets the events of no other cadet"),
            Rule::NoLostUpdate => (
                "no lost update",
                "a sheet holds all acknowledged changes and no refused one, and no two changes were told the same version",
            ),
            Rule::NothingToUnapproved => (
                "nothing to the un-approved",
                "nothing between an un-approval and the next approval reaches the person, live or later",
            ),
        }
    }
}

impl Serialize for Rule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
