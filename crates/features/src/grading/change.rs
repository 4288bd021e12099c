//! The record of who changed what and when; written in the commit of the change itself.

use super::sheet::by_whom_and_when;
use campanile_contract::{Ctx, Id, UnitError, Value};
use serde::Serialize;

/// What changed, and where.
pub struct Change<'a> {
    pub cadet_id: Option<&'a Id>,
    /// `cadet`, `merit`, `training_day`, `attendance` or `exam_scores`.
    pub what: &'static str,
    /// The merit or the training day.
    pub entry_id: Option<&'a Id>,
}

const INSERT: &str = "INSERT INTO grading_change (cadet_id, what, entry_id, before_json, after_json, changed_by, changed_at_ms) \
     VALUES ($1, $2, $3, $4, $5, $6, $7)";

impl Change<'_> {
    /// Records the rows before and after it.
    pub async fn record<Entry: Serialize>(
        &self,
        ctx: &mut Ctx<'_>,
        before: Option<&Entry>,
        after: Option<&Entry>,
    ) -> Result<(), UnitError> {
        let text = |id: Option<&Id>| Value::from(id.map(|id| id.as_str().to_owned()));
        let json = |entry: &Entry| serde_json::to_string(entry).expect("a row shows as JSON");
        let [changed_by, changed_at_ms] = by_whom_and_when(ctx);
        let values = [
            text(self.cadet_id),
            self.what.into(),
            text(self.entry_id),
            before.map(json).into(),
            after.map(json).into(),
            changed_by,
            changed_at_ms,
        ];
        ctx.execute(INSERT, &values).await?;
        Ok(())
    }
}
