//! `list_attendance`: a training day, and who was there. For graders.

use super::mark_attendance::Attendance;
use super::permission;
use super::save_training_day::TrainingDay;
use campanile_contract::{Caller, Id, PageLimit, Query, Reader, Refusal, UnitError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Asks for the marks of a training day, a page at a time.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListAttendance {
    /// When.
    pub training_day_id: Id,
    /// `next` of the page before; none is the first page.
    pub after: Option<Id>,
    /// Marks on a page.
    #[serde(default)]
    pub limit: PageLimit,
}

/// The answer.
#[derive(Serialize, JsonSchema)]
pub struct AttendanceOfDay {
    training_day: TrainingDay,
    /// By the canonical text of the cadets' ids.
    attendance: Vec<Attendance>,
    /// Pass it as `after` to go on; null when this was the last page.
    next: Option<Id>,
}

const PAGE: &str = "SELECT cadet.cadet_id_json, attendance.status, attendance.time_in, attendance.time_out, \
     attendance.version, attendance.changed_by, attendance.changed_at_ms FROM attendance \
     JOIN cadet ON cadet.cadet_id = attendance.cadet_id \
     WHERE attendance.training_day_id = $1 AND attendance.cadet_id > $2 ORDER BY attendance.cadet_id LIMIT $3";

impl Query for ListAttendance {
    const NAME: &'static str = "list_attendance";
    type Answer = AttendanceOfDay;

    fn permit(&self, caller: &Caller) -> Result<(), Refusal> {
        permission::may_grade(caller)
    }

    async fn read(&self, _: &Caller, reader: &mut Reader) -> Result<AttendanceOfDay, UnitError> {
        let training_day = TrainingDay::read(reader, &self.training_day_id).await?;
        let after = self.after.as_ref().map_or("", Id::as_str);
        let values = [self.training_day_id.as_str().into(), after.into(), self.limit.rows().into()];
        let rows = reader.fetch(PAGE, &values).await?;
        let attendance = rows.iter().map(Attendance::of).collect::<Result<Vec<_>, _>>()?;
        let next = attendance.last().filter(|_| self.limit.is_full(attendance.len())).map(|mark| mark.cadet_id.clone());
        Ok(AttendanceOfDay { training_day, attendance, next })
    }
}
