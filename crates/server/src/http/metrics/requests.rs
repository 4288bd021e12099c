//! HTTP: response times by route, and what was refused.

use super::text::{Family, Text, US};
use crate::app::App;
use crate::measures::RestCaller;
use campanile_wire::ErrorCode;

static REQUESTS: Family = Family::histogram(
    "campanile_http_request_duration_seconds",
    &["route", "method", "status"],
    "From a request's head to its answer's head, by route template; a poll's wait is in it, a stream's life is not.",
);
static ERRORS: Family =
    Family::counter("campanile_http_errors_total", &["code"], "Requests answered with a problem, by error code.");
static ATTEMPTS: Family = Family::counter(
    "campanile_auth_attempts_total",
    &["source"],
    "Credentials that were shown, by where they stood; `none` for requests without one, `message` over an open WebSocket.",
);
static AUTH: Family = Family::counter(
    "campanile_auth_refusals_total",
    &["source", "code"],
    "Credentials that were refused, by where they stood and why.",
);
static REST: Family =
    Family::counter("campanile_rest_limit_refusals_total", &["caller"], "Requests over the REST limits, by kind of caller.");

pub(super) fn write(text: &mut Text, app: &App) {
    let measures = &app.measures;
    text.begin(&REQUESTS);
    for reading in measures.routes() {
        text.histogram(&[&reading.route, reading.method, reading.class], &reading.took_us, US);
    }
    text.begin(&ERRORS);
    for code in ErrorCode::ALL.iter().filter(|code| measures.errors(**code) > 0) {
        text.sample(&[code.as_str()], measures.errors(*code));
    }
    let credentials = app.identity.counts();
    text.begin(&ATTEMPTS);
    credentials.attempts.iter().for_each(|(source, count)| text.sample(&[source], *count));
    text.begin(&AUTH);
    credentials.refusals.iter().for_each(|((source, code), count)| text.sample(&[source, code], *count));
    text.begin(&REST);
    RestCaller::ALL.iter().for_each(|caller| text.sample(&[caller.as_str()], measures.rest_refusals(*caller)));
}
