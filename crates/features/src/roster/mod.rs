//! People, courses, and who is registered where: what everybody may see follows from it.

mod approval;
pub mod csv;
pub mod event;
mod http;
mod import_roster;
mod list_courses;
mod permission;
mod register_person;
mod role;
mod save_course;
mod save_person;
mod show_person;
mod spelling;
mod view;
mod withdraw_person;

#[cfg(test)]
mod tests;

pub use approval::{ApprovePerson, UnapprovePerson};
pub use import_roster::{IMPORT_ROWS_MAX, ImportRoster};
pub use list_courses::ListCourses;
pub use register_person::RegisterPerson;
pub use role::Role;
pub use save_course::SaveCourse;
pub use save_person::SavePerson;
pub use show_person::{ListPeople, ShowPerson};
pub use withdraw_person::WithdrawPerson;

use campanile_contract::{ChannelKind, CommandType, Feature, History, Migration};

/// The table of contents.
pub const FEATURE: Feature = Feature {
    name: "roster",
    migrations: &[
        Migration { feature: "roster", number: 1, sql: include_str!("0001.sql") },
        Migration { feature: "roster", number: 2, sql: include_str!("0002.sql") },
    ],
    channel_kinds: &[ChannelKind::new("course", History::SinceGrant)],
    events: &[
        event::ANNOUNCEMENT,
        event::PROGRESS_UPDATE,
        event::PERSON_SAVED,
        event::PERSON_APPROVED,
        event::PERSON_UNAPPROVED,
        event::REGISTERED,
        event::WITHDRAWN,
        event::COURSE_SAVED,
    ],
    commands: &[
        CommandType::of::<SaveCourse>(),
        CommandType::of::<SavePerson>(),
        CommandType::of::<ApprovePerson>(),
        CommandType::of::<UnapprovePerson>(),
        CommandType::of::<RegisterPerson>(),
        CommandType::of::<WithdrawPerson>(),
        CommandType::of::<ImportRoster>(),
    ],
    routes: http::ROUTES,
    views: &[view::COURSE_SIZE],
    jobs: &[],
};
