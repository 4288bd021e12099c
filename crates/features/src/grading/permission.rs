//! Who may grade, and who may look at a sheet.

use campanile_contract::{Caller, ErrorCode, Id, Refusal};

/// API keys with the scope `grading`, and people with the role `admin` or `training_staff`.
pub fn may_grade(caller: &Caller) -> Result<(), Refusal> {
    match caller.has_scope("grading") || caller.has_role("admin") || caller.has_role("training_staff") {
        true => Ok(()),
        false => {
            let message = "this needs an API key with the scope grading, or the role admin or training_staff";
            Err(Refusal::new(ErrorCode::Forbidden, message))
        }
    }
}

/// Whoever may grade, and the cadet.
pub fn may_read(caller: &Caller, cadet_id: &Id) -> Result<(), Refusal> {
    match caller {
        Caller::Person(person) if person.cadet.as_ref() == Some(cadet_id) => Ok(()),
        _ => may_grade(caller),
    }
}
