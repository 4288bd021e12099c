//! The port by which delivery asks who holds a token, without knowing what a token is.

use campanile_wire::Refusal;
use campanile_wire::caller::PersonCaller;
use futures_util::future::BoxFuture;

/// Turns a person's token into a caller.
pub trait Authenticate: Send + Sync + 'static {
    /// Who holds the token, or a refusal with `invalid_token` or `expired_token`.
    fn authenticate<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Result<PersonCaller, Refusal>>;
}
