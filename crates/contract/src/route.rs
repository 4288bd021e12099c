//! Routes as data: the server mounts them, OpenAPI is generated from them.

use crate::command::CommandType;
use crate::query::QueryType;

/// A REST route. Path parameters stand in braces and become fields of the command or query, as the body's and the query's do.
#[derive(Clone, Copy)]
pub struct Route {
    /// The HTTP method.
    pub method: Method,
    /// For example `/api/roster/people/{person_id}`.
    pub path: &'static str,
    /// One sentence for the API's reader.
    pub summary: &'static str,
    /// What it does.
    pub action: Action,
}

/// The methods that routes use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the methods of HTTP")]
pub enum Method {
    Get,
    Post,
    Put,
    Delete,
}

/// What a route does.
#[derive(Clone, Copy)]
pub enum Action {
    /// Changes rows.
    Command(CommandType),
    /// Reads them.
    Query(QueryType),
}
