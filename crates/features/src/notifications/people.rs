//! Whom something is sent to: one person, or several.

use campanile_contract::{ErrorCode, Id, Refusal};

/// People whom one request notifies: what one transaction does well within its time limit.
pub const RECIPIENTS_MAX: usize = 1_000;

/// The people of `user_id` or `user_ids`, each once.
///
/// # Errors
/// `invalid_data` when there is none, or both fields are given; `message_too_big` for too many.
pub fn recipients<'a>(user_id: Option<&'a Id>, user_ids: Option<&'a [Id]>) -> Result<Vec<&'a Id>, Refusal> {
    let given = match (user_id, user_ids) {
        (Some(one), None) => std::slice::from_ref(one),
        (None, Some(several)) if !several.is_empty() => several,
        _ => return Err(Refusal::new(ErrorCode::InvalidData, "either user_id is given, or user_ids with somebody in it")),
    };
    if given.len() > RECIPIENTS_MAX {
        let message = format!("at most {RECIPIENTS_MAX} people are notified at once, not {}", given.len());
        return Err(Refusal::new(ErrorCode::MessageTooBig, message));
    }
    // In the order of their ids, so that two such requests at once never wait for each other in a circle.
    let mut people: Vec<&Id> = given.iter().collect();
    people.sort();
    people.dedup();
    Ok(people)
}
