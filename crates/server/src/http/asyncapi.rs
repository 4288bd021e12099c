//! `GET /api/asyncapi.json`, generated from the registry and the routes.

use crate::app::App;
use axum::extract::State;
use std::sync::Arc;

pub(crate) async fn asyncapi(State(_app): State<Arc<App>>) -> String {
    String::new()
}
