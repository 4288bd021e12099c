//! `GET /metrics`: Prometheus text, rendered from delivery's counters.

use crate::app::App;
use crate::http::entrance::{Asked, caller};
use crate::http::problem::Problem;
use axum::extract::{Request, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use campanile_live::{Metrics, Transport};
use campanile_wire::ErrorCode;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub(crate) async fn metrics(State(app): State<Arc<App>>, request: Request) -> Result<Response, Problem> {
    let (parts, _) = request.into_parts();
    if !app.dev && !caller(&app, &parts, &Asked::of(&parts)?).await?.has_scope("metrics") {
        return Err(ErrorCode::Forbidden.into());
    }
    let text = render(&app.node.metrics);
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response())
}

type Counter = fn(&Metrics) -> &AtomicU64;

/// Name, help and counter.
const COUNTERS: [(&str, &str, Counter); 9] = [
    ("connects_total", "Connections asked for.", |metrics| &metrics.connects),
    ("connects_refused_total", "Connections not admitted.", |metrics| &metrics.connects_refused),
    ("messages_received_total", "Messages from clients.", |metrics| &metrics.messages_received),
    ("fell_behind_total", "Times a connection went from memory to the log.", |metrics| &metrics.fell_behind),
    ("replays_total", "Replays begun.", |metrics| &metrics.replays),
    ("gaps_total", "Gaps told.", |metrics| &metrics.gaps),
    ("pages_from_tail_total", "Pages of history served from memory.", |metrics| &metrics.pages_from_tail),
    ("pages_from_store_total", "Pages of history read from the store.", |metrics| &metrics.pages_from_store),
    ("store_errors_total", "Reads that the store failed.", |metrics| &metrics.store_errors),
];

fn render(metrics: &Metrics) -> String {
    let mut text = String::new();
    let mut family = |name: &str, kind: &str, help: &str, lines: &[(String, String)]| {
        let _ = writeln!(text, "# HELP campanile_{name} {help}\n# TYPE campanile_{name} {kind}");
        for (labels, value) in lines {
            let _ = writeln!(text, "campanile_{name}{labels} {value}");
        }
    };
    let by_transport = |value: &dyn Fn(Transport) -> String| {
        Transport::ALL.map(|transport| (format!("{{transport=\"{}\"}}", transport.as_str()), value(transport)))
    };
    family("connections", "gauge", "Open connections.", &by_transport(&|transport| metrics.connections(transport).to_string()));
    let delivered = by_transport(&|transport| metrics.delivered_total(transport).to_string());
    family("events_delivered_total", "counter", "Events handed to sockets.", &delivered);
    let position = metrics.position.load(Ordering::Relaxed).to_string();
    family("log_position", "gauge", "The id up to which this node has applied the log.", &[(String::new(), position)]);
    for (name, help, counter) in COUNTERS {
        family(name, "counter", help, &[(String::new(), counter(metrics).load(Ordering::Relaxed).to_string())]);
    }
    render_latency(&mut text, metrics);
    text
}

fn render_latency(text: &mut String, metrics: &Metrics) {
    let name = "campanile_publish_to_socket_ms";
    let _ = writeln!(text, "# HELP {name} From the commit's instant to the socket, in milliseconds.\n# TYPE {name} histogram");
    let (counts, sum_ms) = metrics.latency_ms();
    let mut total = 0;
    let bounds = campanile_live::LATENCY_BOUNDS_MS.iter().map(ToString::to_string).chain(["+Inf".to_owned()]);
    for (bound, count) in bounds.zip(counts) {
        total += count;
        let _ = writeln!(text, "{name}_bucket{{le=\"{bound}\"}} {total}");
    }
    let _ = writeln!(text, "{name}_sum {sum_ms}\n{name}_count {total}");
}
