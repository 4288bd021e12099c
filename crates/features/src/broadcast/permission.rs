//! Who may broadcast: whoever may publish such an event, and staff.

use campanile_contract::{Caller, ErrorCode, Refusal};

/// API keys with the scope `publish` or `publish:{type}`, and people with the role `admin` or `training_staff`.
pub fn may_broadcast(caller: &Caller, event_type: &str) -> Result<(), Refusal> {
    let is_staff = caller.has_role("admin") || caller.has_role("training_staff");
    match is_staff || caller.has_scope(&format!("publish:{event_type}")) {
        true => Ok(()),
        false => {
            let event_type: String = event_type.chars().take(64).collect();
            let message =
                format!("this needs an API key with the scope publish:{event_type}, or the role admin or training_staff");
            Err(Refusal::new(ErrorCode::Forbidden, message))
        }
    }
}
