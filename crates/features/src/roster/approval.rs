//! `approve_person` and `unapprove_person`: who is not approved is due nothing, live or replayed, until they are approved again.

use super::event::{self, ApprovalChanged};
use super::{permission, spelling};
use campanile_contract::{Caller, Channel, Command, Ctx, Effect, ErrorCode, Id, Refusal, UnitError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Approves a person of the roster.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApprovePerson {
    /// Who.
    pub person_id: Id,
}

/// Takes the approval of a person of the roster away.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UnapprovePerson {
    /// Who.
    pub person_id: Id,
}

/// The answer.
#[derive(Serialize, JsonSchema)]
pub struct ApprovalAnswer {
    person_id: Id,
    /// What is so now.
    is_approved: bool,
    /// Whether anything is different now.
    changed: bool,
}

/// A row comes back only where something changed.
const UPDATE: &str = "UPDATE person SET is_approved = $2 WHERE person_id = $1 AND is_approved <> $2 RETURNING person_id_json";
const KNOWN: &str = "SELECT person_id FROM person WHERE person_id = $1";

impl Command for ApprovePerson {
    const NAME: &'static str = "approve_person";
    type Answer = ApprovalAnswer;

    fn permit(&self, caller: &Caller) -> Result<(), Refusal> {
        permission::may_manage(caller)
    }

    async fn run(&self, ctx: &mut Ctx<'_>) -> Result<ApprovalAnswer, UnitError> {
        set(ctx, &self.person_id, true).await
    }
}

impl Command for UnapprovePerson {
    const NAME: &'static str = "unapprove_person";
    type Answer = ApprovalAnswer;

    fn permit(&self, caller: &Caller) -> Result<(), Refusal> {
        permission::may_manage(caller)
    }

    async fn run(&self, ctx: &mut Ctx<'_>) -> Result<ApprovalAnswer, UnitError> {
        set(ctx, &self.person_id, false).await
    }
}

async fn set(ctx: &mut Ctx<'_>, person_id: &Id, is_approved: bool) -> Result<ApprovalAnswer, UnitError> {
    let changed = ctx.fetch(UPDATE, &[person_id.as_str().into(), is_approved.into()]).await?;
    match changed.first() {
        Some(row) => emit(ctx, spelling::of_json(&row.text("person_id_json")?)?, is_approved),
        // People are never removed, so whoever is not found now was not there when the statement above ran.
        None if ctx.fetch(KNOWN, &[person_id.as_str().into()]).await?.is_empty() => {
            return Err(Refusal::new(ErrorCode::NotFound, format!("the roster knows no person {person_id}")).into());
        }
        None => {}
    }
    Ok(ApprovalAnswer { person_id: person_id.clone(), is_approved, changed: !changed.is_empty() })
}

/// Tells the person, and suspends them or lets them in again.
pub fn emit(ctx: &mut Ctx<'_>, person_id: Id, is_approved: bool) {
    let (person, channel) = (person_id.clone(), Channel::suspension(&person_id));
    let (kind, effect) = match is_approved {
        true => (&event::PERSON_APPROVED, Effect::Revoke { person, channel }),
        false => (&event::PERSON_UNAPPROVED, Effect::Grant { person, channel }),
    };
    let own = Channel::user(&person_id);
    ctx.emit_with(kind, own, &ApprovalChanged { person_id }, vec![effect]);
}
