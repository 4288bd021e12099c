//! The routes of peer review.

use super::RequestReview;
use campanile_contract::{Action, CommandType, Method, Route};

pub const ROUTES: &[Route] = &[Route {
    method: Method::Post,
    path: "/api/submissions/{submission_id}/reviews",
    summary: "Asks somebody to look over one's work.",
    action: Action::Command(CommandType::of::<RequestReview>()),
}];
