//! The routes of grading.

use super::{
    AddMerit, ChangeMerit, ListAttendance, ListCadets, ListChanges, ListMerits, MarkAttendance, RemoveMerit, SaveCadet,
    SaveExamScores, SaveTrainingDay, ShowCadet,
};
use campanile_contract::{Action, Command, CommandType, Method, Query, QueryType, Route};

pub const ROUTES: &[Route] = &[
    does::<SaveCadet>(Method::Put, "/api/cadets/{cadet_id}", "Makes a cadet, or gives them another name."),
    asks::<ShowCadet>("/api/cadets/{cadet_id}", "A cadet's sheet."),
    asks::<ListCadets>("/api/cadets", "The sheets of all cadets, a page at a time."),
    does::<AddMerit>(Method::Post, "/api/cadets/{cadet_id}/merits", "Gives a cadet a merit or demerit."),
    asks::<ListMerits>("/api/cadets/{cadet_id}/merits", "The merits and demerits of a cadet, a page at a time."),
    does::<ChangeMerit>(Method::Put, "/api/cadets/{cadet_id}/merits/{merit_id}", "Corrects a merit or demerit."),
    does::<RemoveMerit>(Method::Delete, "/api/cadets/{cadet_id}/merits/{merit_id}", "Takes a merit or demerit back."),
    does::<SaveExamScores>(
        Method::Put,
        "/api/cadets/{cadet_id}/exam-scores",
        "Writes the given exam scores; null clears one, what is left out stays.",
    ),
    asks::<ListChanges>("/api/cadets/{cadet_id}/changes", "Who changed what of a sheet, and when; a page at a time."),
    does::<SaveTrainingDay>(
        Method::Put,
        "/api/training-days/{training_day_id}",
        "Makes a training day, or gives it another date or title.",
    ),
    does::<MarkAttendance>(
        Method::Put,
        "/api/training-days/{training_day_id}/attendance/{cadet_id}",
        "Marks whether a cadet was at a training day.",
    ),
    asks::<ListAttendance>(
        "/api/training-days/{training_day_id}/attendance",
        "A training day, and who was there; a page at a time.",
    ),
];

const fn does<C: Command>(method: Method, path: &'static str, summary: &'static str) -> Route {
    Route { method, path, summary, action: Action::Command(CommandType::of::<C>()) }
}

const fn asks<Q: Query>(path: &'static str, summary: &'static str) -> Route {
    Route { method: Method::Get, path, summary, action: Action::Query(QueryType::of::<Q>()) }
}
