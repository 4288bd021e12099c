//! Both API documents as text, rendered once at the start: the registry does not change while the server runs.

use crate::http::{asyncapi, openapi};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use campanile_contract::Registry;
use serde_json::Value;
use std::net::SocketAddr;

/// The documents.
pub(crate) struct Documents {
    pub(crate) openapi: Document,
    pub(crate) asyncapi: Document,
}

/// One of them.
#[derive(Clone)]
pub(crate) struct Document(pub(crate) Bytes);

impl Documents {
    /// Describes what is declared here.
    pub(crate) fn of(registry: &Registry, listen: SocketAddr) -> Self {
        let render = |document: &Value| Document(document.to_string().into());
        Self { openapi: render(&openapi::document(registry)), asyncapi: render(&asyncapi::document(registry, listen)) }
    }
}

impl IntoResponse for Document {
    fn into_response(self) -> Response {
        ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], self.0).into_response()
    }
}
