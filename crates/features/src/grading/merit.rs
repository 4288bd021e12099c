//! A merit or demerit: the entry of a sheet, and what cadet and staff are told of it.

use super::event::{self, GradeUpdate};
use super::field::MeritType;
use super::sheet::{Sheet, Sums};
use super::spelling;
use campanile_contract::{Channel, Ctx, ErrorCode, Id, JournalError, Line, Refusal, Row, Text, Timestamp, UnitError};
use schemars::JsonSchema;
use serde::Serialize;

/// A merit or demerit of a cadet.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Merit {
    pub merit_id: Id,
    #[serde(rename = "type")]
    pub kind: MeritType,
    pub points: i64,
    pub reason: String,
    /// Raised by every change of it.
    pub version: u64,
    /// `user:{id}` or `key:{name}`.
    pub changed_by: String,
    pub changed_at: Timestamp,
}

/// The answer to a change of a merit.
#[derive(Serialize, JsonSchema)]
pub struct MeritAnswer {
    cadet_id: Id,
    merit_id: Id,
    /// The merit's version now; of one that was removed, the version of its cadet's sheet.
    version: u64,
    /// Whether anything is different now.
    changed: bool,
}

/// The columns of a merit, for a literal.
macro_rules! merit_columns {
    () => {
        "merit_id_json, type, points, reason, version, changed_by, changed_at_ms"
    };
}
pub(super) use merit_columns;

const SELECT: &str = concat!("SELECT ", merit_columns!(), " FROM merit WHERE cadet_id = $1 AND merit_id = $2");

impl Merit {
    /// A merit from its row.
    pub fn of(row: &Row) -> Result<Self, JournalError> {
        let kind = MeritType::of(&row.text("type")?);
        Ok(Self {
            merit_id: spelling::of_json(&row.text("merit_id_json")?)?,
            kind: kind.ok_or_else(|| JournalError::Statement("a stored type of merit is broken".into()))?,
            points: row.int("points")?,
            reason: row.text("reason")?,
            version: row.count("version")?,
            changed_by: row.text("changed_by")?,
            changed_at: Timestamp::at_ms(row.int("changed_at_ms")?),
        })
    }

    /// The merit as it is now.
    ///
    /// # Errors
    /// `not_found` when the cadet has no such merit, or not any more.
    pub async fn find(ctx: &mut Ctx<'_>, cadet_id: &Id, merit_id: &Id) -> Result<Self, UnitError> {
        match ctx.fetch(SELECT, &[cadet_id.as_str().into(), merit_id.as_str().into()]).await?.first() {
            Some(row) => Ok(Self::of(row)?),
            None => Err(Refusal::new(ErrorCode::NotFound, format!("cadet {cadet_id} has no merit {merit_id}")).into()),
        }
    }

    /// What it adds to the sums of its sheet.
    pub fn sums(&self) -> Sums {
        sums(self.kind, self.points)
    }

    /// Tells the cadet and the staff: the entry with so many points now, and the sheet as it is with it.
    pub fn emit(&self, ctx: &mut Ctx<'_>, points: i64, sheet: &Sheet) -> Result<(), UnitError> {
        let broken = |_| JournalError::Statement("a stored merit cannot be told".into());
        let data = GradeUpdate {
            cadet_id: Some(sheet.cadet_id.clone()),
            kind: Some(Line::new(self.kind.as_str()).map_err(broken)?),
            points: Some(points),
            merit_points: Some(sheet.merit_points),
            demerit_points: Some(sheet.demerit_points),
            reason: Some(Text::new(self.reason.as_str()).map_err(broken)?),
            attendance_present: Some(sheet.attendance_present),
            prelim_score: sheet.prelim_score,
            midterm_score: sheet.midterm_score,
            final_score: sheet.final_score,
        };
        ctx.emit(&event::GRADE_UPDATE, Channel::new("cadet", &sheet.cadet_id), &data);
        Ok(())
    }
}

impl MeritAnswer {
    /// What whoever asked is told.
    pub(super) fn new(cadet_id: &Id, merit_id: &Id, version: u64, changed: bool) -> Self {
        Self { cadet_id: cadet_id.clone(), merit_id: merit_id.clone(), version, changed }
    }
}

/// What so many points of this kind add to the sums of a sheet.
pub fn sums(kind: MeritType, points: i64) -> Sums {
    match kind {
        MeritType::Merit => Sums { merit_points: points, ..Sums::default() },
        MeritType::Demerit => Sums { demerit_points: points, ..Sums::default() },
    }
}
