//! One trace over two nodes, by OpenTelemetry: the span of the handler is a child of the span that calls.
//!
//! `cargo run -p grid-typed --example traced`

#![allow(clippy::print_stdout, reason = "an example shows what it gets")]

use std::error::Error;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use grid_transport::{Manager, SharedSecret};
use grid_typed::{
    HandlerId, ManagerBuilderExt as _, NoPayload, Single, TraceContext, Traced, TypedError,
};
use opentelemetry::Context;
use opentelemetry::trace::{
    SpanContext, SpanId, SpanKind, TraceContextExt as _, TraceFlags, TraceId, TracerProvider as _,
};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanProcessor};
use tokio::net::TcpListener;
use tracing::{Instrument as _, Span, info_span};
use tracing_opentelemetry::{OpenTelemetrySpanExt as _, SetParentError};
use tracing_subscriber::layer::SubscriberExt as _;

static SAVE: Single<Traced<String>, NoPayload> = Single::new(HandlerId::new(200));

/// Where the span belongs that we are in, to be sent along.
fn here() -> Option<TraceContext> {
    let context = Span::current().context();
    let span = context.span();
    let own = span.span_context();
    let here = TraceContext::new(
        own.trace_id().to_bytes(),
        own.span_id().to_bytes(),
        own.trace_flags().to_u8(),
    )?;
    Some(here.state(own.trace_state().header()))
}

/// Has the span that we are in, which is that of the handler, belong there. The first thing that a handler does: a span
/// that has begun to be somebody's parent can't get another one itself.
fn join(context: &TraceContext) -> Result<(), SetParentError> {
    let remote = SpanContext::new(
        TraceId::from_bytes(context.trace_id()),
        SpanId::from_bytes(context.span_id()),
        TraceFlags::new(context.flags()),
        true,
        context.trace_state().parse().unwrap_or_default(),
    );
    Span::current().set_parent(Context::new().with_remote_span_context(remote))
}

/// Stands for an exporter.
#[derive(Clone, Debug, Default)]
struct Exported(Arc<Mutex<Vec<SpanData>>>);

impl SpanProcessor for Exported {
    fn on_start(&self, _: &mut opentelemetry_sdk::trace::Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        self.0.lock().expect("nobody panics with it").push(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

impl Exported {
    fn named(&self, name: &str, kind: &SpanKind) -> Result<SpanData, String> {
        let spans = self.0.lock().expect("nobody panics with it");
        let mut spans = spans.iter();
        let found = spans.find(|span| span.name == name && span.span_kind == *kind);
        found.cloned().ok_or_else(|| format!("no {name}"))
    }
}

fn node(name: &str, names: &[String; 2]) -> Result<Manager, Box<dyn Error>> {
    let manager = Manager::builder(name)
        .peers(names)
        .auth(SharedSecret::new("open sesame"))
        .typed(&SAVE, |request, _| async move {
            if let Some(context) = request.context() {
                join(context)?;
            }
            // What the handler does is further down in the same trace.
            info_span!("write", part = %request.value()).in_scope(|| ());
            Ok(NoPayload)
        })
        .build()?;
    Ok(manager)
}

async fn calls() -> Result<(), Box<dyn Error>> {
    let sockets = [
        TcpListener::bind("127.0.0.1:0").await?,
        TcpListener::bind("127.0.0.1:0").await?,
    ];
    let names = [
        format!("http://{}", sockets[0].local_addr()?),
        format!("http://{}", sockets[1].local_addr()?),
    ];
    let (alice, bob) = (node(&names[0], &names)?, node(&names[1], &names)?);
    let [first, second] = sockets;
    let _serving = (alice.serve(first)?, bob.serve(second)?);
    let peer = alice.connection(&names[1])?;
    // What the remote is has to be known, as nodes of others are not sent where a message belongs.
    peer.connected().await?;
    let upload = async {
        let part = Traced::new("part.1".to_owned()).within(here());
        SAVE.call(&peer, &part)
            .timeout(Duration::from_secs(5))
            .await?;
        Ok::<_, TypedError>(())
    };
    upload.instrument(info_span!("upload")).await?;
    alice.shutdown(Duration::from_secs(1)).await;
    bob.shutdown(Duration::from_secs(1)).await;
    Ok(())
}

// One thread, since its subscriber is the only one.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let exported = Exported::default();
    let provider = SdkTracerProvider::builder()
        .with_span_processor(exported.clone())
        .build();
    // Else a span is sealed as soon as it is entered, and a handler runs inside of its own.
    let layer = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("traced"))
        .with_context_activation(false);
    let subscriber = tracing_subscriber::registry().with(layer);
    let guard = tracing::subscriber::set_default(subscriber);
    calls().await?;
    drop(guard);

    let upload = exported.named("upload", &SpanKind::Internal)?;
    let call = exported.named("grid.call", &SpanKind::Client)?;
    let handle = exported.named("grid.handle", &SpanKind::Server)?;
    let write = exported.named("write", &SpanKind::Internal)?;
    for (span, parent) in [(&call, &upload), (&handle, &upload), (&write, &handle)] {
        println!("{} is in {}", span.name, parent.name);
        assert_eq!(
            span.span_context.trace_id(),
            upload.span_context.trace_id(),
            "{}",
            span.name
        );
        assert_eq!(
            span.parent_span_id,
            parent.span_context.span_id(),
            "{}",
            span.name
        );
    }
    assert!(handle.parent_span_is_remote);
    Ok(())
}
