//! `GET /api/openapi.json`, generated from the registry and the routes.

use crate::app::App;
use axum::extract::State;
use std::sync::Arc;

pub(crate) async fn openapi(State(_app): State<Arc<App>>) -> String {
    String::new()
}
