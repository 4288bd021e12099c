//! Channels: `kind:id`, the unit of who may see what.

use crate::id::{ID_BYTES_MAX, Id};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::sync::Arc;

/// The longest kind that is accepted, in bytes.
pub const KIND_BYTES_MAX: usize = 32;

/// The kind of channel whose members are due nothing.
const SUSPENDED: &str = "suspended";

/// A channel, canonically `kind:id`. Cheap to clone, compared by its canonical text.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Channel(Arc<str>);

impl Channel {
    /// The channel of this kind and id.
    ///
    /// # Panics
    /// When `kind` is not a lower-case word: kinds come from the program, not from strangers.
    pub fn new(kind: &str, id: &Id) -> Self {
        assert!(is_kind(kind), "a channel kind is a lower-case word, not {kind:?}");
        Self(format!("{kind}:{id}").into())
    }

    /// The channel that every person owns: `user:{id}`.
    pub fn user(person: &Id) -> Self {
        Self::new("user", person)
    }

    /// The mark of a person who is not approved: whoever is a member of it is due nothing at all, by no channel. It carries no events.
    pub fn suspension(person: &Id) -> Self {
        Self::new(SUSPENDED, person)
    }

    /// Whether this is somebody's [`Channel::suspension`].
    pub fn is_suspension(&self) -> bool {
        self.kind() == SUSPENDED
    }

    /// Reads `kind:id`, `kind.id` or `kind_id`, split at the first separator.
    ///
    /// # Errors
    /// When there is no separator, the kind is not a lower-case word, or the id is not an [`Id`].
    pub fn parse(text: &str) -> Result<Self, InvalidChannel> {
        let split = text.find([':', '.', '_']).ok_or(InvalidChannel)?;
        let (kind, id) = (&text[..split], &text[split + 1..]);
        if !is_kind(kind) || id.len() > ID_BYTES_MAX {
            return Err(InvalidChannel);
        }
        let id = Id::new(id).map_err(|_| InvalidChannel)?;
        Ok(Self(format!("{kind}:{id}").into()))
    }

    /// The part before the separator.
    pub fn kind(&self) -> &str {
        self.0.split_once(':').map_or("", |(kind, _)| kind)
    }

    /// The part after the separator, as text.
    pub fn id(&self) -> &str {
        self.0.split_once(':').map_or("", |(_, id)| id)
    }

    /// `kind:id`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_kind(kind: &str) -> bool {
    (1..=KIND_BYTES_MAX).contains(&kind.len()) && kind.bytes().all(|byte| byte.is_ascii_lowercase())
}

impl std::fmt::Display for Channel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::borrow::Borrow<str> for Channel {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl Serialize for Channel {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Channel {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for Channel {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Channel".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "pattern": "^[a-z]{1,32}[:._].{1,128}$", "description": "kind:id, as course:7"})
    }
}

/// The text is not a channel.
#[derive(Debug, thiserror::Error)]
#[error("a channel is kind:id, such as course:7 (kind.id and kind_id are accepted)")]
pub struct InvalidChannel;
