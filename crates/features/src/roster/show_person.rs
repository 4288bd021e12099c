//! `show_person` and `list_people`: what the roster holds of people. For whoever manages it; a person may look at their own row.

use super::{Role, permission, spelling};
use campanile_contract::{Asked, Caller, ErrorCode, Id, JournalError, PageLimit, Query, Reader, Refusal, Row, UnitError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Asks for one person.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ShowPerson {
    /// Who.
    pub person_id: Id,
}

/// Asks for people, a page at a time.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListPeople {
    /// `next` of the page before; none is the first page.
    pub after: Option<Id>,
    /// People on a page.
    #[serde(default)]
    pub limit: PageLimit,
    /// Only those who are, or are not.
    pub is_approved: Option<Asked<bool>>,
}

/// One person.
#[derive(Serialize, JsonSchema)]
pub struct PersonOfRoster {
    person_id: Id,
    name: String,
    /// What they are on this campus.
    role: Role,
    /// The cadet whose data they may see.
    cadet_id: Option<Id>,
    is_approved: bool,
}

/// The answer with a page.
#[derive(Serialize, JsonSchema)]
pub struct PeopleAnswer {
    /// By the canonical text of their ids.
    people: Vec<PersonOfRoster>,
    /// Pass it as `after` to go on; null when this was the last page.
    next: Option<Id>,
}

const SELECT: &str = "SELECT person_id_json, name, role, cadet_id, cadet_id_json, is_approved FROM person WHERE person_id = $1";
const PAGE: &str = "SELECT person_id_json, name, role, cadet_id, cadet_id_json, is_approved FROM person \
     WHERE person_id > $1 AND ($2 IS NULL OR is_approved = $2) ORDER BY person_id LIMIT $3";

impl Query for ShowPerson {
    const NAME: &'static str = "show_person";
    type Answer = PersonOfRoster;

    fn permit(&self, caller: &Caller) -> Result<(), Refusal> {
        match caller {
            Caller::Person(person) if person.id == self.person_id => Ok(()),
            _ => permission::may_manage(caller),
        }
    }

    async fn read(&self, _: &Caller, reader: &mut Reader) -> Result<PersonOfRoster, UnitError> {
        let rows = reader.fetch(SELECT, &[self.person_id.as_str().into()]).await?;
        match rows.first() {
            Some(row) => Ok(person_of(row)?),
            None => Err(Refusal::new(ErrorCode::NotFound, format!("the roster knows no person {}", self.person_id)).into()),
        }
    }
}

impl Query for ListPeople {
    const NAME: &'static str = "list_people";
    type Answer = PeopleAnswer;

    fn permit(&self, caller: &Caller) -> Result<(), Refusal> {
        permission::may_manage(caller)
    }

    async fn read(&self, _: &Caller, reader: &mut Reader) -> Result<PeopleAnswer, UnitError> {
        // No id is empty, so the first page begins behind the empty text.
        let after = self.after.as_ref().map_or("", Id::as_str);
        let is_approved = self.is_approved.map(|Asked(is_approved)| is_approved);
        let rows = reader.fetch(PAGE, &[after.into(), is_approved.into(), self.limit.rows().into()]).await?;
        let people = rows.iter().map(person_of).collect::<Result<Vec<_>, _>>()?;
        let next = people.last().filter(|_| self.limit.is_full(people.len())).map(|person| person.person_id.clone());
        Ok(PeopleAnswer { people, next })
    }
}

fn person_of(row: &Row) -> Result<PersonOfRoster, JournalError> {
    let broken = |why: &str| JournalError::Statement(why.to_owned());
    let cadet_id = match (row.text_or_null("cadet_id_json")?, row.text_or_null("cadet_id")?) {
        (Some(json), _) => Some(spelling::of_json(&json)?),
        // Saved before the roster kept the spelling.
        (None, Some(text)) => Some(Id::new(&text).map_err(|error| broken(&error.to_string()))?),
        (None, None) => None,
    };
    Ok(PersonOfRoster {
        person_id: spelling::of_json(&row.text("person_id_json")?)?,
        name: row.text("name")?,
        role: Role::new(&row.text("role")?).map_err(broken)?,
        cadet_id,
        is_approved: row.bool("is_approved")?,
    })
}
