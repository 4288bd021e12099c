//! `change_merit` and `remove_merit`: what a grader gave is corrected or taken back, if it is still as the grader read it.

use super::change::Change;
use super::field::{MeritType, Points};
use super::merit::{Merit, MeritAnswer, merit_columns, sums};
use super::permission;
use super::sheet::{Sheet, Sums, by_whom_and_when, stale};
use campanile_contract::{Caller, Command, Ctx, Id, Refusal, Text, UnitError};
use schemars::JsonSchema;
use serde::Deserialize;

/// Makes a merit or demerit what is given here.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeMerit {
    /// Whose.
    pub cadet_id: Id,
    /// Which.
    pub merit_id: Id,
    /// Whether it is for or against the cadet.
    #[serde(rename = "type")]
    pub kind: MeritType,
    /// How much it counts.
    pub points: Points,
    /// What it is for.
    pub reason: Text<2_000>,
    /// The version of the merit that was read.
    #[serde(default)]
    pub version: u64,
}

/// Takes a merit or demerit back.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoveMerit {
    /// Whose.
    pub cadet_id: Id,
    /// Which.
    pub merit_id: Id,
    /// The version of the merit that was read.
    #[serde(default)]
    pub version: u64,
}

const UPDATE: &str = concat!(
    "UPDATE merit SET type = $4, points = $5, reason = $6, version = $7, changed_by = $8, changed_at_ms = $9 \
     WHERE cadet_id = $1 AND merit_id = $2 AND version = $3 RETURNING ",
    merit_columns!()
);
const DELETE: &str = "DELETE FROM merit WHERE cadet_id = $1 AND merit_id = $2 AND version = $3";

impl Command for ChangeMerit {
    const NAME: &'static str = "change_merit";
    type Answer = MeritAnswer;

    fn permit(&self, caller: &Caller) -> Result<(), Refusal> {
        permission::may_grade(caller)
    }

    async fn run(&self, ctx: &mut Ctx<'_>) -> Result<MeritAnswer, UnitError> {
        let before = read_as(ctx, &self.cadet_id, &self.merit_id, self.version).await?;
        let given = (self.kind, self.points.as_i64(), self.reason.as_str());
        if given == (before.kind, before.points, before.reason.as_str()) {
            return Ok(MeritAnswer::new(&self.cadet_id, &self.merit_id, before.version, false));
        }
        let sheet = Sheet::add(ctx, &self.cadet_id, before.sums().to(sums(self.kind, self.points.as_i64()))).await?;
        let [changed_by, changed_at_ms] = by_whom_and_when(ctx);
        let values = [
            self.cadet_id.as_str().into(),
            self.merit_id.as_str().into(),
            self.version.into(),
            self.kind.as_str().into(),
            self.points.as_i64().into(),
            self.reason.as_str().into(),
            sheet.version.into(),
            changed_by,
            changed_at_ms,
        ];
        let updated = ctx.fetch(UPDATE, &values).await?;
        // Refusing undoes what was added to the sheet above.
        let Some(row) = updated.first() else { return Err(late(ctx, &self.cadet_id, &self.merit_id).await) };
        let after = Merit::of(row)?;
        let change = Change { cadet_id: Some(&self.cadet_id), what: "merit", entry_id: Some(&self.merit_id) };
        change.record(ctx, Some(&before), Some(&after)).await?;
        after.emit(ctx, after.points, &sheet)?;
        Ok(MeritAnswer::new(&self.cadet_id, &self.merit_id, after.version, true))
    }
}

impl Command for RemoveMerit {
    const NAME: &'static str = "remove_merit";
    type Answer = MeritAnswer;

    fn permit(&self, caller: &Caller) -> Result<(), Refusal> {
        permission::may_grade(caller)
    }

    async fn run(&self, ctx: &mut Ctx<'_>) -> Result<MeritAnswer, UnitError> {
        let before = read_as(ctx, &self.cadet_id, &self.merit_id, self.version).await?;
        let sheet = Sheet::add(ctx, &self.cadet_id, before.sums().to(Sums::default())).await?;
        let values = [self.cadet_id.as_str().into(), self.merit_id.as_str().into(), self.version.into()];
        if ctx.execute(DELETE, &values).await? == 0 {
            return Err(late(ctx, &self.cadet_id, &self.merit_id).await);
        }
        let change = Change { cadet_id: Some(&self.cadet_id), what: "merit", entry_id: Some(&self.merit_id) };
        change.record(ctx, Some(&before), None).await?;
        before.emit(ctx, 0, &sheet)?;
        Ok(MeritAnswer::new(&self.cadet_id, &self.merit_id, sheet.version, true))
    }
}

/// The merit, if it is still as the grader read it. The statement that changes it asks for the version again and decides.
async fn read_as(ctx: &mut Ctx<'_>, cadet_id: &Id, merit_id: &Id, version: u64) -> Result<Merit, UnitError> {
    let merit = Merit::find(ctx, cadet_id, merit_id).await?;
    if merit.version == version { Ok(merit) } else { Err(stale(&merit)) }
}

/// What somebody is told who was overtaken: the merit as it is now, or that there is none any more.
async fn late(ctx: &mut Ctx<'_>, cadet_id: &Id, merit_id: &Id) -> UnitError {
    match Merit::find(ctx, cadet_id, merit_id).await {
        Ok(merit) => stale(&merit),
        Err(error) => error,
    }
}
