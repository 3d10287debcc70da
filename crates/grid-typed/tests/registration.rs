//! How typed handlers are registered, and with which options.

mod common;

use std::sync::{Arc, Mutex};

use common::*;
use grid_transport::testing;
use grid_transport::{BuildError, Builder, CallError, Refusal, Registry, Settings};
use grid_typed::{HandlerError, HandlerId, ManagerBuilderExt as _, Single};

static WAIT: Single<String, String> = Single::new(HandlerId::new(203));

fn fence(node: Builder) -> Builder {
    node.typed(&FENCE, |number, _| async move { Ok(number) })
}

#[tokio::test(start_paused = true)]
async fn limits_and_sizes_are_the_transports() {
    let (steps, mut reached) = steps();
    let door = Door::new();
    let pair = testing::pair(|node| {
        let (steps, door) = (steps.clone(), door.clone());
        let handler = WAIT.handler(move |text, _| {
            steps.at("there");
            let door = door.clone();
            async move {
                door.pass().await;
                Ok(text)
            }
        });
        let mut settings = Settings::new();
        settings.max_message = 64 * 1024;
        fence(node.settings(settings)).register(handler.limit(1))
    })
    .await
    .unwrap();
    let peer = pair.a_to_b();
    let error = WAIT.call(&peer, &"x".repeat(100 * 1024)).await.unwrap_err();
    assert!(
        matches!(error.as_call(), Some(CallError::TooLarge { .. })),
        "{error:?}"
    );

    let first = tokio::spawn(WAIT.call(&peer, &"first".to_owned()).into_future());
    assert_eq!(reached.recv().await, Some("there"));
    let error = WAIT.call(&peer, &"second".to_owned()).await.unwrap_err();
    let Some(CallError::Refused(refusal)) = error.as_call() else {
        panic!("{error:?}")
    };
    assert_eq!(*refusal, Refusal::Overloaded);
    assert!(error.is_retryable());
    door.open();
    assert_eq!(first.await.unwrap().unwrap(), "first");
    well(&pair).await;
}

#[tokio::test]
async fn blocking_handlers_may_block() {
    let (unblock, blocked) = std::sync::mpsc::channel::<()>();
    let blocked = Arc::new(Mutex::new(blocked));
    let pair = testing::pair(|node| {
        let blocked = blocked.clone();
        let handler = WAIT.handler(move |text: String, _| {
            let blocked = blocked.clone();
            async move {
                blocked
                    .lock()
                    .map_err(|_| HandlerError::new("poisoned"))?
                    .recv_timeout(LONG)?;
                Ok(text)
            }
        });
        fence(node).register(handler.blocking())
    })
    .await
    .unwrap();
    let peer = pair.a_to_b();
    let waiting = tokio::spawn(WAIT.call(&peer, &"quiet".to_owned()).into_future());
    // This runtime has one thread, so nothing would come back if the handler blocked it.
    for number in 0..100 {
        assert_eq!(FENCE.call(&peer, &number).await.unwrap(), number);
    }
    assert!(!waiting.is_finished());
    unblock.send(()).unwrap();
    assert_eq!(waiting.await.unwrap().unwrap(), "quiet");
    well(&pair).await;
}

#[tokio::test]
async fn c22_a_place_is_taken_once_unit() {
    let same = |text, _| async move { Ok(text) };
    let registry = Registry::new();
    registry.register(WAIT.handler(same)).unwrap();
    registry
        .register(WAIT.handler(same).subroute("disk1"))
        .unwrap();
    let twice = registry.register(WAIT.handler(same)).unwrap_err();
    assert_eq!(twice.to_string(), "handler 203 is registered twice");

    let pair = testing::pair(|node| node.typed(&WAIT, same).typed(&WAIT, same)).await;
    assert!(matches!(pair, Err(BuildError::Register(_))), "{pair:?}");
}
