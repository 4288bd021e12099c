//! How the ids of a registration were first spelled: a later `"7"` from a path must not turn everybody's `7` into a text.

use campanile_contract::{Ctx, ErrorCode, Id, JournalError, Refusal, UnitError};

const READ: &str = "SELECT (SELECT course_id_json FROM course WHERE course_id = $1) AS course_id_json, \
     (SELECT person_id_json FROM person WHERE person_id = $2) AS person_id_json";

/// The course's and the person's id. Neither is ever removed, so what was found stays true to the end of the transaction.
///
/// # Errors
/// `not_found` when the roster does not know one of them.
pub async fn course_and_person(ctx: &mut Ctx<'_>, course_id: &Id, person_id: &Id) -> Result<(Id, Id), UnitError> {
    let rows = ctx.fetch(READ, &[course_id.as_str().into(), person_id.as_str().into()]).await?;
    let row = rows.first().ok_or_else(|| JournalError::Statement("a SELECT without FROM answers one row".into()))?;
    let unknown = |what: &str, id: &Id| Refusal::new(ErrorCode::NotFound, format!("the roster knows no {what} {id}"));
    let course_json = row.text_or_null("course_id_json")?.ok_or_else(|| unknown("course", course_id))?;
    let person_json = row.text_or_null("person_id_json")?.ok_or_else(|| unknown("person", person_id))?;
    Ok((of_json(&course_json)?, of_json(&person_json)?))
}

/// An id from its `_json` column.
pub fn of_json(json: &str) -> Result<Id, JournalError> {
    Id::from_json_text(json).ok_or_else(|| JournalError::Statement("a stored id is broken".into()))
}

/// An id for its `_json` column.
pub fn to_json(id: &Id) -> String {
    id.to_json().to_string()
}
