//! The routes of access.

use super::RevokeAccess;
use campanile_contract::{Action, CommandType, Method, Route};

pub const ROUTES: &[Route] = &[Route {
    method: Method::Post,
    path: "/api/access/revocations",
    summary: "Ends what a person was issued up to now, one token, or one connection, at once and on every node.",
    action: Action::Command(CommandType::of::<RevokeAccess>()),
}];
