//! The routes of the roster.

use super::{
    ApprovePerson, ImportRoster, ListCourses, ListPeople, RegisterPerson, SaveCourse, SavePerson, ShowPerson, UnapprovePerson,
    WithdrawPerson,
};
use campanile_contract::{Action, CommandType, Method, QueryType, Route};

pub const ROUTES: &[Route] = &[
    Route {
        method: Method::Put,
        path: "/api/roster/courses/{course_id}",
        summary: "Makes a course, or gives it another title.",
        action: Action::Command(CommandType::of::<SaveCourse>()),
    },
    Route {
        method: Method::Put,
        path: "/api/roster/people/{person_id}",
        summary: "Makes a person, or gives them another name, role, cadet or approval.",
        action: Action::Command(CommandType::of::<SavePerson>()),
    },
    Route {
        method: Method::Get,
        path: "/api/roster/people/{person_id}",
        summary: "One person.",
        action: Action::Query(QueryType::of::<ShowPerson>()),
    },
    Route {
        method: Method::Get,
        path: "/api/roster/people",
        summary: "People, a page at a time.",
        action: Action::Query(QueryType::of::<ListPeople>()),
    },
    Route {
        method: Method::Put,
        path: "/api/roster/people/{person_id}/approval",
        summary: "Approves a person: from now on they are due what is theirs.",
        action: Action::Command(CommandType::of::<ApprovePerson>()),
    },
    Route {
        method: Method::Delete,
        path: "/api/roster/people/{person_id}/approval",
        summary: "Takes the approval of a person away: nothing with a later id reaches them.",
        action: Action::Command(CommandType::of::<UnapprovePerson>()),
    },
    Route {
        method: Method::Put,
        path: "/api/roster/courses/{course_id}/registrations/{person_id}",
        summary: "Registers a person in a course, or gives them another role there.",
        action: Action::Command(CommandType::of::<RegisterPerson>()),
    },
    Route {
        method: Method::Delete,
        path: "/api/roster/courses/{course_id}/registrations/{person_id}",
        summary: "Withdraws a person from a course: nothing of it with a later id reaches them.",
        action: Action::Command(CommandType::of::<WithdrawPerson>()),
    },
    Route {
        method: Method::Post,
        path: "/api/roster/import",
        summary: "Saves at most 1,000 rows, all or nothing.",
        action: Action::Command(CommandType::of::<ImportRoster>()),
    },
    Route {
        method: Method::Get,
        path: "/api/roster/people/{person_id}/courses",
        summary: "Where a person is registered.",
        action: Action::Query(QueryType::of::<ListCourses>()),
    },
];
