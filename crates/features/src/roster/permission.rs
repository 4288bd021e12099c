//! Who may change the roster.

use campanile_contract::{Caller, ErrorCode, Refusal};

/// API keys with the scope `roster`, and people with the role `admin`.
pub fn may_manage(caller: &Caller) -> Result<(), Refusal> {
    match caller.has_scope("roster") || caller.has_role("admin") {
        true => Ok(()),
        false => Err(Refusal::new(ErrorCode::Forbidden, "this needs an API key with the scope roster, or the role admin")),
    }
}
