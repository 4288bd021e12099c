//! Cadets, their merits, attendance and exam scores: the sheet that several graders change at once, and whose cadet is told.

mod add_merit;
mod change;
mod change_merit;
pub mod event;
mod field;
mod http;
mod list_attendance;
mod list_changes;
mod list_merits;
mod mark_attendance;
mod merit;
mod permission;
mod save_cadet;
mod save_exam_scores;
mod save_training_day;
mod sheet;
mod show_cadet;
mod spelling;

#[cfg(test)]
mod tests;

pub use add_merit::AddMerit;
pub use change_merit::{ChangeMerit, RemoveMerit};
pub use field::POINTS_MAX;
pub use list_attendance::ListAttendance;
pub use list_changes::ListChanges;
pub use list_merits::ListMerits;
pub use mark_attendance::MarkAttendance;
pub use save_cadet::SaveCadet;
pub use save_exam_scores::SaveExamScores;
pub use save_training_day::SaveTrainingDay;
pub use show_cadet::{ListCadets, ShowCadet};

use campanile_contract::{CommandType, Feature, Migration};

/// The table of contents.
pub const FEATURE: Feature = Feature {
    name: "grading",
    migrations: &[Migration { feature: "grading", number: 1, sql: include_str!("0001.sql") }],
    channel_kinds: &[],
    events: &[event::GRADE_UPDATE, event::ATTENDANCE_UPDATE, event::EXAM_SCORE_UPDATE],
    commands: &[
        CommandType::of::<SaveCadet>(),
        CommandType::of::<AddMerit>(),
        CommandType::of::<ChangeMerit>(),
        CommandType::of::<RemoveMerit>(),
        CommandType::of::<SaveExamScores>(),
        CommandType::of::<SaveTrainingDay>(),
        CommandType::of::<MarkAttendance>(),
    ],
    routes: http::ROUTES,
    views: &[],
    jobs: &[],
};
