//! Rosters as CSV files: `courses.csv`, `people.csv` and `registrations.csv`, or the files of the Open University's data set.
//!
//! Whatever the bytes are, reading them ends, and each row is good or comes back as an error with its line; the good ones still go on.

mod line;
pub mod oneroster;
pub mod oulad;
mod table;

#[cfg(test)]
mod tests;

pub use table::{ROW_BYTES_MAX, RowError, Summary, Table};

use super::{RegisterPerson, Role, SaveCourse, SavePerson};
use campanile_contract::{Id, Line};
use std::io::Read;
use table::Format;

/// Reads `course_id,title`. `name` stands for the file in errors.
pub fn read_courses<R: Read>(name: &str, input: R) -> Table<R, SaveCourse> {
    Table::new(name, input, COURSES)
}

/// Reads `person_id,name,role` and perhaps `cadet_id`, in any order.
pub fn read_people<R: Read>(name: &str, input: R) -> Table<R, SavePerson> {
    Table::new(name, input, PEOPLE)
}

/// Reads `course_id,person_id` and perhaps `role`, in any order; without a role it is `student`.
pub fn read_registrations<R: Read>(name: &str, input: R) -> Table<R, RegisterPerson> {
    Table::new(name, input, REGISTRATIONS)
}

const COURSES: Format<SaveCourse> = Format {
    required: &["course_id", "title"],
    optional: &[],
    read: |row| Ok(SaveCourse { course_id: row.read("course_id", Id::new)?, title: row.read("title", Line::new)? }),
    key: course_key,
};

const PEOPLE: Format<SavePerson> = Format {
    required: &["person_id", "name", "role"],
    optional: &["cadet_id"],
    read: |row| {
        Ok(SavePerson {
            person_id: row.read("person_id", Id::new)?,
            name: row.read("name", Line::new)?,
            role: row.read("role", Role::new)?,
            cadet_id: row.read_unless_empty("cadet_id", Id::new)?,
            is_approved: None,
        })
    },
    key: person_key,
};

const REGISTRATIONS: Format<RegisterPerson> = Format {
    required: &["course_id", "person_id"],
    optional: &["role"],
    read: |row| {
        Ok(RegisterPerson {
            course_id: row.read("course_id", Id::new)?,
            person_id: row.read("person_id", Id::new)?,
            role: row.read_unless_empty("role", Role::new)?.unwrap_or_else(Role::student),
        })
    },
    key: registration_key,
};

fn course_key(row: &SaveCourse) -> String {
    row.course_id.to_string()
}

fn person_key(row: &SavePerson) -> String {
    row.person_id.to_string()
}

/// No id holds a line end, so two pairs never run together.
fn registration_key(row: &RegisterPerson) -> String {
    format!("{}\n{}", row.course_id, row.person_id)
}
