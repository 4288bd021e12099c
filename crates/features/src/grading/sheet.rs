//! A cadet's sheet: the row that all graders change, and its one way to be shown.
//!
//! Invariant: who changes an entry of a sheet changes the sheet first. That locks it, so the changes of one cadet happen one after
//! another, are numbered in that order, and never wait for each other in a circle.

use super::spelling;
use campanile_contract::{Ctx, ErrorCode, Id, JournalError, Reader, Refusal, Row, Timestamp, UnitError, Value};
use schemars::JsonSchema;
use serde::Serialize;

/// A cadet's sheet.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Sheet {
    pub cadet_id: Id,
    pub name: String,
    /// The sum of all merits.
    pub merit_points: i64,
    /// The sum of all demerits.
    pub demerit_points: i64,
    /// How many training days the cadet was present at.
    pub attendance_present: i64,
    pub prelim_score: Option<f64>,
    pub midterm_score: Option<f64>,
    pub final_score: Option<f64>,
    /// Raised by every change of the sheet, of its merits and of its attendance.
    pub version: u64,
    /// `user:{id}` or `key:{name}`.
    pub changed_by: String,
    pub changed_at: Timestamp,
}

/// What a change of an entry adds to the sums of its sheet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    pub merit_points: i64,
    pub demerit_points: i64,
    pub attendance_present: i64,
}

/// The columns of a sheet, for a literal.
macro_rules! sheet_columns {
    () => {
        "cadet_id_json, name, merit_points, demerit_points, attendance_present, prelim_score, midterm_score, final_score, \
         version, changed_by, changed_at_ms"
    };
}
pub(super) use sheet_columns;

const SELECT: &str = concat!("SELECT ", sheet_columns!(), " FROM cadet WHERE cadet_id = $1");
/// Changes nothing, which locks the row on every engine.
const LOCK: &str = concat!("UPDATE cadet SET version = version WHERE cadet_id = $1 RETURNING ", sheet_columns!());
/// Needs no version: sums that are added to are right whoever comes first.
const ADD: &str = concat!(
    "UPDATE cadet SET merit_points = merit_points + $2, demerit_points = demerit_points + $3, \
     attendance_present = attendance_present + $4, version = version + 1, changed_by = $5, changed_at_ms = $6 \
     WHERE cadet_id = $1 RETURNING ",
    sheet_columns!()
);

impl Sheet {
    /// A sheet from its row.
    pub fn of(row: &Row) -> Result<Self, JournalError> {
        Ok(Self {
            cadet_id: spelling::of_json(&row.text("cadet_id_json")?)?,
            name: row.text("name")?,
            merit_points: row.int("merit_points")?,
            demerit_points: row.int("demerit_points")?,
            attendance_present: row.int("attendance_present")?,
            prelim_score: row.real_or_null("prelim_score")?,
            midterm_score: row.real_or_null("midterm_score")?,
            final_score: row.real_or_null("final_score")?,
            version: row.count("version")?,
            changed_by: row.text("changed_by")?,
            changed_at: Timestamp::at_ms(row.int("changed_at_ms")?),
        })
    }

    /// The sheet as it is now.
    ///
    /// # Errors
    /// `not_found` when there is no such cadet. None is ever removed, so what was found stays there.
    pub async fn find(ctx: &mut Ctx<'_>, cadet_id: &Id) -> Result<Self, UnitError> {
        let rows = ctx.fetch(SELECT, &[cadet_id.as_str().into()]).await?;
        Self::first(&rows, cadet_id)
    }

    /// As [`Sheet::find`], for a query.
    pub async fn read(reader: &mut Reader, cadet_id: &Id) -> Result<Self, UnitError> {
        let rows = reader.fetch(SELECT, &[cadet_id.as_str().into()]).await?;
        Self::first(&rows, cadet_id)
    }

    /// The first of these rows, or none where the statement changed nothing.
    pub fn in_first(rows: &[Row]) -> Result<Option<Self>, JournalError> {
        rows.first().map(Self::of).transpose()
    }

    /// Holds the sheet to the end of the transaction: what is read of its entries from now on stays true.
    pub async fn lock(ctx: &mut Ctx<'_>, cadet_id: &Id) -> Result<Self, UnitError> {
        let rows = ctx.fetch(LOCK, &[cadet_id.as_str().into()]).await?;
        Self::first(&rows, cadet_id)
    }

    /// Adds to the sums, and raises the version, which is the new version of the entry too.
    pub async fn add(ctx: &mut Ctx<'_>, cadet_id: &Id, sums: Sums) -> Result<Self, UnitError> {
        let [changed_by, changed_at_ms] = by_whom_and_when(ctx);
        let Sums { merit_points, demerit_points, attendance_present } = sums;
        let sums = [merit_points.into(), demerit_points.into(), attendance_present.into()];
        let values = [&[cadet_id.as_str().into()], &sums[..], &[changed_by, changed_at_ms]].concat();
        let rows = ctx.fetch(ADD, &values).await?;
        Self::first(&rows, cadet_id)
    }

    /// The refusal of a change that was decided by an older version than this.
    pub fn stale(&self) -> UnitError {
        stale(self)
    }

    fn first(rows: &[Row], cadet_id: &Id) -> Result<Self, UnitError> {
        match Self::in_first(rows)? {
            Some(sheet) => Ok(sheet),
            None => Err(Refusal::new(ErrorCode::NotFound, format!("there is no cadet {cadet_id}")).into()),
        }
    }
}

impl Sums {
    /// What is added where this is replaced by `after`.
    pub fn to(self, after: Self) -> Self {
        Self {
            merit_points: after.merit_points - self.merit_points,
            demerit_points: after.demerit_points - self.demerit_points,
            attendance_present: after.attendance_present - self.attendance_present,
        }
    }
}

/// The refusal of a change that was decided by an older version than this row's.
pub fn stale(current: &impl Serialize) -> UnitError {
    Refusal::stale(serde_json::to_value(current).expect("a row shows as JSON")).into()
}

/// The columns `changed_by` and `changed_at_ms` of what this command changes.
pub fn by_whom_and_when(ctx: &Ctx<'_>) -> [Value; 2] {
    [ctx.caller().key().into(), ctx.now_ms().into()]
}
