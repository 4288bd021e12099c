//! `save_person`: a person is made, or gets another name, role or cadet. What they may see by role and cadet moves along.

use super::event::{self, PersonSaved};
use super::{Role, permission, spelling};
use campanile_contract::{Caller, Channel, Command, Ctx, Effect, Id, JournalError, Line, Refusal, Row, UnitError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Makes the person as they are given here; without `cadet_id` they stand for no cadet.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SavePerson {
    /// The person.
    pub person_id: Id,
    /// What they are called.
    pub name: Line<200>,
    /// What they are on this campus.
    pub role: Role,
    /// The cadet whose data they may see.
    #[serde(default)]
    pub cadet_id: Option<Id>,
}

/// The answer.
#[derive(Serialize, JsonSchema)]
pub struct PersonAnswer {
    person_id: Id,
    /// Whether anything is different now.
    pub(super) changed: bool,
}

/// A row comes back only where something changed, with what it replaced: one statement decides, so two callers at once stay truthful.
const UPSERT: &str = "INSERT INTO person (person_id, person_id_json, name, role, cadet_id) VALUES ($1, $2, $3, $4, $5) \
     ON CONFLICT (person_id) DO UPDATE SET name = excluded.name, \
     role = excluded.role, previous_role = person.role, cadet_id = excluded.cadet_id, previous_cadet_id = person.cadet_id \
     WHERE person.name <> excluded.name OR person.role <> excluded.role OR person.cadet_id IS DISTINCT FROM excluded.cadet_id \
     RETURNING person_id_json, previous_role, previous_cadet_id";

impl Command for SavePerson {
    const NAME: &'static str = "save_person";
    type Answer = PersonAnswer;

    fn permit(&self, caller: &Caller) -> Result<(), Refusal> {
        permission::may_manage(caller)
    }

    async fn run(&self, ctx: &mut Ctx<'_>) -> Result<PersonAnswer, UnitError> {
        let values = [
            self.person_id.as_str().into(),
            spelling::to_json(&self.person_id).into(),
            self.name.as_str().into(),
            self.role.as_str().into(),
            self.cadet_id.as_ref().map(|cadet| cadet.as_str().to_owned()).into(),
        ];
        let changed = ctx.fetch(UPSERT, &values).await?;
        if let Some(row) = changed.first() {
            let person_id = spelling::of_json(&row.text("person_id_json")?)?;
            let effects = self.effects(row)?;
            let channel = Channel::user(&person_id);
            let data =
                PersonSaved { person_id, name: self.name.clone(), role: self.role.clone(), cadet_id: self.cadet_id.clone() };
            ctx.emit_with(&event::PERSON_SAVED, channel, &data, effects);
        }
        Ok(PersonAnswer { person_id: self.person_id.clone(), changed: !changed.is_empty() })
    }
}

impl SavePerson {
    /// What the person may see by role and cadet, after what the statement replaced.
    fn effects(&self, replaced: &Row) -> Result<Vec<Effect>, JournalError> {
        let old_role = channel_in(replaced, "previous_role", "role")?;
        let old_cadet = channel_in(replaced, "previous_cadet_id", "cadet")?;
        let cadet = self.cadet_id.as_ref().map(|cadet| Channel::new("cadet", cadet));
        let mut effects = self.moved(old_role, Some(self.role.channel()));
        effects.extend(self.moved(old_cadet, cadet));
        Ok(effects)
    }

    fn moved(&self, from: Option<Channel>, to: Option<Channel>) -> Vec<Effect> {
        if from == to {
            return Vec::new();
        }
        let person = || self.person_id.clone();
        let revoke = from.map(|channel| Effect::Revoke { person: person(), channel });
        let grant = to.map(|channel| Effect::Grant { person: person(), channel });
        revoke.into_iter().chain(grant).collect()
    }
}

/// The channel of this kind whose id the column holds.
fn channel_in(row: &Row, column: &str, kind: &str) -> Result<Option<Channel>, JournalError> {
    let Some(id) = row.text_or_null(column)? else { return Ok(None) };
    let id = Id::new(&id).map_err(|error| JournalError::Statement(error.to_string()))?;
    Ok(Some(Channel::new(kind, &id)))
}
