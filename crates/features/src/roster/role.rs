//! Roles, on the campus and in a course: words of the host platform, and the ids of `role:` channels.

use campanile_contract::{Channel, Id};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// A role such as `student`, `teacher` or `training_staff`: a text that can be the id of a channel.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Role(Id);

impl Role {
    /// A role.
    ///
    /// # Errors
    /// A sentence when the text is empty, longer than 128 bytes, or holds a control character.
    pub fn new(text: &str) -> Result<Self, &'static str> {
        let id = Id::new(text).map_err(|_| "a role is a text of 1 to 128 bytes without control characters")?;
        Ok(Self(id))
    }

    /// What somebody is in a course when nothing else is said.
    pub fn student() -> Self {
        Self(Id::new("student").expect("a word is an id"))
    }

    /// The word.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The channel of everybody who has this role on the campus.
    pub fn channel(&self) -> Channel {
        Channel::new("role", &self.0)
    }
}

impl TryFrom<String> for Role {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::new(&text)
    }
}

impl From<Role> for String {
    fn from(role: Role) -> Self {
        role.as_str().to_owned()
    }
}

impl JsonSchema for Role {
    fn schema_name() -> Cow<'static, str> {
        "Role".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "minLength": 1, "maxLength": 128})
    }
}
