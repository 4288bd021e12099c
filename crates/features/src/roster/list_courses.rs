//! `list_courses`: where a person is registered. For whoever manages the roster, and for the person.

use super::{Role, permission, spelling};
use campanile_contract::{Caller, Id, JournalError, Query, Reader, Refusal, Row, UnitError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Asks for the courses of a person; of somebody unknown there are none.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListCourses {
    /// Whose.
    pub person_id: Id,
}

/// The answer.
#[derive(Serialize, JsonSchema)]
pub struct CoursesAnswer {
    /// By course id; at most the first 1,000.
    courses: Vec<CourseOfPerson>,
}

/// One registration.
#[derive(Serialize, JsonSchema)]
pub struct CourseOfPerson {
    course_id: Id,
    /// What the person is in this course.
    role: Role,
}

const SELECT: &str = "SELECT course.course_id_json, registration.role FROM registration \
     JOIN course ON course.course_id = registration.course_id \
     WHERE registration.person_id = $1 ORDER BY registration.course_id LIMIT 1000";

impl Query for ListCourses {
    const NAME: &'static str = "list_courses";
    type Answer = CoursesAnswer;

    fn permit(&self, caller: &Caller) -> Result<(), Refusal> {
        match caller {
            Caller::Person(person) if person.id == self.person_id => Ok(()),
            _ => permission::may_manage(caller),
        }
    }

    async fn read(&self, _: &Caller, reader: &mut Reader) -> Result<CoursesAnswer, UnitError> {
        let rows = reader.fetch(SELECT, &[self.person_id.as_str().into()]).await?;
        let courses = rows.iter().map(course_of).collect::<Result<_, JournalError>>()?;
        Ok(CoursesAnswer { courses })
    }
}

fn course_of(row: &Row) -> Result<CourseOfPerson, JournalError> {
    let role = Role::new(&row.text("role")?).map_err(|why| JournalError::Statement(why.into()))?;
    Ok(CourseOfPerson { course_id: spelling::of_json(&row.text("course_id_json")?)?, role })
}
