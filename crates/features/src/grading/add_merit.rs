//! `add_merit`: a cadet gets a merit or demerit. Any number of graders may do so at once: every one counts.

use super::change::Change;
use super::field::{MeritType, Points};
use super::merit::{Merit, MeritAnswer, merit_columns, sums};
use super::sheet::{Sheet, by_whom_and_when, stale};
use super::{permission, spelling};
use campanile_contract::{Caller, Command, Ctx, ErrorCode, Id, JournalError, Refusal, Text, UnitError};
use schemars::JsonSchema;
use serde::Deserialize;

/// Ids that begin so are made here: the rest is the version of the sheet, which no other merit of the cadet can have.
const MADE: &str = "m-";

/// Adds a merit or demerit.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddMerit {
    /// Whose.
    pub cadet_id: Id,
    /// Its id among those of the cadet, where the host has one. With it, adding the same again changes nothing.
    pub merit_id: Option<Id>,
    /// Whether it is for or against the cadet.
    #[serde(rename = "type")]
    pub kind: MeritType,
    /// How much it counts.
    pub points: Points,
    /// What it is for.
    pub reason: Text<2_000>,
    /// 0 or none: what is added is new.
    #[serde(default)]
    pub version: u64,
}

const INSERT: &str = concat!(
    "INSERT INTO merit (cadet_id, merit_id, merit_id_json, type, points, reason, version, changed_by, changed_at_ms) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING ",
    merit_columns!()
);
const SELECT: &str = concat!("SELECT ", merit_columns!(), " FROM merit WHERE cadet_id = $1 AND merit_id = $2");

impl Command for AddMerit {
    const NAME: &'static str = "add_merit";
    type Answer = MeritAnswer;

    fn permit(&self, caller: &Caller) -> Result<(), Refusal> {
        permission::may_grade(caller)
    }

    fn check(&self) -> Result<(), Refusal> {
        if self.version != 0 {
            return Err(Refusal::new(ErrorCode::InvalidData, "version: what is added is new, so its version is 0 or left out"));
        }
        match &self.merit_id {
            Some(id) if id.as_str().starts_with(MADE) => {
                Err(Refusal::new(ErrorCode::InvalidData, format!("merit_id: ids that begin with {MADE} are made here")))
            }
            _ => Ok(()),
        }
    }

    async fn run(&self, ctx: &mut Ctx<'_>) -> Result<MeritAnswer, UnitError> {
        if let Some(merit_id) = &self.merit_id {
            // Of two who add the same merit at once, the second looks when the first is done.
            Sheet::lock(ctx, &self.cadet_id).await?;
            if let Some(known) = self.known(ctx, merit_id).await? {
                return self.answer_known(merit_id, &known);
            }
        }
        let sheet = Sheet::add(ctx, &self.cadet_id, sums(self.kind, self.points.as_i64())).await?;
        let made = || Id::new(&format!("{MADE}{}", sheet.version)).expect("a short word is an id");
        let merit_id = self.merit_id.clone().unwrap_or_else(made);
        let merit = self.insert(ctx, &merit_id, sheet.version).await?;
        let change = Change { cadet_id: Some(&self.cadet_id), what: "merit", entry_id: Some(&merit_id) };
        change.record(ctx, None, Some(&merit)).await?;
        merit.emit(ctx, merit.points, &sheet)?;
        Ok(MeritAnswer::new(&self.cadet_id, &merit_id, merit.version, true))
    }
}

impl AddMerit {
    async fn known(&self, ctx: &mut Ctx<'_>, merit_id: &Id) -> Result<Option<Merit>, UnitError> {
        let rows = ctx.fetch(SELECT, &[self.cadet_id.as_str().into(), merit_id.as_str().into()]).await?;
        Ok(rows.first().map(Merit::of).transpose()?)
    }

    /// The same merit told again is no change; another one by its id is a mistake.
    fn answer_known(&self, merit_id: &Id, known: &Merit) -> Result<MeritAnswer, UnitError> {
        let given = (self.kind, self.points.as_i64(), self.reason.as_str());
        match given == (known.kind, known.points, known.reason.as_str()) {
            true => Ok(MeritAnswer::new(&self.cadet_id, merit_id, known.version, false)),
            false => Err(stale(known)),
        }
    }

    async fn insert(&self, ctx: &mut Ctx<'_>, merit_id: &Id, version: u64) -> Result<Merit, UnitError> {
        let [changed_by, changed_at_ms] = by_whom_and_when(ctx);
        let values = [
            self.cadet_id.as_str().into(),
            merit_id.as_str().into(),
            spelling::to_json(merit_id).into(),
            self.kind.as_str().into(),
            self.points.as_i64().into(),
            self.reason.as_str().into(),
            version.into(),
            changed_by,
            changed_at_ms,
        ];
        let inserted = ctx.fetch(INSERT, &values).await?;
        let row = inserted.first().ok_or_else(|| JournalError::Statement("an inserted merit answers its row".into()))?;
        Ok(Merit::of(row)?)
    }
}
