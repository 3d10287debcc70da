//! Typed single requests: round trips, where they may be registered, how they end.

mod common;

use std::future::pending;
use std::rc::Rc;
use std::time::Duration;

use common::*;
use grid_transport::testing::{self, NAMES, Net};
use grid_transport::{Builder, CallError};
use grid_typed::{
    Context, HandlerError, HandlerId, ManagerBuilderExt as _, NoPayload, Role, Single, TypedError,
};
use serde::{Deserialize, Serialize};

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Numbers {
    numbers: Vec<u32>,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Sum {
    sum: u32,
    asked_by: String,
    under: Option<String>,
}

static ADD: Single<Numbers, Sum> = Single::new(HandlerId::new(201));
static FAIL: Single<String, NoPayload> = Single::new(HandlerId::new(202));
static WAIT: Single<String, String> = Single::new(HandlerId::new(203));

async fn add(request: Numbers, context: Context) -> Result<Sum, HandlerError> {
    Ok(Sum {
        sum: request.numbers.iter().sum(),
        asked_by: context.caller().to_owned(),
        under: context.subroute().map(str::to_owned),
    })
}

fn fence(node: Builder) -> Builder {
    node.typed(&FENCE, |number, _| async move { Ok(number) })
}

#[tokio::test(start_paused = true)]
async fn values_go_both_ways_whoever_dialed() {
    let pair = testing::pair(|node| {
        fence(node)
            .typed(&ADD, add)
            .register(ADD.handler(add).subroute("disk1/a"))
    })
    .await
    .unwrap();
    for (peer, caller) in [(pair.a_to_b(), NAMES[0]), (pair.b_to_a(), NAMES[1])] {
        let sum = |under: Option<&str>| Sum {
            sum: 42,
            asked_by: caller.to_owned(),
            under: under.map(str::to_owned),
        };
        let numbers = Numbers {
            numbers: vec![1, 2, 39],
        };
        assert_eq!(ADD.call(&peer, &numbers).await.unwrap(), sum(None));
        let routed = peer.subroute("disk1").subroute("a");
        assert_eq!(
            ADD.call(&routed, &numbers).await.unwrap(),
            sum(Some("disk1/a"))
        );
        let error = ADD
            .call(&peer.subroute("disk2"), &numbers)
            .await
            .unwrap_err();
        assert!(
            matches!(error.as_call(), Some(CallError::UnknownHandler(_))),
            "{error:?}"
        );
        assert!(!error.may_have_executed());
    }
    well(&pair).await;
}

#[tokio::test(start_paused = true)]
async fn calls_in_flight_get_their_own_answers() {
    let pair = testing::pair(|node| {
        fence(node).typed(&WAIT, |text: String, _| async move {
            // tidy: sleep: it is the work, and the later ones answer first
            tokio::time::sleep(Duration::from_millis(100 - text.parse::<u64>()?)).await;
            Ok(text)
        })
    })
    .await
    .unwrap();
    let peer = pair.a_to_b();
    let calls = (0..100).map(|number: u32| {
        let call = WAIT
            .call(&peer, &number.to_string())
            .timeout(LONG)
            .into_future();
        async move { assert_eq!(call.await.unwrap(), number.to_string()) }
    });
    futures_util::future::join_all(calls).await;
    well(&pair).await;
}

#[tokio::test(start_paused = true)]
async fn a_handlers_error_is_its_text() {
    let pair = testing::pair(|node| {
        fence(node).typed(&FAIL, |text: String, _| async move {
            match text.as_str() {
                "error" => {
                    "x".parse::<u32>()?;
                }
                "shown" => return Err(HandlerError::new(format!("{:04}", 7))),
                _ => panic!("{text}"),
            }
            Ok(NoPayload)
        })
    })
    .await
    .unwrap();
    let peer = pair.a_to_b();
    for (request, text) in [
        ("error", "invalid digit found in string"),
        ("shown", "0007"),
        ("oh no", "handleMessages: panic recovered: oh no"),
    ] {
        let error = FAIL.call(&peer, &request.to_owned()).await.unwrap_err();
        assert_eq!(remote(&error), text);
        assert!(error.may_have_executed() && !error.is_retryable());
    }
    well(&pair).await;
}

#[tokio::test(start_paused = true)]
async fn a_deadline_ends_the_wait_and_is_seen_by_the_handler() {
    let (steps, mut reached) = steps();
    let pair = testing::pair(|node| {
        let steps = steps.clone();
        fence(node).typed(&WAIT, move |_, context: Context| {
            let steps = steps.clone();
            async move {
                assert!(context.deadline().is_some());
                context.cancelled().await;
                steps.at("told");
                Ok("too late".to_owned())
            }
        })
    })
    .await
    .unwrap();
    let call = WAIT
        .call(&pair.a_to_b(), &String::new())
        .timeout(Duration::from_millis(200));
    let error = soon(call.into_future()).await.unwrap_err();
    assert!(
        matches!(error.as_call(), Some(CallError::Deadline)),
        "{error:?}"
    );
    assert_eq!(soon(reached.recv()).await, Some("told"));
    well(&pair).await;
}

#[tokio::test(start_paused = true)]
async fn dropping_the_future_cancels() {
    let (steps, mut reached) = steps();
    let door = Door::new();
    let pair = testing::pair(|node| {
        let stays = {
            let (steps, door) = (steps.clone(), door.clone());
            move |_: String, context: Context| {
                let (steps, door) = (steps.clone(), door.clone());
                async move {
                    steps.at("stays");
                    context.cancelled().await;
                    steps.at("told");
                    door.pass().await;
                    steps.at("done");
                    Ok(String::new())
                }
            }
        };
        let steps = steps.clone();
        let goes = move |_: String, _| {
            let steps = steps.clone();
            async move {
                let _guard = steps.on_drop("dropped");
                steps.at("goes");
                pending().await
            }
        };
        fence(node)
            .typed(&WAIT, stays)
            .register(WAIT.handler(goes).subroute("goes").abort_on_cancel())
    })
    .await
    .unwrap();
    let peer = pair.a_to_b();

    let mut call = WAIT.call(&peer, &String::new()).into_future();
    tokio::select! {
        biased;
        step = reached.recv() => assert_eq!(step, Some("stays")),
        outcome = &mut call => panic!("{outcome:?}"),
    }
    drop(call);
    assert_eq!(soon(reached.recv()).await, Some("told"));
    door.open();
    assert_eq!(soon(reached.recv()).await, Some("done"));

    let mut call = WAIT
        .call(&peer.subroute("goes"), &String::new())
        .into_future();
    tokio::select! {
        biased;
        step = reached.recv() => assert_eq!(step, Some("goes")),
        outcome = &mut call => panic!("{outcome:?}"),
    }
    drop(call);
    assert_eq!(soon(reached.recv()).await, Some("dropped"));
    well(&pair).await;
}

#[tokio::test(start_paused = true)]
async fn a_call_waits_for_its_link_only_when_told_to() {
    let net = Net::new();
    let a = testing::node_on(&net, NAMES[0], &NAMES, fence).unwrap();
    let peer = a.connection(NAMES[1]).unwrap();
    let error = FENCE.call(&peer, &1).await.unwrap_err();
    assert!(
        matches!(error.as_call(), Some(CallError::NotConnected { .. })),
        "{error:?}"
    );
    assert!(error.is_retryable() && !error.may_have_executed());

    let waiting = tokio::spawn(
        FENCE
            .call(&peer, &2)
            .timeout(LONG)
            .wait_ready()
            .into_future(),
    );
    let _b = testing::node_on(&net, NAMES[1], &NAMES, fence).unwrap();
    assert_eq!(waiting.await.unwrap().unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_lost_link_is_told_apart_from_a_failed_call() {
    let (steps, mut reached) = steps();
    let pair = testing::pair(|node| {
        let steps = steps.clone();
        node.typed(&WAIT, move |_, _| {
            steps.at("there");
            pending()
        })
    })
    .await
    .unwrap();
    let mut call = WAIT.call(&pair.a_to_b(), &String::new()).into_future();
    tokio::select! {
        biased;
        step = reached.recv() => assert_eq!(step, Some("there")),
        outcome = &mut call => panic!("{outcome:?}"),
    }
    pair.cut();
    let error = soon(call).await.unwrap_err();
    assert!(
        matches!(error.as_call(), Some(CallError::Disconnected { .. })),
        "{error:?}"
    );
    assert!(error.may_have_executed() && !error.is_retryable());
}

#[tokio::test(start_paused = true)]
async fn a_future_that_has_ended_says_so() {
    let pair = testing::pair(fence).await.unwrap();
    let mut call = FENCE.call(&pair.a_to_b(), &1).into_future();
    assert_eq!((&mut call).await.unwrap(), 1);
    assert!(matches!(
        (&mut call).await,
        Err(TypedError::Call(CallError::Cancelled))
    ));

    static TOUCHY: Single<Touchy, u64> = Single::new(HandlerId::new(204));
    let mut call = TOUCHY
        .call(&pair.a_to_b(), &"encode refuse".into())
        .into_future();
    let first = (&mut call).await;
    assert!(
        matches!(
            first,
            Err(TypedError::Encode {
                role: Role::Request,
                ..
            })
        ),
        "{first:?}"
    );
    assert!(matches!(
        (&mut call).await,
        Err(TypedError::Call(CallError::Cancelled))
    ));
}

#[test]
fn definitions_and_futures_cross_threads() {
    fn crosses<T: Send + Sync + Copy + 'static>(_: T) {}
    fn sends<T: Send + 'static>(_: impl Fn(&grid_transport::Connection) -> T) {}
    // The definition holds no value, so it crosses though the type doesn't.
    crosses(Single::<Rc<str>, Rc<str>>::new(HandlerId::new(1)));
    sends(|peer| FENCE.call(peer, &1).into_future());
    assert_eq!(
        format!("{FENCE:?}"),
        format!("Single({:?})", HandlerId::new(255))
    );
}
