//! `register_person`: a person may see a course from now on, or gets another role in it.

use super::event::{self, Registered};
use super::{Role, permission, spelling};
use campanile_contract::{Caller, Channel, Command, Ctx, Effect, Id, Refusal, UnitError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Registers a person of the roster in a course of the roster.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RegisterPerson {
    /// Where.
    pub course_id: Id,
    /// Who.
    pub person_id: Id,
    /// What they are in this course.
    #[serde(default = "Role::student")]
    pub role: Role,
}

/// The answer to a registration or withdrawal.
#[derive(Serialize, JsonSchema)]
pub struct RegistrationAnswer {
    pub(super) course_id: Id,
    pub(super) person_id: Id,
    /// Whether anything is different now.
    pub(super) changed: bool,
}

/// A row comes back only where something changed; without a previous role it is a new registration.
const UPSERT: &str = "INSERT INTO registration (course_id, person_id, role) VALUES ($1, $2, $3) \
     ON CONFLICT (course_id, person_id) DO UPDATE SET role = excluded.role, previous_role = registration.role \
     WHERE registration.role <> excluded.role RETURNING previous_role";

impl Command for RegisterPerson {
    const NAME: &'static str = "register_person";
    type Answer = RegistrationAnswer;

    fn permit(&self, caller: &Caller) -> Result<(), Refusal> {
        permission::may_manage(caller)
    }

    async fn run(&self, ctx: &mut Ctx<'_>) -> Result<RegistrationAnswer, UnitError> {
        let (course_id, person_id) = spelling::course_and_person(ctx, &self.course_id, &self.person_id).await?;
        let values = [course_id.as_str().into(), person_id.as_str().into(), self.role.as_str().into()];
        let changed = ctx.fetch(UPSERT, &values).await?;
        if let Some(row) = changed.first() {
            let grant = Effect::Grant { person: person_id.clone(), channel: Channel::new("course", &course_id) };
            let effects = match row.text_or_null("previous_role")? {
                None => vec![grant],
                Some(_) => Vec::new(),
            };
            let data = Registered { course_id, person_id: person_id.clone(), role: self.role.clone() };
            ctx.emit_with(&event::REGISTERED, Channel::user(&person_id), &data, effects);
        }
        let (course_id, person_id) = (self.course_id.clone(), self.person_id.clone());
        Ok(RegistrationAnswer { course_id, person_id, changed: !changed.is_empty() })
    }
}
