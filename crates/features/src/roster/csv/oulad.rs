//! The files of the Open University Learning Analytics Dataset (Kuzilek, Hlosta, Zdrahal: Sci Data 4:170171, 2017).
//!
//! A presentation of a module is a course, `AAA-2013J`. Everybody who ever registered is registered: who withdrew later did so after
//! the start, and the import is the state at the start.

use super::super::{RegisterPerson, Role, SaveCourse, SavePerson};
use super::table::{Fields, Format, Table};
use super::{course_key, person_key, registration_key};
use campanile_contract::{Id, Line};
use std::io::Read;

/// Reads `courses.csv`.
pub fn read_courses<R: Read>(name: &str, input: R) -> Table<R, SaveCourse> {
    Table::new(name, input, COURSES)
}

/// Reads `studentInfo.csv`, which names a student once for each course; each person comes out once.
pub fn read_people<R: Read>(name: &str, input: R) -> Table<R, SavePerson> {
    Table::new(name, input, STUDENT_INFO)
}

/// Reads `studentRegistration.csv`.
pub fn read_registrations<R: Read>(name: &str, input: R) -> Table<R, RegisterPerson> {
    Table::new(name, input, STUDENT_REGISTRATION)
}

const COURSES: Format<SaveCourse> = Format {
    required: &["code_module", "code_presentation", "module_presentation_length"],
    optional: &[],
    read: |row| {
        let days = row.text("module_presentation_length");
        let title = |course: &str| Line::new(format!("{course} ({days} days)"));
        Ok(SaveCourse { course_id: presentation(row, Id::new)?, title: presentation(row, title)? })
    },
    key: course_key,
};

const STUDENT_INFO: Format<SavePerson> = Format {
    required: &["id_student"],
    optional: &[
        "code_module",
        "code_presentation",
        "gender",
        "region",
        "highest_education",
        "imd_band",
        "age_band",
        "num_of_prev_attempts",
        "studied_credits",
        "disability",
        "final_result",
    ],
    read: |row| {
        Ok(SavePerson {
            person_id: row.read("id_student", Id::new)?,
            name: row.read("id_student", |id| Line::new(format!("Student {id}")))?,
            role: Role::student(),
            cadet_id: None,
            is_approved: None,
        })
    },
    key: person_key,
};

const STUDENT_REGISTRATION: Format<RegisterPerson> = Format {
    required: &["code_module", "code_presentation", "id_student"],
    optional: &["date_registration", "date_unregistration"],
    read: |row| {
        Ok(RegisterPerson {
            course_id: presentation(row, Id::new)?,
            person_id: row.read("id_student", Id::new)?,
            role: Role::student(),
        })
    },
    key: registration_key,
};

/// Makes something of `AAA-2013J`.
fn presentation<T, E: std::fmt::Display>(row: &Fields<'_>, make: impl Fn(&str) -> Result<T, E>) -> Result<T, String> {
    let course = format!("{}-{}", row.filled("code_module")?, row.filled("code_presentation")?);
    make(&course).map_err(|error| format!("code_module: {error}"))
}
