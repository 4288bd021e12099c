//! Traces by OTLP over HTTP: request, commit, apply, dispatch. One span for an event however many sessions it goes to.

use anyhow::{Context as _, Result};
use axum::http::{HeaderMap, Method};
use campanile_journal::{ApplyTrace, CommitTrace, TraceContext, Tracer};
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::{
    Link, Span, SpanBuilder, SpanContext, SpanKind, Status, TraceContextExt, TraceFlags, TraceState, Tracer as _,
    TracerProvider,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracer, SdkTracerProvider};
use std::time::Duration;

/// Spans that wait to be sent; further ones are dropped.
const SPANS_WAITING_MAX: usize = 8_192;
/// How long a span waits for company.
const SEND_EVERY: Duration = Duration::from_secs(1);
/// How long the collector may take.
const SEND_TIME_MAX: Duration = Duration::from_secs(5);
/// Other requests of its group that a commit's span points at.
const LINKS_MAX: usize = 16;

/// The recorder of spans.
pub(crate) struct Traces {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

/// A request's span; [`RequestSpan::end`] completes it.
pub(crate) struct RequestSpan(opentelemetry_sdk::trace::Span);

impl Traces {
    /// Prepares the exporter; it sends from a thread of its own.
    pub(crate) fn start(endpoint: &str, ratio: f64) -> Result<Self> {
        let base = endpoint.trim_end_matches('/');
        let address = if base.ends_with("/v1/traces") { base.to_owned() } else { format!("{base}/v1/traces") };
        let exporter = SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(address)
            .with_timeout(SEND_TIME_MAX)
            .build()
            .context("telemetry.otlp_endpoint")?;
        let batches = BatchConfigBuilder::default().with_max_queue_size(SPANS_WAITING_MAX).with_scheduled_delay(SEND_EVERY);
        let resource = Resource::builder()
            .with_service_name("campanile")
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
        let provider = SdkTracerProvider::builder()
            .with_span_processor(BatchSpanProcessor::builder(exporter).with_batch_config(batches.build()).build())
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(ratio))))
            .with_resource(resource.build())
            .build();
        let tracer = provider.tracer("campanile");
        Ok(Self { provider, tracer })
    }

    /// A request's span, child of the `traceparent` that came with it.
    pub(crate) fn begin_request(&self, method: &Method, route: &str, headers: &HeaderMap) -> RequestSpan {
        let parent = TraceContextPropagator::new().extract_with_context(&Context::new(), &Headers(headers));
        let attributes =
            [KeyValue::new("http.request.method", method.as_str().to_owned()), KeyValue::new("http.route", route.to_owned())];
        let span = SpanBuilder::from_name(format!("{method} {route}")).with_kind(SpanKind::Server).with_attributes(attributes);
        RequestSpan(self.tracer.build_with_context(span, &parent))
    }

    /// Sends what waits; blocks for as long as the collector may take.
    pub(crate) fn shut_down(&self) {
        // A collector that does not answer has its limit; what it does not take is lost, and nobody is left to be told.
        let _ = self.provider.shutdown_with_timeout(SEND_TIME_MAX);
    }
}

impl RequestSpan {
    /// Where what follows goes on; none for a request that is not sampled.
    pub(crate) fn context(&self) -> Option<TraceContext> {
        let context = self.0.span_context();
        context.is_sampled().then(|| of_span(context))
    }

    pub(crate) fn end(mut self, status: u16, request_id: &str) {
        self.0.set_attribute(KeyValue::new("http.response.status_code", i64::from(status)));
        self.0.set_attribute(KeyValue::new("campanile.request_id", request_id.to_owned()));
        if status >= 500 {
            self.0.set_status(Status::error(""));
        }
        self.0.end();
    }
}

impl Tracer for Traces {
    fn committed(&self, commit: &CommitTrace<'_>) -> TraceContext {
        let others = commit.group.iter().filter(|other| **other != commit.request).take(LINKS_MAX);
        let links = others.map(|other| Link::new(span_context(*other), Vec::new(), 0)).collect();
        let span = SpanBuilder::from_name("journal commit")
            .with_start_time(commit.begun)
            .with_attributes([KeyValue::new("campanile.group.requests", whole(commit.requests as u64))])
            .with_links(links);
        let mut span = self.tracer.build_with_context(span, &under(commit.request));
        let context = of_span(span.span_context());
        span.end_with_timestamp(commit.ended);
        context
    }

    fn applied(&self, apply: &ApplyTrace<'_>) {
        // An event that another process committed, or that came from the store, begins a trace of its own.
        let parent = apply.commit.map_or_else(Context::new, under);
        let attributes = [
            KeyValue::new("campanile.event.id", whole(apply.event.id)),
            KeyValue::new("campanile.event.type", apply.event.kind.to_string()),
            // Its kind only: a channel's id may be a person's.
            KeyValue::new("campanile.channel.kind", apply.event.channel.kind().to_owned()),
        ];
        let span = SpanBuilder::from_name("node apply").with_start_time(apply.begun).with_attributes(attributes);
        let mut span = self.tracer.build_with_context(span, &parent);
        let inside = Context::new().with_remote_span_context(span.span_context().clone());
        let dispatch = SpanBuilder::from_name("dispatch")
            .with_kind(SpanKind::Producer)
            .with_start_time(apply.dispatched)
            .with_attributes([KeyValue::new("campanile.sessions", whole(apply.sessions as u64))]);
        self.tracer.build_with_context(dispatch, &inside).end_with_timestamp(apply.ended);
        span.end_with_timestamp(apply.ended);
    }
}

/// The headers of a request, for the propagator.
struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(axum::http::HeaderName::as_str).collect()
    }
}

fn of_span(context: &SpanContext) -> TraceContext {
    TraceContext {
        trace_id: u128::from_be_bytes(context.trace_id().to_bytes()),
        span_id: u64::from_be_bytes(context.span_id().to_bytes()),
    }
}

fn span_context(context: TraceContext) -> SpanContext {
    let TraceContext { trace_id, span_id } = context;
    SpanContext::new(trace_id.into(), span_id.into(), TraceFlags::SAMPLED, false, TraceState::default())
}

fn under(context: TraceContext) -> Context {
    Context::new().with_remote_span_context(span_context(context))
}

fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
