//! Values that fail on their way to bytes and back (C19).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use grid_transport::{CallError, Connection};
use grid_typed::{
    Capacity, HandlerId, ManagerBuilderExt as _, Role, Single, Streaming, TypedError, TypedStream,
    TypedStreamCall,
};
use serde::{Deserialize, Serialize};

use crate::common::{DECODE, ENCODE, FENCE, LONG, Touchy, remote, soon};
use crate::nodes::Nodes;

/// A value whose second half may fail, when the first is there already.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Halves {
    first: u64,
    second: Touchy,
}

fn halves(text: &str) -> Halves {
    Halves {
        first: 7,
        second: text.into(),
    }
}

/// `answer X` asks for X.
fn answer(value: Halves) -> Halves {
    halves(value.second.0.strip_prefix("answer ").unwrap_or("fine"))
}

static CALL: Single<Halves, Halves> = Single::new(HandlerId::new(210));
static ECHO: Streaming<Halves, Halves, Halves> =
    Streaming::new(HandlerId::new(211), Capacity::new(4, 4));

/// The nodes, and how many values were delivered to their handlers.
async fn nodes() -> (Nodes, Arc<AtomicUsize>) {
    let delivered = Arc::new(AtomicUsize::new(0));
    let nodes = Nodes::tcp(|node| {
        let (one, other) = (delivered.clone(), delivered.clone());
        node.typed(&CALL, move |value: Halves, _| {
            one.fetch_add(1, Ordering::SeqCst);
            async move { Ok(answer(value)) }
        })
        .typed_stream(
            &ECHO,
            move |_: Halves, mut call: TypedStreamCall<Halves, Halves>| {
                let delivered = other.clone();
                async move {
                    while let Some(item) = call.recv().await {
                        let item = item?;
                        delivered.fetch_add(1, Ordering::SeqCst);
                        call.send(&answer(item)).await?;
                    }
                    Ok(())
                }
            },
        )
    })
    .await;
    (nodes, delivered)
}

async fn call(peer: &Connection, text: &str) -> TypedError {
    let call = CALL.call(peer, &halves(text)).timeout(LONG);
    call.await.unwrap_err()
}

async fn opened(peer: &Connection) -> TypedStream<Halves, Halves> {
    let open = ECHO.open(peer, &halves("fine")).timeout(LONG);
    open.await.unwrap()
}

/// How a stream ends whose item fails.
async fn end(stream: &mut TypedStream<Halves, Halves>) -> TypedError {
    let end = soon(stream.recv()).await.unwrap().unwrap_err();
    assert!(soon(stream.recv()).await.is_none());
    end
}

#[track_caller]
fn is_encode(error: &TypedError, wanted: Role) {
    assert!(
        matches!(error, TypedError::Encode { role, .. } if *role == wanted),
        "{error:?}"
    );
}

#[track_caller]
fn is_decode(error: &TypedError, wanted: Role) {
    assert!(
        matches!(error, TypedError::Decode { role, .. } if *role == wanted),
        "{error:?}"
    );
}

#[tokio::test]
async fn c19_a_request_or_answer_that_fails_is_the_error_of_its_call() {
    let (nodes, delivered) = nodes().await;
    for peer in nodes.both() {
        for (fault, text) in ENCODE {
            let error = call(&peer, fault).await;
            is_encode(&error, Role::Request);
            assert_eq!(error.to_string(), format!("encoding the request: {text}"));
        }
        for (fault, text) in DECODE {
            let text = format!("decoding the request: {text}");
            let error = remote(&call(&peer, fault).await);
            assert!(error.starts_with(&text), "{error}");
        }
        assert_eq!(delivered.swap(0, Ordering::SeqCst), 0);
        for (fault, text) in ENCODE {
            let error = call(&peer, &format!("answer {fault}")).await;
            assert_eq!(remote(&error), format!("encoding the response: {text}"));
        }
        for (fault, text) in DECODE {
            let error = call(&peer, &format!("answer {fault}")).await;
            is_decode(&error, Role::Response);
            let text = format!("decoding the response: {text}");
            assert!(error.to_string().starts_with(&text), "{error}");
        }
        assert_eq!(delivered.swap(0, Ordering::SeqCst), 4);
        nodes.well().await;
    }
}

#[tokio::test]
async fn c19_an_item_that_fails_is_the_end_of_its_stream() {
    let (nodes, delivered) = nodes().await;
    for peer in nodes.both() {
        for (fault, text) in ENCODE {
            let open = ECHO.open(&peer, &halves(fault)).timeout(LONG);
            is_encode(&open.await.unwrap_err(), Role::Init);
            let mut stream = opened(&peer).await;
            let error = stream.send(&halves(fault)).await.unwrap_err();
            is_encode(&error, Role::Item);
            let failed = end(&mut stream).await;
            assert!(matches!(failed, TypedError::Failed(_)), "{failed:?}");
            assert!(failed.to_string().ends_with(&error.to_string()));

            let mut stream = opened(&peer).await;
            let item = halves(&format!("answer {fault}"));
            stream.send(&item).await.unwrap();
            let error = end(&mut stream).await;
            assert_eq!(remote(&error), format!("encoding an item: {text}"));
        }
        assert_eq!(delivered.swap(0, Ordering::SeqCst), 2);
        for (fault, text) in DECODE {
            let open = ECHO.open(&peer, &halves(fault)).timeout(LONG);
            let error = remote(&end(&mut open.await.unwrap()).await);
            let init = format!("decoding the initial payload: {text}");
            assert!(error.starts_with(&init), "{error}");

            let text = format!("decoding an item: {text}");
            let mut stream = opened(&peer).await;
            stream.send(&halves(fault)).await.unwrap();
            // Nothing behind it is delivered either; whether it still leaves is a matter of time.
            let _ = soon(stream.send(&halves("behind"))).await;
            let error = remote(&end(&mut stream).await);
            assert!(error.starts_with(&text), "{error}");
            assert_eq!(delivered.swap(0, Ordering::SeqCst), 0);

            let mut stream = opened(&peer).await;
            for item in [fault, "behind"] {
                let item = halves(&format!("answer {item}"));
                stream.send(&item).await.unwrap();
            }
            let error = end(&mut stream).await;
            is_decode(&error, Role::Item);
            assert!(error.to_string().starts_with(&text), "{error}");
            nodes.well().await;
            delivered.store(0, Ordering::SeqCst);
        }
    }
}

#[tokio::test]
async fn c19_values_that_fail_are_noticed_by_nobody_else() {
    let (nodes, _) = nodes().await;
    let [peer, _] = nodes.both();
    let mut stream = opened(&peer).await;
    for (number, fault) in (0..).zip([
        "encode panic",
        "decode panic",
        "answer encode panic",
        "answer decode panic",
        "encode refuse",
        "decode refuse",
    ]) {
        let good = FENCE.call(&peer, &number).timeout(LONG).into_future();
        let (bad, good) = tokio::join!(call(&peer, fault), good);
        assert!(!matches!(
            bad,
            TypedError::Call(CallError::Disconnected { .. })
        ));
        assert_eq!(good.unwrap(), number);
        stream.send(&halves("answer me")).await.unwrap();
        assert_eq!(soon(stream.recv()).await.unwrap().unwrap(), halves("me"));
    }
    stream.finish();
    assert!(soon(stream.recv()).await.is_none());
    nodes.well().await;
}
