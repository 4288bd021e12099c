//! Who may notify people, and whose list a caller has.

use campanile_contract::{Caller, ErrorCode, Id, Refusal};

/// API keys with the scope, and people with the role `admin` or `training_staff`.
pub fn may_send(caller: &Caller, scope: &str) -> Result<(), Refusal> {
    match caller.has_scope(scope) || caller.has_role("admin") || caller.has_role("training_staff") {
        true => Ok(()),
        false => {
            let message = format!("this needs an API key with the scope {scope}, or the role admin or training_staff");
            Err(Refusal::new(ErrorCode::Forbidden, message))
        }
    }
}

/// The person whose notifications the caller lists and reads: their own, and nobody else's.
pub fn own(caller: &Caller) -> Result<&Id, Refusal> {
    match caller {
        Caller::Person(person) => Ok(&person.id),
        Caller::Service(_) => Err(Refusal::new(ErrorCode::Forbidden, "only a person has notifications, no API key has any")),
    }
}
