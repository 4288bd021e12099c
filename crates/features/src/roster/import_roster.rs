//! `import_roster`: many rows in one transaction, all or nothing. Importing the same again changes nothing.

use super::{RegisterPerson, SaveCourse, SavePerson, WithdrawPerson, permission};
use campanile_contract::{Caller, Command, Ctx, ErrorCode, Refusal, UnitError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Rows of one import: what one transaction does well within its time limit.
pub const IMPORT_ROWS_MAX: usize = 1_000;

/// Saves courses and people, then registers, then withdraws. A row is what the command of that name takes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ImportRoster {
    /// Courses to save.
    pub courses: Vec<SaveCourse>,
    /// People to save.
    pub people: Vec<SavePerson>,
    /// Who to register where.
    pub registrations: Vec<RegisterPerson>,
    /// Who to withdraw from where.
    pub withdrawals: Vec<WithdrawPerson>,
}

/// The answer.
#[derive(Serialize, JsonSchema)]
pub struct ImportAnswer {
    /// Rows that changed something.
    saved: u64,
    /// Rows that were so already.
    unchanged: u64,
}

impl Command for ImportRoster {
    const NAME: &'static str = "import_roster";
    type Answer = ImportAnswer;

    fn permit(&self, caller: &Caller) -> Result<(), Refusal> {
        permission::may_manage(caller)
    }

    fn check(&self) -> Result<(), Refusal> {
        match self.rows() {
            0..=IMPORT_ROWS_MAX => Ok(()),
            rows => {
                let message = format!("an import has at most {IMPORT_ROWS_MAX} rows, not {rows}");
                Err(Refusal::new(ErrorCode::MessageTooBig, message))
            }
        }
    }

    async fn run(&self, ctx: &mut Ctx<'_>) -> Result<ImportAnswer, UnitError> {
        let mut answer = ImportAnswer { saved: 0, unchanged: 0 };
        // Two imports at once lock the same rows in the same order, so that neither has to be run again.
        for (_, course) in in_order(&self.courses, |row| &row.course_id) {
            answer.count(course.run(ctx).await?.changed);
        }
        for (_, person) in in_order(&self.people, |row| &row.person_id) {
            answer.count(person.run(ctx).await?.changed);
        }
        for (place, registration) in in_order(&self.registrations, |row| (&row.course_id, &row.person_id)) {
            let result = registration.run(ctx).await.map_err(|error| at_row(place, error));
            answer.count(result?.changed);
        }
        for (_, withdrawal) in in_order(&self.withdrawals, |row| (&row.course_id, &row.person_id)) {
            answer.count(withdrawal.run(ctx).await?.changed);
        }
        Ok(answer)
    }
}

impl ImportRoster {
    /// Rows of all kinds.
    pub fn rows(&self) -> usize {
        self.courses.len() + self.people.len() + self.registrations.len() + self.withdrawals.len()
    }
}

impl ImportAnswer {
    fn count(&mut self, changed: bool) {
        self.saved += u64::from(changed);
        self.unchanged += u64::from(!changed);
    }
}

/// Rows by their key, each with its place in the request. Rows of one key keep their order: the last one wins.
fn in_order<'a, Row, Key: Ord>(rows: &'a [Row], key: impl Fn(&'a Row) -> Key) -> Vec<(usize, &'a Row)> {
    let mut ordered: Vec<_> = rows.iter().enumerate().collect();
    ordered.sort_by_key(|&(_, row)| key(row));
    ordered
}

/// Only a registration can be refused for what the roster holds; the sentence says which one it was.
fn at_row(place: usize, error: UnitError) -> UnitError {
    match error {
        UnitError::Refused(refusal) => {
            Refusal::new(refusal.code, format!("registrations[{place}]: {}", refusal.message)).into()
        }
        store => store,
    }
}
