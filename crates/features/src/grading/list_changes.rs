//! `list_changes`: who changed what of a cadet's sheet, and when. For graders, and for the cadet.

use super::permission;
use super::sheet::Sheet;
use campanile_contract::{Asked, Caller, Id, JournalError, PageLimit, Query, Reader, Refusal, Row, Timestamp, UnitError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Asks for changes, a page at a time, from the oldest on.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListChanges {
    /// Whose.
    pub cadet_id: Id,
    /// `next` of the page before; none is the first page.
    pub after: Option<Asked<u64>>,
    /// Changes on a page.
    #[serde(default)]
    pub limit: PageLimit,
}

/// The answer.
#[derive(Serialize, JsonSchema)]
pub struct ChangesAnswer {
    /// In the order in which they happened.
    changes: Vec<ChangeOfSheet>,
    /// Pass it as `after` to go on; null when this was the last page.
    next: Option<u64>,
}

/// One change.
#[derive(Serialize, JsonSchema)]
pub struct ChangeOfSheet {
    change_id: u64,
    /// `cadet`, `merit`, `attendance` or `exam_scores`.
    what: String,
    /// The merit or the training day, by the canonical text of its id.
    entry_id: Option<String>,
    /// `user:{id}` or `key:{name}`.
    changed_by: String,
    changed_at: Timestamp,
    /// The row before; null where there was none.
    #[schemars(with = "Option<serde_json::Map<String, serde_json::Value>>")]
    before: Option<Box<RawValue>>,
    /// The row after; null where there is none any more.
    #[schemars(with = "Option<serde_json::Map<String, serde_json::Value>>")]
    after: Option<Box<RawValue>>,
}

const PAGE: &str = "SELECT change_id, what, entry_id, changed_by, changed_at_ms, before_json, after_json FROM grading_change \
     WHERE cadet_id = $1 AND change_id > $2 ORDER BY change_id LIMIT $3";

impl Query for ListChanges {
    const NAME: &'static str = "list_changes";
    type Answer = ChangesAnswer;

    fn permit(&self, caller: &Caller) -> Result<(), Refusal> {
        permission::may_read(caller, &self.cadet_id)
    }

    async fn read(&self, _: &Caller, reader: &mut Reader) -> Result<ChangesAnswer, UnitError> {
        Sheet::read(reader, &self.cadet_id).await?;
        let after = self.after.map_or(0, |Asked(after)| after);
        let values = [self.cadet_id.as_str().into(), after.into(), self.limit.rows().into()];
        let rows = reader.fetch(PAGE, &values).await?;
        let changes = rows.iter().map(change_of).collect::<Result<Vec<_>, _>>()?;
        let next = changes.last().filter(|_| self.limit.is_full(changes.len())).map(|change| change.change_id);
        Ok(ChangesAnswer { changes, next })
    }
}

fn change_of(row: &Row) -> Result<ChangeOfSheet, JournalError> {
    let json = |column: &str| {
        let text = row.text_or_null(column)?;
        let broken = |_| JournalError::Statement(format!("a stored {column} is broken"));
        text.map(RawValue::from_string).transpose().map_err(broken)
    };
    Ok(ChangeOfSheet {
        change_id: row.count("change_id")?,
        what: row.text("what")?,
        entry_id: row.text_or_null("entry_id")?,
        changed_by: row.text("changed_by")?,
        changed_at: Timestamp::at_ms(row.int("changed_at_ms")?),
        before: json("before_json")?,
        after: json("after_json")?,
    })
}
