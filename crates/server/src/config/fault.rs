//! What is wrong with a configuration, and where: sentences for the operator that never hold a value that could be secret.

use super::layers::Place;
use std::fmt;

/// One mistake.
#[derive(Clone, Debug)]
pub struct Fault {
    place: Option<Place>,
    sentence: String,
}

impl Fault {
    /// A mistake without a place.
    pub fn new(sentence: String) -> Self {
        Self { place: None, sentence }
    }

    /// A mistake at a place.
    pub fn at(place: Place, sentence: String) -> Self {
        Self { place: Some(place), sentence }
    }

    /// The same, at a place if one is known.
    pub fn maybe_at(place: Option<&Place>, sentence: String) -> Self {
        Self { place: place.cloned(), sentence }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(place) => write!(f, "{place}: {}", self.sentence),
            None => f.write_str(&self.sentence),
        }
    }
}

impl std::error::Error for Fault {}

/// Everything that is wrong with a configuration.
#[derive(Clone, Debug)]
pub struct Faults(pub Vec<Fault>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for Faults {}
