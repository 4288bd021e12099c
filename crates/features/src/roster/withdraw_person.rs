//! `withdraw_person`: nothing of the course with a later id than this event's reaches the person, live or replayed.

use super::event::{self, Withdrawn};
use super::register_person::RegistrationAnswer;
use super::{permission, spelling};
use campanile_contract::{Caller, Channel, Command, Ctx, Effect, Id, Refusal, UnitError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Ends a registration; where there is none, nothing changes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WithdrawPerson {
    /// From where.
    pub course_id: Id,
    /// Who.
    pub person_id: Id,
}

impl Command for WithdrawPerson {
    const NAME: &'static str = "withdraw_person";
    type Answer = RegistrationAnswer;

    fn permit(&self, caller: &Caller) -> Result<(), Refusal> {
        permission::may_manage(caller)
    }

    async fn run(&self, ctx: &mut Ctx<'_>) -> Result<RegistrationAnswer, UnitError> {
        let delete = "DELETE FROM registration WHERE course_id = $1 AND person_id = $2";
        let changed = ctx.execute(delete, &[self.course_id.as_str().into(), self.person_id.as_str().into()]).await? > 0;
        if changed {
            let (course_id, person_id) = spelling::course_and_person(ctx, &self.course_id, &self.person_id).await?;
            let revoke = Effect::Revoke { person: person_id.clone(), channel: Channel::new("course", &course_id) };
            let channel = Channel::user(&person_id);
            ctx.emit_with(&event::WITHDRAWN, channel, &Withdrawn { course_id, person_id }, vec![revoke]);
        }
        Ok(RegistrationAnswer { course_id: self.course_id.clone(), person_id: self.person_id.clone(), changed })
    }
}
