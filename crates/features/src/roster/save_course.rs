//! `save_course`: a course is made, or gets another title.

use super::event::{self, CourseSaved};
use super::{permission, spelling};
use campanile_contract::{Caller, Channel, Command, Ctx, Id, Line, Refusal, UnitError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Makes the course as it is given here.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SaveCourse {
    /// The course.
    pub course_id: Id,
    /// What it is called.
    pub title: Line<200>,
}

/// The answer.
#[derive(Serialize, JsonSchema)]
pub struct CourseAnswer {
    course_id: Id,
    /// Whether anything is different now.
    pub(super) changed: bool,
}

/// A row comes back only where something changed: of two callers at once, one is told so.
const UPSERT: &str = "INSERT INTO course (course_id, course_id_json, title) VALUES ($1, $2, $3) \
     ON CONFLICT (course_id) DO UPDATE SET title = excluded.title WHERE course.title <> excluded.title \
     RETURNING course_id_json";

impl Command for SaveCourse {
    const NAME: &'static str = "save_course";
    type Answer = CourseAnswer;

    fn permit(&self, caller: &Caller) -> Result<(), Refusal> {
        permission::may_manage(caller)
    }

    async fn run(&self, ctx: &mut Ctx<'_>) -> Result<CourseAnswer, UnitError> {
        let values = [self.course_id.as_str().into(), spelling::to_json(&self.course_id).into(), self.title.as_str().into()];
        let changed = ctx.fetch(UPSERT, &values).await?;
        if let Some(row) = changed.first() {
            let course_id = spelling::of_json(&row.text("course_id_json")?)?;
            let channel = Channel::new("course", &course_id);
            ctx.emit(&event::COURSE_SAVED, channel, &CourseSaved { course_id, title: self.title.clone() });
        }
        Ok(CourseAnswer { course_id: self.course_id.clone(), changed: !changed.is_empty() })
    }
}
