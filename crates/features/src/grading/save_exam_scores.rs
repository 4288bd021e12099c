//! `save_exam_scores`: some of a cadet's scores are written or cleared. Of two graders with the same version one is late.

use super::change::Change;
use super::event::{self, ExamScoreUpdate};
use super::permission;
use super::save_cadet::SheetAnswer;
use super::sheet::{Sheet, by_whom_and_when, sheet_columns};
use campanile_contract::{Caller, Channel, Command, Ctx, Id, Percent, Refusal, UnitError, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;

/// Writes the scores that are given here, and leaves the others as they are. Null clears one.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SaveExamScores {
    /// Whose.
    pub cadet_id: Id,
    /// 0 to 100.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "Option<Percent>")]
    pub prelim_score: Given,
    /// 0 to 100.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "Option<Percent>")]
    pub midterm_score: Given,
    /// 0 to 100.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "Option<Percent>")]
    pub final_score: Given,
    /// The version of the sheet that was read.
    #[serde(default)]
    pub version: u64,
}

/// A score that may be left out, which is not the same as null.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Given {
    /// Left out: stays as it is.
    #[default]
    Nothing,
    /// Null: cleared.
    Cleared,
    /// Written.
    Score(Percent),
}

const UPDATE: &str = concat!(
    "UPDATE cadet SET prelim_score = $2, midterm_score = $3, final_score = $4, version = version + 1, \
     changed_by = $6, changed_at_ms = $7 WHERE cadet_id = $1 AND version = $5 RETURNING ",
    sheet_columns!()
);

impl Command for SaveExamScores {
    const NAME: &'static str = "save_exam_scores";
    type Answer = SheetAnswer;

    fn permit(&self, caller: &Caller) -> Result<(), Refusal> {
        permission::may_grade(caller)
    }

    async fn run(&self, ctx: &mut Ctx<'_>) -> Result<SheetAnswer, UnitError> {
        let before = Sheet::find(ctx, &self.cadet_id).await?;
        if before.version != self.version {
            return Err(before.stale());
        }
        let scores = self.scores_after(&before);
        if scores == [before.prelim_score, before.midterm_score, before.final_score] {
            return Ok(SheetAnswer::new(&self.cadet_id, &before, false));
        }
        let [changed_by, changed_at_ms] = by_whom_and_when(ctx);
        let [prelim, midterm, last] = scores.map(Value::from);
        let values = [self.cadet_id.as_str().into(), prelim, midterm, last, self.version.into(), changed_by, changed_at_ms];
        let updated = ctx.fetch(UPDATE, &values).await?;
        // The row had this version when it was read and has it still: nobody's score is lost.
        let Some(sheet) = Sheet::in_first(&updated)? else { return Err(Sheet::find(ctx, &self.cadet_id).await?.stale()) };
        let change = Change { cadet_id: Some(&self.cadet_id), what: "exam_scores", entry_id: None };
        change.record(ctx, Some(&before), Some(&sheet)).await?;
        emit(ctx, &before, &sheet);
        Ok(SheetAnswer::new(&self.cadet_id, &sheet, true))
    }
}

impl SaveExamScores {
    fn scores_after(&self, before: &Sheet) -> [Option<f64>; 3] {
        [
            self.prelim_score.after(before.prelim_score),
            self.midterm_score.after(before.midterm_score),
            self.final_score.after(before.final_score),
        ]
    }
}

impl Given {
    fn after(self, before: Option<f64>) -> Option<f64> {
        match self {
            Self::Nothing => before,
            Self::Cleared => None,
            Self::Score(score) => Some(score.as_f64()),
        }
    }
}

/// Called only where the field is there at all.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Given, D::Error> {
    Ok(Option::<Percent>::deserialize(deserializer)?.map_or(Given::Cleared, Given::Score))
}

fn emit(ctx: &mut Ctx<'_>, before: &Sheet, after: &Sheet) {
    let scores = [
        ("prelim_score", before.prelim_score, after.prelim_score),
        ("midterm_score", before.midterm_score, after.midterm_score),
        ("final_score", before.final_score, after.final_score),
    ];
    let changed: BTreeMap<_, _> =
        scores.iter().filter(|(_, old, new)| old != new).map(|(name, _, new)| ((*name).to_owned(), *new)).collect();
    let data = ExamScoreUpdate {
        cadet_id: Some(after.cadet_id.clone()),
        prelim_score: after.prelim_score,
        midterm_score: after.midterm_score,
        final_score: after.final_score,
        changed_scores: Some(changed),
    };
    ctx.emit(&event::EXAM_SCORE_UPDATE, Channel::new("cadet", &after.cadet_id), &data);
}
