//! `mark_attendance`: whether a cadet was at a training day. The sheet's count moves along in the same commit.

use super::change::Change;
use super::event::{self, AttendanceUpdate};
use super::field::{AttendanceStatus, WallTime};
use super::permission;
use super::save_training_day::TrainingDay;
use super::sheet::{Sheet, Sums, by_whom_and_when, stale};
use super::spelling;
use campanile_contract::{
    Caller, Channel, Command, Ctx, ErrorCode, Id, JournalError, Line, Refusal, Row, Timestamp, UnitError, Value,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Marks the attendance as it is given here.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MarkAttendance {
    /// When.
    pub training_day_id: Id,
    /// Who.
    pub cadet_id: Id,
    /// Whether they were there.
    pub status: AttendanceStatus,
    /// When they came.
    pub time_in: Option<WallTime>,
    /// When they left.
    pub time_out: Option<WallTime>,
    /// The version of this mark that was read; 0 or none for a new one.
    #[serde(default)]
    pub version: u64,
}

/// One mark.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Attendance {
    pub cadet_id: Id,
    pub status: AttendanceStatus,
    pub time_in: Option<String>,
    pub time_out: Option<String>,
    /// Raised by every change of it.
    pub version: u64,
    /// `user:{id}` or `key:{name}`.
    pub changed_by: String,
    pub changed_at: Timestamp,
}

/// The answer.
#[derive(Serialize, JsonSchema)]
pub struct AttendanceAnswer {
    training_day_id: Id,
    cadet_id: Id,
    /// The mark's version now.
    version: u64,
    /// Whether anything is different now.
    changed: bool,
}

const SELECT: &str = "SELECT cadet.cadet_id_json, attendance.status, attendance.time_in, attendance.time_out, \
     attendance.version, attendance.changed_by, attendance.changed_at_ms FROM attendance \
     JOIN cadet ON cadet.cadet_id = attendance.cadet_id WHERE attendance.training_day_id = $1 AND attendance.cadet_id = $2";
const INSERT: &str = "INSERT INTO attendance \
     (training_day_id, cadet_id, status, time_in, time_out, version, changed_by, changed_at_ms) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (training_day_id, cadet_id) DO NOTHING";
const UPDATE: &str = "UPDATE attendance SET status = $3, time_in = $4, time_out = $5, version = $6, changed_by = $7, \
     changed_at_ms = $8 WHERE training_day_id = $1 AND cadet_id = $2 AND version = $9";

impl Command for MarkAttendance {
    const NAME: &'static str = "mark_attendance";
    type Answer = AttendanceAnswer;

    fn permit(&self, caller: &Caller) -> Result<(), Refusal> {
        permission::may_grade(caller)
    }

    async fn run(&self, ctx: &mut Ctx<'_>) -> Result<AttendanceAnswer, UnitError> {
        let day = TrainingDay::find(ctx, &self.training_day_id).await?;
        let before = self.find(ctx).await?;
        if before.is_none() && self.version != 0 {
            let message = format!("cadet {} has no mark at training day {}", self.cadet_id, self.training_day_id);
            return Err(Refusal::new(ErrorCode::NotFound, message).into());
        }
        if let Some(known) = &before {
            // The same mark told again is no change, whether or not its writer had read it.
            if self.is_so(known) && [0, known.version].contains(&self.version) {
                return Ok(self.answer(known.version, false));
            }
            if known.version != self.version {
                return Err(stale(known));
            }
        }
        let counts = before.as_ref().map(Attendance::sums).unwrap_or_default().to(sums(self.status));
        let sheet = Sheet::add(ctx, &self.cadet_id, counts).await?;
        if !self.write(ctx, before.is_some(), sheet.version).await? {
            // Refusing undoes what was added to the sheet above.
            return Err(stale(&self.find(ctx).await?));
        }
        let after = self.find(ctx).await?;
        let change = Change { cadet_id: Some(&self.cadet_id), what: "attendance", entry_id: Some(&self.training_day_id) };
        change.record(ctx, before.as_ref(), after.as_ref()).await?;
        self.emit(ctx, day, &sheet)?;
        Ok(self.answer(sheet.version, true))
    }
}

impl MarkAttendance {
    async fn find(&self, ctx: &mut Ctx<'_>) -> Result<Option<Attendance>, UnitError> {
        let rows = ctx.fetch(SELECT, &[self.training_day_id.as_str().into(), self.cadet_id.as_str().into()]).await?;
        Ok(rows.first().map(Attendance::of).transpose()?)
    }

    fn is_so(&self, known: &Attendance) -> bool {
        let [time_in, time_out] = [&self.time_in, &self.time_out].map(|time| time.as_ref().map(WallTime::as_str));
        (self.status, time_in, time_out) == (known.status, known.time_in.as_deref(), known.time_out.as_deref())
    }

    /// Whether the mark was written; not where it is there already, or has another version.
    async fn write(&self, ctx: &mut Ctx<'_>, is_known: bool, version: u64) -> Result<bool, UnitError> {
        let text = |time: &Option<WallTime>| Value::from(time.as_ref().map(|time| time.as_str().to_owned()));
        let [changed_by, changed_at_ms] = by_whom_and_when(ctx);
        let mut values = vec![
            self.training_day_id.as_str().into(),
            self.cadet_id.as_str().into(),
            self.status.as_str().into(),
            text(&self.time_in),
            text(&self.time_out),
            version.into(),
            changed_by,
            changed_at_ms,
        ];
        if is_known {
            values.push(self.version.into());
        }
        Ok(ctx.execute(if is_known { UPDATE } else { INSERT }, &values).await? > 0)
    }

    fn emit(&self, ctx: &mut Ctx<'_>, day: TrainingDay, sheet: &Sheet) -> Result<(), UnitError> {
        let line = |text: &str| Line::new(text).map_err(|error| JournalError::Statement(error.to_string()));
        let time = |time: &Option<WallTime>| time.as_ref().map(|time| line(time.as_str())).transpose();
        let data = AttendanceUpdate {
            cadet_id: Some(sheet.cadet_id.clone()),
            training_day_id: Some(day.training_day_id),
            status: Some(line(self.status.as_str())?),
            attendance_present: Some(sheet.attendance_present),
            time_in: time(&self.time_in)?,
            time_out: time(&self.time_out)?,
        };
        ctx.emit(&event::ATTENDANCE_UPDATE, Channel::new("cadet", &sheet.cadet_id), &data);
        Ok(())
    }

    fn answer(&self, version: u64, changed: bool) -> AttendanceAnswer {
        let (training_day_id, cadet_id) = (self.training_day_id.clone(), self.cadet_id.clone());
        AttendanceAnswer { training_day_id, cadet_id, version, changed }
    }
}

impl Attendance {
    /// A mark from its row.
    pub(super) fn of(row: &Row) -> Result<Self, JournalError> {
        let status = AttendanceStatus::of(&row.text("status")?);
        Ok(Self {
            cadet_id: spelling::of_json(&row.text("cadet_id_json")?)?,
            status: status.ok_or_else(|| JournalError::Statement("a stored status is broken".into()))?,
            time_in: row.text_or_null("time_in")?,
            time_out: row.text_or_null("time_out")?,
            version: row.count("version")?,
            changed_by: row.text("changed_by")?,
            changed_at: Timestamp::at_ms(row.int("changed_at_ms")?),
        })
    }

    fn sums(&self) -> Sums {
        sums(self.status)
    }
}

/// What a mark adds to the sums of its sheet.
fn sums(status: AttendanceStatus) -> Sums {
    Sums { attendance_present: i64::from(status == AttendanceStatus::Present), ..Sums::default() }
}
