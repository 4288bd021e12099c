//! A refusal: what a caller is told when a request is not carried out.

use crate::error_code::ErrorCode;

/// A documented code and a sentence for the caller. Never holds inside text (SQL, paths, secrets).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Refusal {
    /// What kind of refusal.
    pub code: ErrorCode,
    /// Why, in this case.
    pub message: String,
    /// With [`ErrorCode::StaleVersion`]: what is true now, so that the caller can decide anew without another request.
    pub current: Option<Box<serde_json::Value>>,
}

impl Refusal {
    /// A refusal with its own sentence.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), current: None }
    }

    /// The refusal of a change to something that has changed meanwhile, with what is true now.
    pub fn stale(current: serde_json::Value) -> Self {
        Self { current: Some(Box::new(current)), ..ErrorCode::StaleVersion.into() }
    }
}

impl From<ErrorCode> for Refusal {
    fn from(code: ErrorCode) -> Self {
        Self::new(code, code.sentence())
    }
}
