//! `save_person`: a person is made, or gets another name, role, cadet or approval. What they may see moves along.

use super::event::{self, PersonSaved};
use super::{Role, approval, permission, spelling};
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
    /// Whether they are due anything at all. Absent leaves it as it is, and a new person is approved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_approved: Option<bool>,
}

/// The answer.
#[derive(Serialize, JsonSchema)]
pub struct PersonAnswer {
    person_id: Id,
    /// Whether anything is different now.
    pub(super) changed: bool,
}

/// A row comes back only where something changed, with what it replaced: one statement decides, so two callers at once stay truthful.
const UPSERT: &str = "INSERT INTO person (person_id, person_id_json, name, role, cadet_id, cadet_id_json, is_approved) \
     VALUES ($1, $2, $3, $4, $5, $6, COALESCE($7, TRUE)) \
     ON CONFLICT (person_id) DO UPDATE SET name = excluded.name, previous_name = person.name, \
     role = excluded.role, previous_role = person.role, \
     cadet_id = excluded.cadet_id, cadet_id_json = excluded.cadet_id_json, previous_cadet_id = person.cadet_id, \
     is_approved = COALESCE($7, person.is_approved), previous_is_approved = person.is_approved \
     WHERE person.name <> excluded.name OR person.role <> excluded.role OR person.cadet_id IS DISTINCT FROM excluded.cadet_id \
     OR person.is_approved <> COALESCE($7, person.is_approved) \
     RETURNING person_id_json, previous_name, previous_role, previous_cadet_id, is_approved, \
     COALESCE(previous_is_approved, TRUE) AS was_approved";

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
            self.cadet_id.as_ref().map(spelling::to_json).into(),
            self.is_approved.into(),
        ];
        let changed = ctx.fetch(UPSERT, &values).await?;
        if let Some(row) = changed.first() {
            let person_id = spelling::of_json(&row.text("person_id_json")?)?;
            let is_approved = row.bool("is_approved")?;
            // First of all: who begins without approval is not due the news of it either.
            if is_approved != row.bool("was_approved")? {
                approval::emit(ctx, person_id.clone(), is_approved);
            }
            if self.differs(row)? {
                self.emit_saved(ctx, person_id, self.effects(row)?);
            }
        }
        Ok(PersonAnswer { person_id: self.person_id.clone(), changed: !changed.is_empty() })
    }
}

impl SavePerson {
    /// Whether name, role or cadet are others than those that the statement replaced.
    fn differs(&self, replaced: &Row) -> Result<bool, JournalError> {
        let name = replaced.text_or_null("previous_name")?;
        let role = replaced.text_or_null("previous_role")?;
        let cadet = replaced.text_or_null("previous_cadet_id")?;
        let given_cadet = self.cadet_id.as_ref().map(Id::as_str);
        Ok(name.as_deref() != Some(self.name.as_str())
            || role.as_deref() != Some(self.role.as_str())
            || cadet.as_deref() != given_cadet)
    }

    fn emit_saved(&self, ctx: &mut Ctx<'_>, person_id: Id, effects: Vec<Effect>) {
        let channel = Channel::user(&person_id);
        let data = PersonSaved { person_id, name: self.name.clone(), role: self.role.clone(), cadet_id: self.cadet_id.clone() };
        ctx.emit_with(&event::PERSON_SAVED, channel, &data, effects);
    }

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
