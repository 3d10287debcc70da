//! The same over a real socket.

#[path = "../common/pairs.rs"]
mod pairs;

use std::{sync::Arc, time::Duration};

use grid_transport::{
    CallError, HandlerId, Request, Settings,
    tower::{Call, PeerService, Retries, single},
};
use tokio::{
    sync::{Semaphore, watch},
    time::timeout,
};
use tower::{
    BoxError, Service, ServiceBuilder, ServiceExt, load_shed::error::Overloaded, service_fn,
    timeout::error::Elapsed,
};

use crate::{ECHO, LIMITED, PATIENCE, STUCK, limited_handler, stuck_handler, turns_until};

const FAILS: HandlerId = HandlerId::new(202);

#[tokio::test]
async fn calls_and_handlers_are_services_over_tcp() {
    let pair = pairs::tcp(|node| {
        let echo = service_fn(|request: Request| async move {
            let words = format!("{} of {}", request.payload().len(), request.caller());
            Ok::<_, BoxError>(words)
        });
        let fails = service_fn(|_| async { Err::<String, BoxError>("no such disk".into()) });
        node.register(single(
            ECHO,
            ServiceBuilder::new().concurrency_limit(4).service(echo),
        ))
        .register(single(FAILS, fails).subroute("disk1"))
    })
    .await;
    for peer in [pair.a_to_b(), pair.b_to_a()] {
        let mut service = ServiceBuilder::new()
            .load_shed()
            .timeout(Duration::from_secs(60))
            .service(PeerService::new(peer.clone()));
        for len in [0, 5] {
            let call = Call::new(ECHO, vec![7; len]).timeout(Duration::from_secs(60));
            let answer = service.ready().await.unwrap().call(call).await.unwrap();
            let words = String::from_utf8(answer.as_slice().to_vec()).unwrap();
            assert!(
                words.starts_with(&format!("{len} of http://127.0.0.1:")),
                "{words}"
            );
        }
        let failed = PeerService::new(peer.subroute("disk1"))
            .oneshot(Call::new(FAILS, "x"))
            .await;
        assert!(matches!(&failed, Err(CallError::Remote(_))), "{failed:?}");
        assert_eq!(failed.unwrap_err().to_string(), "no such disk");
    }
    pair.shutdown(Duration::from_secs(1)).await;
}

#[tokio::test]
async fn a_timeout_retries_and_shed_load_over_tcp() {
    const LARGE: usize = 50_000;
    let (running, mut watched) = watch::channel(0);
    let (running, free) = (Arc::new(running), Arc::new(Semaphore::new(0)));
    let pair = pairs::tcp(|node| {
        node.settings(Settings::new().max_queued(2 * LARGE))
            .register(stuck_handler(&running))
            .register(limited_handler(&free))
    })
    .await;
    let peer = pair.a_to_b();

    let timed = ServiceBuilder::new()
        .timeout(Duration::from_secs(2))
        .service(PeerService::new(peer.clone()));
    let call = tokio::spawn(timed.oneshot(Call::new(STUCK, "x")));
    let counts = |wanted| move |count: &usize| *count == wanted;
    let began = timeout(PATIENCE, watched.wait_for(counts(1))).await;
    began.expect("the handler begins").unwrap();
    let error = call.await.unwrap().unwrap_err();
    assert!(error.is::<Elapsed>(), "{error}");
    let dropped = timeout(PATIENCE, watched.wait_for(counts(0))).await;
    dropped.expect("the handler is dropped").unwrap();

    // Takes the only place, as what was called first comes first.
    let mut first = PeerService::new(peer.clone()).call(Call::new(LIMITED, "x"));
    assert!(futures_util::poll!(&mut first).is_pending());
    let retrying = ServiceBuilder::new()
        .retry(Retries::new(20).pause(Duration::from_millis(1)))
        .service(PeerService::new(peer.clone()));
    let second = tokio::spawn(retrying.oneshot(Call::new(LIMITED, "x")));
    let refused = pair.b_to_a();
    turns_until(|| refused.stats().refused > 0).await;
    free.add_permits(2);
    assert_eq!(first.await.unwrap().as_slice(), b"done");
    assert_eq!(second.await.unwrap().unwrap().as_slice(), b"done");

    // Whoever writes has no turn in between, so that the queue comes to be full.
    let mut shedding = ServiceBuilder::new()
        .load_shed()
        .service(PeerService::new(peer.clone()));
    let mut open = Vec::new();
    let shed = loop {
        let ready = shedding.ready().await.unwrap();
        let mut call = Box::pin(ready.call(Call::new(STUCK, vec![7; LARGE])));
        match futures_util::poll!(&mut call) {
            std::task::Poll::Ready(answer) => break answer.unwrap_err(),
            std::task::Poll::Pending => open.push(call),
        }
        assert!(open.len() < 1_000, "the queue has no end");
    };
    assert!(shed.is::<Overloaded>(), "{shed}");
    let mut plain = PeerService::new(peer);
    let ready = timeout(PATIENCE, plain.ready()).await;
    ready.expect("there is room again").unwrap();
    let all = timeout(PATIENCE, watched.wait_for(counts(open.len()))).await;
    all.expect("those that were let in arrive").unwrap();
    drop(open);
    pair.shutdown(Duration::from_secs(10)).await;
}
