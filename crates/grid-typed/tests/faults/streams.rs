//! Of streams.

use std::sync::atomic::Ordering;

use futures_util::{SinkExt, StreamExt as _};
use grid_transport::testing;
use grid_typed::{Capacity, HandlerId, ManagerBuilderExt as _, Role, Streaming, TypedError};

use crate::common::*;
use crate::*;

#[tokio::test(start_paused = true)]
async fn c19_faults_of_an_initial_payload_pair() {
    let nodes = nodes().await;
    let peer = nodes.pair.a_to_b();
    for (fault, text) in ENCODE {
        let error = ECHO.open(&peer, &fault.into()).await.unwrap_err();
        assert!(
            matches!(
                error,
                TypedError::Encode {
                    role: Role::Init,
                    ..
                }
            ),
            "{error:?}"
        );
        assert_eq!(
            error.to_string(),
            format!("encoding the initial payload: {text}")
        );
        assert!(!error.may_have_executed());
        well(&nodes.pair).await;
    }
    for (fault, text) in DECODE {
        let mut stream = ECHO.open(&peer, &fault.into()).timeout(LONG).await.unwrap();
        let error = stream.recv().await.unwrap().unwrap_err();
        assert!(remote(&error).starts_with(&format!("decoding the initial payload: {text}")));
        assert!(stream.recv().await.is_none());
        well(&nodes.pair).await;
    }
    let mut stream = peer
        .stream(ECHO.id(), ECHO.capacity(), JUNK)
        .timeout(LONG)
        .await
        .unwrap();
    let error = stream.recv().await.unwrap().unwrap_err();
    assert!(error.to_string().contains(NOT_A_STR), "{error}");
    well(&nodes.pair).await;
    assert_eq!(nodes.calls.load(Ordering::SeqCst), 0, "no handler has run");
}

#[tokio::test(start_paused = true)]
async fn c19_faults_of_an_item_to_a_handler_pair() {
    let nodes = nodes().await;
    let peer = nodes.pair.a_to_b();
    for definition in [&ECHO, &STUBBORN] {
        for (fault, text) in DECODE {
            let mut stream = opened(&peer, definition).await;
            for item in ["before", fault] {
                stream.send(&item.into()).await.unwrap();
            }
            // Whether it is taken depends on how fast the handler fails.
            let _ = stream.send(&"after".into()).await;
            stream.finish();
            assert_eq!(stream.recv().await.unwrap().unwrap(), "before".into());
            let error = stream.recv().await.unwrap().unwrap_err();
            assert!(
                remote(&error).starts_with(&format!("decoding an item: {text}")),
                "{error}"
            );
            assert!(stream.recv().await.is_none());
            well(&nodes.pair).await;
        }
    }
    let stream = peer.stream(STUBBORN.id(), STUBBORN.capacity(), b"\xa1x");
    let mut stream = stream.timeout(LONG).await.unwrap();
    stream.send(JUNK).await.unwrap();
    let error = stream.recv().await.unwrap().unwrap_err();
    assert!(
        error.to_string().starts_with("decoding an item: "),
        "{error}"
    );
    assert!(error.to_string().contains(NOT_A_STR), "{error}");
    well(&nodes.pair).await;
}

#[tokio::test(start_paused = true)]
async fn c19_faults_of_an_item_from_a_handler_pair() {
    let nodes = nodes().await;
    let peer = nodes.pair.b_to_a();
    for definition in [&ECHO, &STUBBORN] {
        for (fault, text) in ENCODE {
            let mut stream = opened(&peer, definition).await;
            for item in ["before", &format!("answer {fault}")] {
                stream.send(&item.into()).await.unwrap();
            }
            let _ = stream.send(&"after".into()).await;
            stream.finish();
            assert_eq!(stream.recv().await.unwrap().unwrap(), "before".into());
            let error = stream.recv().await.unwrap().unwrap_err();
            assert_eq!(remote(&error), format!("encoding an item: {text}"));
            assert!(stream.recv().await.is_none());
            well(&nodes.pair).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn c19_faults_of_an_item_to_the_caller_pair() {
    let mut nodes = nodes().await;
    let peer = nodes.pair.a_to_b();
    for (fault, text) in DECODE {
        let mut stream = opened(&peer, &ECHO).await;
        for item in ["before", fault, "after"] {
            stream
                .send(&format!("answer {item}").as_str().into())
                .await
                .unwrap();
        }
        assert_eq!(stream.recv().await.unwrap().unwrap(), "before".into());
        let error = stream.recv().await.unwrap().unwrap_err();
        assert!(
            matches!(
                error,
                TypedError::Decode {
                    role: Role::Item,
                    ..
                }
            ),
            "{error:?}"
        );
        assert!(
            error
                .to_string()
                .starts_with(&format!("decoding an item: {text}")),
            "{error}"
        );
        assert!(stream.next().await.is_none());
        let error = stream.send(&"after".into()).await.unwrap_err();
        assert!(error.to_string().contains(text) && matches!(error, TypedError::Failed(_)));
        well(&nodes.pair).await;
    }
    // The handler learns of it while the caller still holds the stream.
    let mut stream = opened(&peer, &WAITS).await;
    assert!(stream.recv().await.unwrap().is_err());
    assert_eq!(soon(nodes.steps.recv()).await, Some("dropped"));
    well(&nodes.pair).await;
}

#[tokio::test(start_paused = true)]
async fn c19_faults_of_an_item_from_the_caller_pair() {
    let nodes = nodes().await;
    let peer = nodes.pair.a_to_b();
    for (fault, text) in ENCODE {
        let mut stream = opened(&peer, &ECHO).await;
        let error = stream.send(&fault.into()).await.unwrap_err();
        assert!(
            matches!(
                error,
                TypedError::Encode {
                    role: Role::Item,
                    ..
                }
            ),
            "{error:?}"
        );
        assert_eq!(error.to_string(), format!("encoding an item: {text}"));
        // A rest without that item must not pass for the whole.
        for error in [
            stream.send(&"after".into()).await.unwrap_err(),
            stream.feed("after".into()).await.unwrap_err(),
            stream.close().await.unwrap_err(),
            stream.recv().await.unwrap().unwrap_err(),
        ] {
            assert!(matches!(error, TypedError::Failed(_)), "{error:?}");
            assert_eq!(
                error.to_string(),
                format!("the stream has failed: encoding an item: {text}")
            );
        }
        assert!(stream.recv().await.is_none());
        well(&nodes.pair).await;

        let mut sink = opened(&peer, &ECHO).await;
        let error = SinkExt::send(&mut sink, fault.into()).await.unwrap_err();
        assert!(
            matches!(
                error,
                TypedError::Encode {
                    role: Role::Item,
                    ..
                }
            ),
            "{error:?}"
        );
        well(&nodes.pair).await;
    }
}

#[tokio::test(start_paused = true)]
async fn c19_faults_wake_the_other_half_pair() {
    static SPLIT: Streaming<Touchy, Touchy, Touchy> =
        Streaming::new(HandlerId::new(214), Capacity::new(4, 4));
    let split = |_: Touchy, call: Ends| async move {
        let (_, sender, mut receiver) = call.into_parts();
        let receiving = tokio::spawn(async move { receiver.recv().await });
        tokio::task::yield_now().await;
        let sent = sender.send(&"encode panic".into()).await;
        assert!(matches!(sent, Err(TypedError::Encode { .. })), "{sent:?}");
        let received = receiving.await?;
        assert!(
            matches!(received, Some(Err(TypedError::Failed(_)))),
            "{received:?}"
        );
        Ok(())
    };
    let pair = testing::pair(|node| {
        node.typed(&FENCE, |number, _| async move { Ok(number) })
            .typed_stream(&SPLIT, split)
    })
    .await
    .unwrap();

    let (_sender, mut receiver) = opened(&pair.a_to_b(), &SPLIT).await.split();
    let error = receiver.recv().await.unwrap().unwrap_err();
    assert_eq!(
        remote(&error),
        "encoding an item: panic while encoding: boom"
    );
    well(&pair).await;

    let (sender, mut receiver) = opened(&pair.a_to_b(), &SPLIT).await.split();
    let receiving = tokio::spawn(async move { receiver.recv().await });
    sender.send(&"encode refuse".into()).await.unwrap_err();
    let received = soon(receiving).await.unwrap().unwrap().unwrap_err();
    assert_eq!(
        received.to_string(),
        "the stream has failed: encoding an item: not today"
    );
    well(&pair).await;
}

#[tokio::test(start_paused = true)]
async fn c19_faults_are_told_to_a_sender_that_waits_pair() {
    let nodes = nodes().await;
    let (sender, mut receiver) = opened(&nodes.pair.a_to_b(), &WAITS).await.split();
    // The handler reads nothing, so this waits for credit by the time that its item comes.
    let sending = async {
        loop {
            if let Err(error) = sender.send(&"fine".into()).await {
                break error;
            }
        }
    };
    let (sent, received) = soon(async { tokio::join!(sending, receiver.recv()) }).await;
    let received = received.unwrap().unwrap_err();
    assert!(
        matches!(sent, TypedError::Failed(_)) && sent.to_string().ends_with(&received.to_string()),
        "{sent:?}"
    );
    well(&nodes.pair).await;
}

/// A handler whose sender waits for credit, by `wait`, while its receiver gets an item that can't
/// be decoded; tells how that ended for the sender.
async fn waiting_handler<F>(wait: fn(grid_typed::TypedSender<Touchy>) -> F) -> String
where
    F: Future<Output = TypedError> + Send + 'static,
{
    static BEHIND: Streaming<Touchy, Touchy, Touchy> =
        Streaming::new(HandlerId::new(215), Capacity::new(4, 1));
    let (told, mut said) = tokio::sync::mpsc::unbounded_channel();
    let pair = testing::pair(|node| {
        let told = told.clone();
        let behind = move |_: Touchy, call: Ends| {
            let told = told.clone();
            async move {
                let (_, sender, mut receiver) = call.into_parts();
                sender.send(&"takes all the credit".into()).await?;
                let waiting = tokio::spawn(wait(sender));
                let error = receiver.recv().await.map(Result::unwrap_err);
                assert!(
                    matches!(error, Some(TypedError::Decode { .. })),
                    "{error:?}"
                );
                told.send(waiting.await?.to_string())?;
                Ok(())
            }
        };
        node.typed(&FENCE, |number, _| async move { Ok(number) })
            .typed_stream(&BEHIND, behind)
    })
    .await
    .unwrap();
    let mut stream = opened(&pair.a_to_b(), &BEHIND).await;
    // A round trip: the handler's sender waits by now.
    FENCE.call(&pair.a_to_b(), &1).await.unwrap();
    stream.send(&"decode refuse".into()).await.unwrap();
    let said = soon(said.recv()).await.unwrap();
    // The caller has read nothing so far: it was not its credit that woke the sender.
    assert!(stream.recv().await.unwrap().is_ok());
    let error = stream.recv().await.unwrap().unwrap_err();
    assert!(
        remote(&error).starts_with("decoding an item: not today"),
        "{error}"
    );
    well(&pair).await;
    said
}

#[tokio::test(start_paused = true)]
async fn c19_a_handlers_sender_that_waits_is_told_pair() {
    let failed = "the stream has failed: decoding an item: not today";
    let said =
        waiting_handler(|sender| async move { sender.send(&"waits".into()).await.unwrap_err() });
    let said = said.await;
    assert!(said.starts_with(failed), "{said}");

    let said = waiting_handler(|mut sender| async move {
        sender.feed("waits".into()).await.unwrap();
        sender.flush().await.unwrap_err()
    });
    let said = said.await;
    assert!(said.starts_with(failed), "{said}");
}
