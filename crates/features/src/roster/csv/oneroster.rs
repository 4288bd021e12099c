//! The files of a OneRoster 1.1 or 1.2 CSV export (1EdTech): manifest, orgs, courses, classes, users, roles and enrollments.
//!
//! A class is a course here, because a class is what people are enrolled in. Roles keep OneRoster's words: an `administrator` of a school
//! is not the `admin` of this campus.

use super::super::{RegisterPerson, Role, SaveCourse, SavePerson, WithdrawPerson};
use super::registration_key;
use super::table::{Fields, Format, Table};
use campanile_contract::{Id, Line};
use std::io::Read;

/// The roles of both versions, in the standard's own spelling.
pub const ROLES: [&str; 13] = [
    "administrator",
    "aide",
    "counselor",
    "districtAdministrator",
    "guardian",
    "parent",
    "principal",
    "proctor",
    "relative",
    "siteAdministrator",
    "student",
    "systemAdministrator",
    "teacher",
];

/// One line of `manifest.csv`: what the export holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Property {
    /// `oneroster.version`, `file.users` …
    pub name: String,
    /// `1.1`, `bulk` …
    pub value: String,
}

/// An organisation or course: that it is there is all we need of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Known {
    /// Its id.
    pub sourced_id: String,
}

/// A class.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Class {
    /// As the roster takes it.
    pub course: SaveCourse,
    /// The course of `courses.csv` that it is given in.
    pub course_sourced_id: String,
    /// The school of `orgs.csv` that gives it.
    pub school_sourced_id: String,
    /// Marked `tobedeleted`.
    pub is_deleted: bool,
}

/// A person. In version 1.2 their role stands in `roles.csv`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct User {
    /// Who.
    pub person_id: Id,
    /// Given and family name.
    pub name: Line<200>,
    /// What they are, where the file says it.
    pub role: Option<Role>,
    /// Their organisations of `orgs.csv`.
    pub org_sourced_ids: Vec<String>,
    /// Neither enabled nor here any more: `enabledUser` is false, or they are marked `tobedeleted`.
    pub is_shut_out: bool,
}

/// What somebody is in an organisation (version 1.2).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UserRole {
    /// Who.
    pub user_sourced_id: String,
    /// What they are.
    pub role: Role,
    /// Whether it is the one that counts.
    pub is_primary: bool,
    /// Marked `tobedeleted`.
    pub is_deleted: bool,
}

/// Who is in which class.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Enrollment {
    /// As the roster takes it.
    pub registration: RegisterPerson,
    /// Marked `tobedeleted`.
    pub is_deleted: bool,
}

/// Reads `manifest.csv`.
pub fn read_manifest<R: Read>(name: &str, input: R) -> Table<R, Property> {
    Table::new(name, input, MANIFEST)
}

/// Reads `orgs.csv`.
pub fn read_orgs<R: Read>(name: &str, input: R) -> Table<R, Known> {
    Table::new(name, input, ORGS)
}

/// Reads `courses.csv`.
pub fn read_courses<R: Read>(name: &str, input: R) -> Table<R, Known> {
    Table::new(name, input, COURSES)
}

/// Reads `classes.csv`.
pub fn read_classes<R: Read>(name: &str, input: R) -> Table<R, Class> {
    Table::new(name, input, CLASSES)
}

/// Reads `users.csv`.
pub fn read_users<R: Read>(name: &str, input: R) -> Table<R, User> {
    Table::new(name, input, USERS)
}

/// Reads `roles.csv`.
pub fn read_roles<R: Read>(name: &str, input: R) -> Table<R, UserRole> {
    Table::new(name, input, USER_ROLES)
}

/// Reads `enrollments.csv`.
pub fn read_enrollments<R: Read>(name: &str, input: R) -> Table<R, Enrollment> {
    Table::new(name, input, ENROLLMENTS)
}

impl User {
    /// The person as the roster takes it.
    ///
    /// # Errors
    /// A sentence when no file says what they are.
    pub fn person(self, role: Option<&Role>) -> Result<SavePerson, String> {
        let role = role.cloned().or(self.role).ok_or("role: neither users.csv nor roles.csv says what this person is")?;
        // Who is enabled may still have been un-approved here, and stays so.
        let is_approved = self.is_shut_out.then_some(false);
        Ok(SavePerson { person_id: self.person_id, name: self.name, role, cadet_id: None, is_approved })
    }
}

impl Enrollment {
    /// The end of the enrollment as the roster takes it.
    pub fn withdrawal(self) -> WithdrawPerson {
        WithdrawPerson { course_id: self.registration.course_id, person_id: self.registration.person_id }
    }
}

// The columns of the standard, in small letters because headers are compared so. `metadata.…` columns are allowed and not read.

const MANIFEST: Format<Property> = Format {
    required: &["propertyname", "value"],
    optional: &[],
    read: |row| Ok(Property { name: row.filled("propertyname")?.to_owned(), value: row.text("value").to_owned() }),
    key: |row| row.name.clone(),
};

const ORGS: Format<Known> = Format {
    required: &["sourcedid", "name"],
    optional: &["status", "datelastmodified", "type", "identifier", "parentsourcedid"],
    read: known,
    key: |row| row.sourced_id.clone(),
};

const COURSES: Format<Known> = Format {
    required: &["sourcedid", "title"],
    optional: &[
        "status",
        "datelastmodified",
        "schoolyearsourcedid",
        "coursecode",
        "grades",
        "orgsourcedid",
        "subjects",
        "subjectcodes",
    ],
    read: known,
    key: |row| row.sourced_id.clone(),
};

const CLASSES: Format<Class> = Format {
    required: &["sourcedid", "title", "coursesourcedid", "schoolsourcedid"],
    optional: &[
        "status",
        "datelastmodified",
        "grades",
        "classcode",
        "classtype",
        "location",
        "termsourcedids",
        "subjects",
        "subjectcodes",
        "periods",
    ],
    read: |row| {
        Ok(Class {
            course: SaveCourse { course_id: row.read("sourcedid", Id::new)?, title: row.read("title", Line::new)? },
            course_sourced_id: row.filled("coursesourcedid")?.to_owned(),
            school_sourced_id: row.filled("schoolsourcedid")?.to_owned(),
            is_deleted: is_deleted(row)?,
        })
    },
    key: |row| row.course.course_id.to_string(),
};

const USERS: Format<User> = Format {
    required: &["sourcedid", "givenname", "familyname"],
    optional: &[
        "status",
        "datelastmodified",
        "enableduser",
        "orgsourcedids",
        "role",
        "username",
        "userids",
        "middlename",
        "identifier",
        "email",
        "sms",
        "phone",
        "agentsourcedids",
        "grades",
        "password",
        "usermasteridentifier",
        "resourcesourcedids",
        "preferredgivenname",
        "preferredmiddlename",
        "preferredfamilyname",
        "primaryorgsourcedid",
        "pronouns",
    ],
    read: |row| {
        let (given, family) = (row.filled("givenname")?, row.filled("familyname")?);
        Ok(User {
            person_id: row.read("sourcedid", Id::new)?,
            name: Line::new(format!("{given} {family}")).map_err(|error| format!("givenname: {error}"))?,
            role: row.read_unless_empty("role", role)?,
            org_sourced_ids: row
                .text("orgsourcedids")
                .split(',')
                .map(str::trim)
                .filter(|id| !id.is_empty())
                .map(str::to_owned)
                .collect(),
            is_shut_out: is_deleted(row)? || !is_enabled(row)?,
        })
    },
    key: |row| row.person_id.to_string(),
};

const USER_ROLES: Format<UserRole> = Format {
    required: &["sourcedid", "usersourcedid", "roletype", "role"],
    optional: &["status", "datelastmodified", "begindate", "enddate", "orgsourcedid", "userprofilesourcedid"],
    read: |row| {
        let is_primary = row.read("roletype", |text| match text {
            "primary" => Ok(true),
            "secondary" => Ok(false),
            _ => Err("primary or secondary is needed"),
        })?;
        Ok(UserRole {
            user_sourced_id: row.filled("usersourcedid")?.to_owned(),
            role: row.read("role", role)?,
            is_primary,
            is_deleted: is_deleted(row)?,
        })
    },
    // Somebody is often the same in several schools.
    key: |row| format!("{}\n{}\n{}", row.user_sourced_id, row.role.as_str(), row.is_primary),
};

const ENROLLMENTS: Format<Enrollment> = Format {
    required: &["sourcedid", "classsourcedid", "usersourcedid", "role"],
    optional: &["status", "datelastmodified", "schoolsourcedid", "primary", "begindate", "enddate"],
    read: |row| {
        Ok(Enrollment {
            registration: RegisterPerson {
                course_id: row.read("classsourcedid", Id::new)?,
                person_id: row.read("usersourcedid", Id::new)?,
                role: row.read("role", role)?,
            },
            is_deleted: is_deleted(row)?,
        })
    },
    key: |row| registration_key(&row.registration),
};

fn known(row: &Fields<'_>) -> Result<Known, String> {
    is_deleted(row)?;
    Ok(Known { sourced_id: row.filled("sourcedid")?.to_owned() })
}

/// In a bulk file the column is empty.
fn is_deleted(row: &Fields<'_>) -> Result<bool, String> {
    match row.text("status") {
        "" | "active" => Ok(false),
        "tobedeleted" => Ok(true),
        _ => Err("status: active, tobedeleted or nothing is needed".into()),
    }
}

/// Who is not enabled must not use what the roster opens.
fn is_enabled(row: &Fields<'_>) -> Result<bool, String> {
    match row.text("enableduser") {
        "" | "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("enableduser: true or false is needed".into()),
    }
}

fn role(text: &str) -> Result<Role, String> {
    match ROLES.contains(&text) {
        true => Role::new(text).map_err(str::to_owned),
        false => Err(format!("one of {} is needed", ROLES.join(", "))),
    }
}
