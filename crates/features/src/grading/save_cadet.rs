//! `save_cadet`: a cadet gets a sheet, or another name on it.

use super::change::Change;
use super::permission;
use super::sheet::{Sheet, by_whom_and_when, sheet_columns};
use super::spelling;
use campanile_contract::{Caller, Command, Ctx, Id, Line, Refusal, UnitError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Makes the cadet, or names them as given here.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SaveCadet {
    /// The cadet.
    pub cadet_id: Id,
    /// What they are called.
    pub name: Line<200>,
    /// The version that was read; 0 or none for a new cadet.
    #[serde(default)]
    pub version: u64,
}

/// The answer to a change of a sheet.
#[derive(Serialize, JsonSchema)]
pub struct SheetAnswer {
    cadet_id: Id,
    /// The sheet's version now.
    version: u64,
    /// Whether anything is different now.
    changed: bool,
}

const INSERT: &str = concat!(
    "INSERT INTO cadet (cadet_id, cadet_id_json, name, merit_points, demerit_points, attendance_present, version, \
     changed_by, changed_at_ms) VALUES ($1, $2, $3, 0, 0, 0, 1, $4, $5) ON CONFLICT (cadet_id) DO NOTHING RETURNING ",
    sheet_columns!()
);
const UPDATE: &str = concat!(
    "UPDATE cadet SET name = $2, version = version + 1, changed_by = $4, changed_at_ms = $5 \
     WHERE cadet_id = $1 AND version = $3 RETURNING ",
    sheet_columns!()
);

impl Command for SaveCadet {
    const NAME: &'static str = "save_cadet";
    type Answer = SheetAnswer;

    fn permit(&self, caller: &Caller) -> Result<(), Refusal> {
        permission::may_grade(caller)
    }

    async fn run(&self, ctx: &mut Ctx<'_>) -> Result<SheetAnswer, UnitError> {
        match self.version {
            0 => self.insert(ctx).await,
            _ => self.update(ctx).await,
        }
    }
}

impl SaveCadet {
    async fn insert(&self, ctx: &mut Ctx<'_>) -> Result<SheetAnswer, UnitError> {
        let [changed_by, changed_at_ms] = by_whom_and_when(ctx);
        let cadet_id_json = spelling::to_json(&self.cadet_id).into();
        let values = [self.cadet_id.as_str().into(), cadet_id_json, self.name.as_str().into(), changed_by, changed_at_ms];
        let inserted = ctx.fetch(INSERT, &values).await?;
        let Some(sheet) = Sheet::in_first(&inserted)? else {
            let known = Sheet::find(ctx, &self.cadet_id).await?;
            // The same cadet told again is no change, so that a host can tell them every night.
            return if known.name == self.name.as_str() { Ok(self.answer(&known, false)) } else { Err(known.stale()) };
        };
        self.record(ctx, None, &sheet).await?;
        Ok(self.answer(&sheet, true))
    }

    async fn update(&self, ctx: &mut Ctx<'_>) -> Result<SheetAnswer, UnitError> {
        let before = Sheet::find(ctx, &self.cadet_id).await?;
        if before.version != self.version {
            return Err(before.stale());
        }
        if before.name == self.name.as_str() {
            return Ok(self.answer(&before, false));
        }
        let [changed_by, changed_at_ms] = by_whom_and_when(ctx);
        let values = [self.cadet_id.as_str().into(), self.name.as_str().into(), self.version.into(), changed_by, changed_at_ms];
        let updated = ctx.fetch(UPDATE, &values).await?;
        // The row had this version when it was read and has it still: it is the same row.
        let Some(sheet) = Sheet::in_first(&updated)? else { return Err(Sheet::find(ctx, &self.cadet_id).await?.stale()) };
        self.record(ctx, Some(&before), &sheet).await?;
        Ok(self.answer(&sheet, true))
    }

    async fn record(&self, ctx: &mut Ctx<'_>, before: Option<&Sheet>, after: &Sheet) -> Result<(), UnitError> {
        let change = Change { cadet_id: Some(&self.cadet_id), what: "cadet", entry_id: None };
        change.record(ctx, before, Some(after)).await
    }

    fn answer(&self, sheet: &Sheet, changed: bool) -> SheetAnswer {
        SheetAnswer::new(&self.cadet_id, sheet, changed)
    }
}

impl SheetAnswer {
    /// What whoever asked for a change of this sheet is told.
    pub(super) fn new(cadet_id: &Id, sheet: &Sheet, changed: bool) -> Self {
        Self { cadet_id: cadet_id.clone(), version: sheet.version, changed }
    }
}
