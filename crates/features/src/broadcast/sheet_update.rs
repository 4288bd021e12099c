//! `broadcast_grade_update`, `broadcast_attendance_update` and `broadcast_exam_score_update`: news of a sheet that the host keeps.
//!
//! Their callers pass the data without the cadet, as seed C's functions take it (line 254); it becomes the first key. The rest passes as
//! it was given.

use super::permission;
use campanile_contract::{Caller, Channel, Command, Ctx, ErrorCode, Id, Publish, Refusal, UnitError};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

/// Tells a cadet and the staff of a merit or demerit.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BroadcastGradeUpdate {
    /// Whose.
    pub cadet_id: Id,
    /// The data of `grade_update`, without the cadet.
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    pub grade_data: Box<RawValue>,
}

/// Tells a cadet and the staff of a mark of attendance.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BroadcastAttendanceUpdate {
    /// Whose.
    pub cadet_id: Id,
    /// The data of `attendance_update`, without the cadet.
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    pub attendance_data: Box<RawValue>,
}

/// Tells a cadet and the staff of exam scores.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BroadcastExamScoreUpdate {
    /// Whose.
    pub cadet_id: Id,
    /// The data of `exam_score_update`, without the cadet.
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    pub exam_data: Box<RawValue>,
}

/// The answer to a broadcast.
#[derive(Serialize, JsonSchema)]
pub struct BroadcastAnswer {
    /// How many events there are of it.
    pub(super) events: usize,
}

impl Command for BroadcastGradeUpdate {
    const NAME: &'static str = "broadcast_grade_update";
    type Answer = BroadcastAnswer;

    fn permit(&self, caller: &Caller) -> Result<(), Refusal> {
        permission::may_broadcast(caller, "grade_update")
    }

    async fn run(&self, ctx: &mut Ctx<'_>) -> Result<BroadcastAnswer, UnitError> {
        broadcast(ctx, "grade_update", &self.cadet_id, &self.grade_data)
    }
}

impl Command for BroadcastAttendanceUpdate {
    const NAME: &'static str = "broadcast_attendance_update";
    type Answer = BroadcastAnswer;

    fn permit(&self, caller: &Caller) -> Result<(), Refusal> {
        permission::may_broadcast(caller, "attendance_update")
    }

    async fn run(&self, ctx: &mut Ctx<'_>) -> Result<BroadcastAnswer, UnitError> {
        broadcast(ctx, "attendance_update", &self.cadet_id, &self.attendance_data)
    }
}

impl Command for BroadcastExamScoreUpdate {
    const NAME: &'static str = "broadcast_exam_score_update";
    type Answer = BroadcastAnswer;

    fn permit(&self, caller: &Caller) -> Result<(), Refusal> {
        permission::may_broadcast(caller, "exam_score_update")
    }

    async fn run(&self, ctx: &mut Ctx<'_>) -> Result<BroadcastAnswer, UnitError> {
        broadcast(ctx, "exam_score_update", &self.cadet_id, &self.exam_data)
    }
}

/// The event type is known by its name alone: the feature that declares it is another one, and may be left out.
fn broadcast(ctx: &mut Ctx<'_>, event_type: &str, cadet_id: &Id, data: &RawValue) -> Result<BroadcastAnswer, UnitError> {
    let channel = Channel::new("cadet", cadet_id).to_string();
    ctx.emit_fact(&Publish { kind: event_type.to_owned(), channel, data: with_cadet(cadet_id, data)? })?;
    Ok(BroadcastAnswer { events: 1 })
}

/// What the data says of the cadet itself.
#[derive(Deserialize)]
struct Told {
    /// None only where the key is not there.
    #[serde(default, deserialize_with = "there")]
    cadet_id: Option<serde_json::Value>,
}

fn there<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<serde_json::Value>, D::Error> {
    serde_json::Value::deserialize(deserializer).map(Some)
}

/// The data with the cadet as its first key; data that names the same cadet already stays as it is.
fn with_cadet(cadet_id: &Id, data: &RawValue) -> Result<Box<RawValue>, Refusal> {
    let invalid = |why: &str| Refusal::new(ErrorCode::InvalidData, why);
    let told = data.get().trim();
    let Some(rest) = told.strip_prefix('{') else { return Err(invalid("the data is an object")) };
    let of_data: Told = serde_json::from_str(told).map_err(|_| invalid("the data names cadet_id twice"))?;
    match of_data.cadet_id {
        Some(same) if Id::from_json(&same).as_ref() == Some(cadet_id) => return Ok(data.to_owned()),
        Some(_) => return Err(invalid("the data names another cadet than cadet_id beside it")),
        None => {}
    }
    let comma = if rest.trim_start().starts_with('}') { "" } else { "," };
    let text = format!("{{\"cadet_id\":{}{comma}{rest}", cadet_id.to_json());
    Ok(RawValue::from_string(text).expect("an object with one more key is an object"))
}
