//! `GET /metrics`: Prometheus text, rendered by hand from counters that others keep. A new source is a file here and a line in `render`.

mod delivery;
pub(crate) mod process;
mod requests;
mod store;
mod sync;
mod text;

use crate::app::App;
use crate::http::entrance::{Asked, caller};
use crate::http::problem::Problem;
use axum::extract::{Request, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use campanile_wire::ErrorCode;
use std::sync::Arc;
use text::Text;

pub(crate) async fn metrics(State(app): State<Arc<App>>, request: Request) -> Result<Response, Problem> {
    let (parts, _) = request.into_parts();
    if !app.dev && !caller(&app, &parts, &Asked::of(&parts)?).await?.has_scope("metrics") {
        return Err(ErrorCode::Forbidden.into());
    }
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], render(&app).await.text).into_response())
}

async fn render(app: &App) -> Text {
    let glance = app.measures.glance(&app.site, || app.node.position()).await;
    let mut text = Text::default();
    process::write(&mut text, app);
    delivery::write(&mut text, app);
    store::write(&mut text, app, glance.as_deref());
    sync::write(&mut text, app);
    requests::write(&mut text, app);
    text
}

#[cfg(test)]
mod tests;
