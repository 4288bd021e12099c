//! The routes of broadcasting, one for each of the host's functions.

use super::{
    BroadcastAttendanceUpdate, BroadcastExamScoreUpdate, BroadcastGradeUpdate, BroadcastNotification, BroadcastSyncEvent,
};
use campanile_contract::{Action, Command, CommandType, Method, Route};

pub const ROUTES: &[Route] = &[
    does::<BroadcastGradeUpdate>("/api/broadcast/grade_update", "Tells a cadet and the staff of a merit or demerit."),
    does::<BroadcastAttendanceUpdate>("/api/broadcast/attendance_update", "Tells a cadet and the staff of attendance."),
    does::<BroadcastExamScoreUpdate>("/api/broadcast/exam_score_update", "Tells a cadet and the staff of exam scores."),
    does::<BroadcastNotification>("/api/broadcast/notification", "Tells one person, or at most 1,000, of a notification."),
    does::<BroadcastSyncEvent>("/api/broadcast/sync_event", "Tells a cadet and the staff any event declared for cadets."),
];

const fn does<C: Command>(path: &'static str, summary: &'static str) -> Route {
    Route { method: Method::Post, path, summary, action: Action::Command(CommandType::of::<C>()) }
}
