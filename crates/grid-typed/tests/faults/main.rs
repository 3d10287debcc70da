//! Values that can't be encoded or decoded, and types whose code panics: that call or stream fails
//! with the reason, no half of a value is delivered, and nobody else notices.

#[path = "../common/mod.rs"]
mod common;

mod calls;
mod streams;

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::*;
use grid_transport::Connection;
use grid_transport::testing::{self, Pair};
use grid_typed::{
    Capacity, HandlerId, ManagerBuilderExt as _, Role, Single, Streaming, TypedError,
    TypedStreamCall,
};

/// What comes, and what is answered: each may fail.
type Ends = TypedStreamCall<Touchy, Touchy>;

static CALL: Single<Touchy, Touchy> = Single::new(HandlerId::new(210));
static ECHO: Streaming<Touchy, Touchy, Touchy> =
    Streaming::new(HandlerId::new(211), Capacity::new(4, 4));
/// Goes on after every error, and says that all is well.
static STUBBORN: Streaming<Touchy, Touchy, Touchy> =
    Streaming::new(HandlerId::new(212), Capacity::new(4, 4));
/// Tells when its future is dropped.
static WAITS: Streaming<Touchy, Touchy, Touchy> =
    Streaming::new(HandlerId::new(213), Capacity::new(4, 4));
/// The same places, with payloads of the test's own.
const JUNK: &[u8] = b"\x93\x01\x02\x03";
const NOT_A_STR: &str = "found an array, expected a string";

struct Nodes {
    pair: Pair,
    calls: Arc<AtomicUsize>,
    steps: tokio::sync::mpsc::UnboundedReceiver<&'static str>,
}

async fn nodes() -> Nodes {
    let calls = Arc::new(AtomicUsize::new(0));
    let (steps, reached) = steps();
    let pair = testing::pair(|node| {
        let counted = {
            let calls = calls.clone();
            move |request: Touchy, _| {
                calls.fetch_add(1, Ordering::SeqCst);
                let answer = request.0.strip_prefix("answer ").unwrap_or("fine");
                std::future::ready(Ok(Touchy::from(answer)))
            }
        };
        let opened = {
            let calls = calls.clone();
            move |_: Touchy, mut call: Ends| {
                calls.fetch_add(1, Ordering::SeqCst);
                async move {
                    while let Some(item) = call.recv().await {
                        call.send(&answer(item?)).await?;
                    }
                    Ok(())
                }
            }
        };
        let steps = steps.clone();
        let waits = move |_: Touchy, call: Ends| {
            let steps = steps.clone();
            async move {
                let _guard = steps.on_drop("dropped");
                call.send(&"decode panic".into()).await?;
                pending().await
            }
        };
        node.typed(&FENCE, |number, _| async move { Ok(number) })
            .typed(&CALL, counted)
            .typed_stream(&ECHO, opened)
            .typed_stream(&STUBBORN, stubborn)
            .typed_stream(&WAITS, waits)
    })
    .await
    .unwrap();
    Nodes {
        pair,
        calls,
        steps: reached,
    }
}

/// `answer X` asks for X.
fn answer(item: Touchy) -> Touchy {
    item.0.strip_prefix("answer ").unwrap_or(&item.0).into()
}

async fn stubborn(_: Touchy, mut call: Ends) -> Result<(), grid_typed::HandlerError> {
    let mut failed = false;
    while let Some(item) = call.recv().await {
        let sent = match item {
            Ok(item) => call.send(&answer(item)).await,
            Err(error) => {
                assert!(!failed, "an error comes once");
                failed = true;
                let TypedError::Decode {
                    role: Role::Item, ..
                } = error
                else {
                    assert!(matches!(error, TypedError::Failed(_)), "{error:?}");
                    continue;
                };
                call.send(&"after the error".into()).await
            }
        };
        if failed {
            assert!(matches!(sent, Err(TypedError::Failed(_))), "{sent:?}");
        }
    }
    Ok(())
}

async fn opened(peer: &Connection, stream: &Streaming<Touchy, Touchy, Touchy>) -> Touched {
    stream
        .open(peer, &"fine".into())
        .timeout(LONG)
        .await
        .unwrap()
}

type Touched = grid_typed::TypedStream<Touchy, Touchy>;
