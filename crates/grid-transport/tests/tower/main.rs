//! Layers of tower over calls and handlers.
#![cfg(feature = "tower")]

mod tcp;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use grid_transport::{
    CallError, HandlerError, HandlerId, Request, Settings, SingleHandler,
    testing::{NAMES, Pair, pair},
    tower::{Call, PeerService, Retries, single},
};
use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
};
use tower::{
    BoxError, Service, ServiceBuilder, ServiceExt, load_shed::error::Overloaded, service_fn,
    timeout::error::Elapsed,
};

/// Far longer than anything here takes, and shorter than calls may take that nobody gives up.
const PATIENCE: Duration = Duration::from_secs(20);

const ECHO: HandlerId = HandlerId::new(200);
const STUCK: HandlerId = HandlerId::new(201);
const LIMITED: HandlerId = HandlerId::new(203);

/// A service that is ready only when it is let.
#[derive(Clone)]
struct Gated(Arc<Semaphore>);

impl Service<Request> for Gated {
    type Response = &'static str;
    type Error = std::io::Error;
    type Future = std::future::Ready<Result<&'static str, std::io::Error>>;

    fn poll_ready(
        &mut self,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), std::io::Error>> {
        if self.0.available_permits() > 0 {
            return std::task::Poll::Ready(Ok(()));
        }
        // Looked at again each time that it is polled; nobody else wakes it.
        cx.waker().wake_by_ref();
        std::task::Poll::Pending
    }

    fn call(&mut self, _: Request) -> Self::Future {
        std::future::ready(match self.0.available_permits() {
            0 => Err(std::io::Error::other("it was not ready")),
            _ => Ok("done"),
        })
    }
}

#[tokio::test]
async fn a_handler_waits_until_its_service_is_ready() {
    let gate = Arc::new(Semaphore::new(0));
    let pair = pair(|node| node.register(single(ECHO, Gated(gate.clone()))))
        .await
        .unwrap();
    let mut call = tokio_test_call(&pair, ECHO);
    assert!(futures_util::poll!(&mut call).is_pending());
    pair.a_to_b().ping(Duration::from_secs(60)).await.unwrap();
    assert!(futures_util::poll!(&mut call).is_pending());
    gate.add_permits(1);
    assert_eq!(call.await.unwrap().as_slice(), b"done");
}

/// Is never ready, and wakes nobody.
#[derive(Clone)]
struct Never;

impl Service<Request> for Never {
    type Response = &'static str;
    type Error = std::io::Error;
    type Future = std::future::Ready<Result<&'static str, std::io::Error>>;

    fn poll_ready(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), std::io::Error>> {
        std::task::Poll::Pending
    }

    fn call(&mut self, _: Request) -> Self::Future {
        std::future::ready(Err(std::io::Error::other("it was not ready")))
    }
}

/// Its caller goes while its service is not ready.
#[tokio::test(start_paused = true)]
async fn a_handler_whose_service_is_never_ready_ends_with_its_deadline() {
    let pair = pair(|node| node.register(single(ECHO, Never)))
        .await
        .unwrap();
    let call = Call::new(ECHO, "x").timeout(Duration::from_secs(1));
    let error = PeerService::new(pair.a_to_b())
        .oneshot(call)
        .await
        .unwrap_err();
    assert!(matches!(error, CallError::Deadline), "{error}");
    let running = || {
        pair.b
            .handler_stats()
            .iter()
            .map(|handler| handler.running)
            .sum::<u64>()
    };
    turns_until(|| running() == 0).await;
}

/// Lets others run until it is so; by the real clock not for ever.
async fn turns_until(what: impl Fn() -> bool) {
    let began = std::time::Instant::now();
    while !what() {
        assert!(began.elapsed() < PATIENCE, "it does not come");
        tokio::task::yield_now().await;
    }
}

fn tokio_test_call(pair: &Pair, handler: HandlerId) -> grid_transport::RequestFuture {
    PeerService::new(pair.a_to_b()).call(Call::new(handler, "x"))
}

/// A handler that never answers, and tells how many of it run.
fn stuck_handler(running: &Arc<watch::Sender<usize>>) -> SingleHandler {
    let running = running.clone();
    SingleHandler::new(STUCK, move |_| {
        let running = running.clone();
        async move {
            running.send_modify(|count| *count += 1);
            let _leaves = Leaves(running);
            std::future::pending().await
        }
    })
    .abort_on_cancel()
}

/// A pair with that handler.
async fn stuck(settings: Settings) -> (Pair, watch::Receiver<usize>) {
    let (running, watched) = watch::channel(0);
    let running = Arc::new(running);
    let pair = pair(|node| {
        node.settings(settings.clone())
            .register(stuck_handler(&running))
    });
    (pair.await.unwrap(), watched)
}

struct Leaves(Arc<watch::Sender<usize>>);

impl Drop for Leaves {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_timeout_layer_gives_the_request_up_at_the_remote() {
    let (pair, mut running) = stuck(Settings::new()).await;
    let service = ServiceBuilder::new()
        .timeout(Duration::from_secs(3))
        .service(PeerService::new(pair.a_to_b()));
    let call = tokio::spawn(service.oneshot(Call::new(STUCK, "x")));
    running.wait_for(|count| *count == 1).await.unwrap();
    let error = call.await.unwrap().unwrap_err();
    assert!(error.is::<Elapsed>(), "{error}");
    running.wait_for(|count| *count == 0).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn where_the_queue_is_full_a_load_shedding_layer_sheds() {
    const QUEUED: usize = 100_000;
    let (pair, _running) = stuck(Settings::new().max_queued(QUEUED)).await;
    let peer = pair.a_to_b();
    let mut service = ServiceBuilder::new()
        .load_shed()
        .service(PeerService::new(peer.clone()));
    pair.net.freeze(NAMES[0], NAMES[1], true);
    let mut open = JoinSet::new();
    let shed = loop {
        let ready = service.ready().await.unwrap();
        let mut call = Box::pin(ready.call(Call::new(STUCK, vec![7; 50_000])));
        match futures_util::poll!(&mut call) {
            std::task::Poll::Ready(answer) => break answer.unwrap_err(),
            std::task::Poll::Pending => open.spawn(call),
        };
        assert!(open.len() < 1_000, "the queue has no end");
        // Others are to have their turn: what is queued is written as long as the connection takes it.
        tokio::task::yield_now().await;
    };
    assert!(shed.is::<Overloaded>(), "{shed}");
    let mut plain = PeerService::new(peer.clone());
    assert!(futures_util::poll!(std::future::poll_fn(|cx| plain.poll_ready(cx))).is_pending());

    // What waits is woken when there is room again.
    pair.net.freeze(NAMES[0], NAMES[1], false);
    plain.ready().await.unwrap();

    // And where the link goes, as nothing is queued then.
    pair.net.freeze(NAMES[0], NAMES[1], true);
    loop {
        let mut ready = Box::pin(plain.ready());
        if futures_util::poll!(&mut ready).is_pending() {
            drop(ready);
            break;
        }
        drop(ready);
        let mut call = Box::pin(plain.call(Call::new(STUCK, vec![7; 50_000])));
        assert!(futures_util::poll!(&mut call).is_pending());
        open.spawn(async move { call.await.map_err(Into::into) });
        tokio::task::yield_now().await;
    }
    pair.cut();
    plain.ready().await.unwrap();
}

/// Fails so often before it answers, and counts all.
fn failing(
    times: usize,
    error: impl Fn() -> CallError + Clone + Send + 'static,
) -> (
    impl Service<Call, Response = &'static str, Error = BoxError, Future: Send> + Clone,
    Arc<AtomicUsize>,
) {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let service = service_fn(move |_: Call| {
        let number = counted.fetch_add(1, Ordering::Relaxed);
        let outcome = if number < times {
            Err(BoxError::from(error()))
        } else {
            Ok("done")
        };
        std::future::ready(outcome)
    });
    (service, calls)
}

#[tokio::test(start_paused = true)]
async fn only_what_was_certainly_not_executed_is_made_again() {
    let refused = || CallError::Refused(grid_transport::Refusal::Overloaded);
    for (times, answered) in [(0, true), (3, true), (4, false)] {
        let (service, calls) = failing(times, refused);
        let start = tokio::time::Instant::now();
        let retrying = ServiceBuilder::new()
            .retry(Retries::new(3))
            .service(service);
        let outcome = retrying.oneshot(Call::new(ECHO, "x")).await;
        assert_eq!(outcome.is_ok(), answered, "{times}");
        assert_eq!(calls.load(Ordering::Relaxed), times.min(3) + 1);
        // 50, 100 and 200 ms, each shortened by up to a half.
        let longest = [0, 50, 150, 350][times.min(3)];
        let took = start.elapsed();
        assert!(took <= Duration::from_millis(longest + 3), "{took:?}");
        assert!(took >= Duration::from_millis(longest / 2), "{took:?}");
    }
    for error in [
        CallError::Deadline,
        CallError::Cancelled,
        CallError::ShuttingDown,
    ] {
        let (service, calls) = failing(1, move || error.clone());
        let retrying = ServiceBuilder::new()
            .retry(Retries::new(3))
            .service(service);
        assert!(retrying.oneshot(Call::new(ECHO, "x")).await.is_err());
        assert_eq!(calls.load(Ordering::Relaxed), 1);
    }
}

/// A handler with one place, which answers when it is let.
fn limited_handler(free: &Arc<Semaphore>) -> SingleHandler {
    let free = free.clone();
    SingleHandler::new(LIMITED, move |_| {
        let free = free.clone();
        async move {
            free.acquire()
                .await
                .map_err(|_| HandlerError::new("closed"))?
                .forget();
            Ok("done".into())
        }
    })
    .limit(1)
}

#[tokio::test(start_paused = true)]
async fn a_refused_call_is_made_again_until_it_is_let_in() {
    let free = Arc::new(Semaphore::new(0));
    let pair = pair(|node| node.register(limited_handler(&free)))
        .await
        .unwrap();
    // Takes the only place.
    let mut first = tokio_test_call(&pair, LIMITED);
    assert!(futures_util::poll!(&mut first).is_pending());
    pair.a_to_b().ping(Duration::from_secs(60)).await.unwrap();
    let plain = PeerService::new(pair.a_to_b())
        .oneshot(Call::new(LIMITED, "x"))
        .await;
    assert!(plain.unwrap_err().is_retryable());
    let retrying = ServiceBuilder::new()
        .retry(Retries::new(20).pause(Duration::from_millis(1)))
        .service(PeerService::new(pair.a_to_b()));
    let second = tokio::spawn(retrying.oneshot(Call::new(LIMITED, "x")));
    // It was refused before there is a place for it: once more than the plain one.
    let refused = || pair.b.stats().iter().map(|link| link.refused).sum::<u64>();
    turns_until(|| refused() >= 2).await;
    free.add_permits(2);
    first.await.unwrap();
    assert_eq!(second.await.unwrap().unwrap().as_slice(), b"done");
}
