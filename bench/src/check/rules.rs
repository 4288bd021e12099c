//! The rules by name, each with the sentence that it holds the server to.

use serde::{Serialize, Serializer};

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
}

impl Rule {
    /// Every rule, in the order of the report.
    pub const ALL: [Rule; 20] = [
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
    ];

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
        }
    }
}

impl Serialize for Rule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
