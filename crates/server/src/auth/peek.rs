//! What a token says about itself before anybody has verified it: enough to choose its judge, and believed in nothing else.

use super::jwt::strict_object;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

/// An unverified token's own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peeked {
    /// `iss`, when it is a text.
    pub issuer: Option<String>,
    /// `kid`, when it is a text.
    pub kid: Option<String>,
}

/// Looks into a credential; none when it is no JWT but an opaque token.
///
/// Three segments are not enough: signed cookies of some frameworks have as many, but no header that names an algorithm.
pub fn peek(token: &str) -> Option<Peeked> {
    let mut segments = token.splitn(4, '.');
    let (header, payload, _) = (segments.next()?, segments.next()?, segments.next()?);
    let header = object_of(header).filter(|header| header.contains_key("alg"))?;
    let claims = object_of(payload).unwrap_or_default();
    let text = |object: &Map<String, Value>, name: &str| object.get(name).and_then(Value::as_str).map(str::to_owned);
    Some(Peeked { issuer: text(&claims, "iss"), kid: text(&header, "kid") })
}

fn object_of(segment: &str) -> Option<Map<String, Value>> {
    let bytes = URL_SAFE_NO_PAD.decode(segment).ok()?;
    strict_object(&bytes).ok()
}
