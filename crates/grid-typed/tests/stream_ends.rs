//! How typed streams end: dropped, cancelled, late, cut off, or never opened.

mod common;

use std::convert::Infallible;
use std::future::pending;
use std::time::Duration;

use common::*;
use futures_util::TryStreamExt as _;
use futures_util::future::BoxFuture;
use grid_transport::testing::{self, NAMES, Net, Pair};
use grid_transport::{Builder, CallError};
use grid_typed::{
    Capacity, HandlerError, HandlerId, ManagerBuilderExt as _, Single, Streaming, TypedStreamCall,
};
use tokio::sync::mpsc::UnboundedReceiver;

/// Opened with how many numbers to send.
static LIST: Streaming<u64, Infallible, u64> =
    Streaming::new(HandlerId::new(222), Capacity::new(0, 8));
static WATCHED: Streaming<(), u64, u64> = Streaming::new(HandlerId::new(226), Capacity::new(2, 2));

type Call = TypedStreamCall<u64, u64>;
type BoxedHandler = BoxFuture<'static, Result<(), HandlerError>>;

fn handlers(node: Builder) -> Builder {
    node.typed(&FENCE, |number, _| async move { Ok(number) })
        .typed_stream(&LIST, |count, call| async move {
            for number in 0..count {
                call.send(&number).await?;
            }
            Ok(())
        })
}

/// A node with a stream whose handler says what becomes of it.
async fn watched(
    run: impl Fn(Steps, Call) -> BoxedHandler + Send + Sync + Clone + 'static,
    detached: bool,
) -> (Pair, UnboundedReceiver<&'static str>) {
    let (steps, reached) = steps();
    let pair = testing::pair(move |node| {
        let (run, steps) = (run.clone(), steps.clone());
        let handler = WATCHED.handler(move |(), call| run(steps.clone(), call));
        handlers(node).register(if detached {
            handler.detached()
        } else {
            handler
        })
    })
    .await
    .unwrap();
    (pair, reached)
}

fn waits(steps: Steps, call: Call) -> BoxedHandler {
    Box::pin(async move {
        let _guard = steps.on_drop("dropped");
        call.send(&1).await?;
        pending().await
    })
}

#[tokio::test(start_paused = true)]
async fn dropping_cancels() {
    let (pair, mut reached) = watched(waits, false).await;
    let open = async || {
        let mut stream = WATCHED.open(&pair.a_to_b(), &()).await.unwrap();
        assert_eq!(stream.recv().await.unwrap().unwrap(), 1);
        stream
    };
    drop(open().await);
    assert_eq!(soon(reached.recv()).await, Some("dropped"));

    let (sender, mut receiver) = open().await.split();
    drop(sender);
    assert_eq!(soon(reached.recv()).await, Some("dropped"));
    let error = soon(receiver.recv()).await.unwrap().unwrap_err();
    assert!(
        matches!(error.as_call(), Some(CallError::Cancelled)),
        "{error:?}"
    );

    let (sender, receiver) = open().await.split();
    drop(receiver);
    assert_eq!(soon(reached.recv()).await, Some("dropped"));
    let error = sender.send(&1).await.unwrap_err();
    assert!(
        matches!(error.as_call(), Some(CallError::Cancelled)),
        "{error:?}"
    );

    let mut stream = open().await;
    let handle = stream.cancel_handle();
    let elsewhere = tokio::spawn(async move { handle.cancel() });
    let error = soon(stream.recv()).await.unwrap().unwrap_err();
    assert!(
        matches!(error.as_call(), Some(CallError::Cancelled)),
        "{error:?}"
    );
    elsewhere.await.unwrap();
    assert_eq!(soon(reached.recv()).await, Some("dropped"));
    well(&pair).await;
}

#[tokio::test(start_paused = true)]
async fn a_deadline_ends_both_sides() {
    let (pair, mut reached) = watched(waits, false).await;
    let open = WATCHED
        .open(&pair.a_to_b(), &())
        .timeout(Duration::from_secs(2));
    let mut stream = open.await.unwrap();
    assert_eq!(stream.recv().await.unwrap().unwrap(), 1);
    let error = soon(stream.recv()).await.unwrap().unwrap_err();
    assert!(
        matches!(error.as_call(), Some(CallError::Deadline)),
        "{error:?}"
    );
    assert_eq!(soon(reached.recv()).await, Some("dropped"));
    well(&pair).await;
}

#[tokio::test(start_paused = true)]
async fn a_detached_handler_sees_the_end() {
    let (pair, mut reached) = watched(
        |steps, mut call| {
            Box::pin(async move {
                let _guard = steps.on_drop("dropped");
                call.send(&1).await?;
                call.context().cancelled().await;
                steps.at("told");
                assert!(call.recv().await.is_some_and(|item| item.is_err()));
                assert!(call.recv().await.is_none());
                assert!(call.send(&2).await.is_err());
                steps.at("done");
                Ok(())
            })
        },
        true,
    )
    .await;
    let mut stream = WATCHED.open(&pair.a_to_b(), &()).await.unwrap();
    assert_eq!(stream.recv().await.unwrap().unwrap(), 1);
    drop(stream);
    for step in ["told", "done", "dropped"] {
        assert_eq!(soon(reached.recv()).await, Some(step));
    }
    well(&pair).await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_link_is_an_error() {
    let (pair, mut reached) = watched(waits, false).await;
    let mut stream = WATCHED.open(&pair.a_to_b(), &()).await.unwrap();
    assert_eq!(stream.recv().await.unwrap().unwrap(), 1);
    pair.cut();
    let error = soon(stream.recv()).await.unwrap().unwrap_err();
    assert!(
        matches!(error.as_call(), Some(CallError::Disconnected { .. })),
        "{error:?}"
    );
    assert!(stream.recv().await.is_none());
    assert_eq!(soon(reached.recv()).await, Some("dropped"));
}

#[tokio::test(start_paused = true)]
async fn opening_waits_for_the_link_only_when_told_to() {
    let net = Net::new();
    let a = testing::node_on(&net, NAMES[0], &NAMES, handlers).unwrap();
    let peer = a.connection(NAMES[1]).unwrap();
    let error = LIST.open(&peer, &2).await.unwrap_err();
    assert!(error.is_retryable(), "{error:?}");
    let waiting = tokio::spawn(
        LIST.open(&peer, &2)
            .timeout(LONG)
            .wait_ready()
            .into_future(),
    );
    let _b = testing::node_on(&net, NAMES[1], &NAMES, handlers).unwrap();
    let items: Vec<_> = waiting.await.unwrap().unwrap().try_collect().await.unwrap();
    assert_eq!(items, [0, 1]);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_there_is_said() {
    let pair = testing::pair(handlers).await.unwrap();
    let peer = pair.a_to_b();
    let mut unknown = LIST
        .open(&peer.subroute("nowhere"), &1)
        .timeout(LONG)
        .await
        .unwrap();
    let error = unknown.recv().await.unwrap().unwrap_err();
    assert!(
        matches!(error.as_call(), Some(CallError::UnknownHandler(_))),
        "{error:?}"
    );
    static ASK: Single<String, String> = Single::new(HandlerId::new(224));
    let error = ASK.call(&peer, &String::new()).await.unwrap_err();
    assert!(
        matches!(error.as_call(), Some(CallError::UnknownHandler(_))),
        "{error:?}"
    );
    well(&pair).await;
}
