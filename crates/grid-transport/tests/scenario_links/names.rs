//! L17, L18: what redialing and waiting cost, and what is said of it.

#![allow(
    clippy::print_stdout,
    reason = "what could not be measured stands in the output of the test"
)]

use std::{
    future::Future,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use futures_util::future::BoxFuture;
use grid_transport::{
    BoxIo, CallError, Connection, Dialer, LinkCause, LinkState, Manager, Target,
    testing::{self, Net},
};
use tokio::{
    net::TcpStream,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use crate::{
    logs::Logs,
    node::{self, A, B, C, Redirect, builder},
    probe::*,
    raw::PATIENCE,
};

const SECOND: Duration = Duration::from_secs(1);

/// Dials one address, and keeps the times.
#[derive(Clone)]
struct Timed(SocketAddr, Arc<Mutex<Vec<Instant>>>);

impl Dialer for Timed {
    fn dial<'a>(&'a self, _: &'a Target) -> BoxFuture<'a, io::Result<BoxIo>> {
        Box::pin(async {
            self.1.lock().unwrap().push(Instant::now());
            Ok(Box::new(TcpStream::connect(self.0).await?) as BoxIo)
        })
    }
}

#[tokio::test]
async fn l17_100_redials_of_a_dead_port_make_one_warning() {
    ends(async {
        let (logs, _guard) = Logs::capture();
        let port = node::dead_port();
        let address = port.local_addr().unwrap();
        let times = Timed(address, Arc::default());
        let interval = Duration::from_millis(10);
        let a = builder(A, &[B])
            .settings(node::settings().redial_interval(interval))
            .dialer(times.clone())
            .build()
            .unwrap();
        let peer = a.connection(B).unwrap();
        node::state(&peer, |state| match state {
            LinkState::Connecting { attempt: 2.., .. } => Some(()),
            _ => None,
        })
        .await;
        assert!(logs.warnings().is_empty(), "the first failure is no news");
        // A machine that is busy makes some late, and for a while many; a node that waits too long would always.
        let bound = 2 * interval + Duration::from_millis(2);
        let mut rounds = 0;
        let gaps = loop {
            rounds += 1;
            let attempts = 100 * rounds + 1;
            node::state(&peer, |state| match state {
                LinkState::Connecting { attempt, .. } if *attempt >= attempts => Some(()),
                _ => None,
            })
            .await;
            let gaps: Vec<Duration> = {
                let times = times.1.lock().unwrap();
                let last = &times[times.len() - 100..];
                last.windows(2).map(|pair| pair[1] - pair[0]).collect()
            };
            // Whoever was held up between its look at the clock and its dial is late, and then the next seems early.
            let in_time = interval..=bound;
            let late = gaps.iter().filter(|gap| !in_time.contains(gap)).count();
            if late <= gaps.len() / 4 {
                break gaps;
            }
            assert!(rounds < 5, "{late} are late: {gaps:?}");
        };
        // Of 100 gaps between one interval and two the median is not at either end, unless nobody draws them.
        let mut sorted = gaps.clone();
        sorted.sort_unstable();
        assert!(sorted[50] > interval + interval / 10, "{sorted:?}");

        let b = builder(B, &[A]).build().unwrap();
        b.serve(port.listen(8).unwrap()).unwrap();
        node::connected(&peer).await;
        let lines = logs.lines();
        let of_a = |words: &str| {
            let local = |line: &&String| {
                line.contains("node-a:9000 remote=")
                    || line.contains(r#"local="http://node-a:9000""#)
            };
            let found = lines.iter().filter(local);
            found.filter(|line| line.contains(words)).count()
        };
        assert_eq!(of_a(" WARN "), 1, "{lines:#?}");
        assert_eq!(of_a("connected to instance"), 1, "{lines:#?}");
    })
    .await;
}

/// Counts how often a future is polled.
struct Polled<F>(F, Arc<AtomicUsize>);

impl<F: Future + Unpin> Future for Polled<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.1.fetch_add(1, Ordering::Relaxed);
        Pin::new(&mut self.0).poll(cx)
    }
}

/// The processor time that this thread has taken, on which all tasks of a test run.
fn processor_time() -> Option<Duration> {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanos = stat.split_whitespace().next()?.parse().ok()?;
    Some(Duration::from_nanos(nanos))
}

/// So many wait for a link that never comes up, in both ways, until the node shuts down, which a handler that `caller`
/// has called holds up for longer. Returns how long the waits took after that, and the processor time of `idle`.
async fn waiters(
    a: &Manager,
    peer: &Connection,
    caller: &Connection,
    idle: Duration,
) -> (Duration, Option<Duration>) {
    let polls = Arc::new(AtomicUsize::new(0));
    let mut waiting = JoinSet::new();
    for number in 0..100 {
        let (peer, polls) = (peer.clone(), polls.clone());
        waiting.spawn(async move {
            if number % 2 == 0 {
                let wait = Box::pin(async { peer.connected().await });
                Polled(wait, polls).await
            } else {
                let call = peer.request(ECHO, "x").wait_ready().timeout(Duration::MAX);
                Polled(call.into_future(), polls).await.map(drop)
            }
        });
    }
    wait_while(|| polls.load(Ordering::Relaxed) < 100).await;
    let before = processor_time();
    // tidy: sleep: nothing happens for that long, which must cost nothing
    sleep(idle).await;
    let cost = processor_time()
        .zip(before)
        .map(|(now, before)| now - before);
    assert_eq!(
        polls.load(Ordering::Relaxed),
        100,
        "polled while nothing happened"
    );
    let held = caller.stream(WAITS, OUT_1, "x").await.unwrap();
    let running = || {
        a.connections()
            .iter()
            .map(|link| link.stats().running_handlers)
            .sum::<usize>()
    };
    wait_while(|| running() == 0).await;
    let began = Instant::now();
    let shutdown = tokio::spawn({
        let a = a.clone();
        async move { a.shutdown(LONG).await }
    });
    while let Some(waited) = waiting.join_next().await {
        let error = waited.unwrap().unwrap_err();
        assert!(matches!(error, CallError::ShuttingDown), "{error:?}");
    }
    let took = began.elapsed();
    assert!(!shutdown.is_finished(), "nothing held it up");
    drop(held);
    assert!(shutdown.await.unwrap().complete);
    // The shutdown has several steps, each of which may wake.
    let polls = polls.load(Ordering::Relaxed);
    assert!(polls <= 500, "{polls} polls");
    (took, cost)
}

#[tokio::test(start_paused = true)]
async fn l18_waiting_costs_nothing_and_ends_at_once_pair() {
    ends(async {
        let net = Net::new();
        let [a, b] = testing::NAMES;
        // The one that is dialed waits without end.
        let names = [a, b, C];
        let node = testing::node_on(&net, b, &names, probe).unwrap();
        let other = testing::node_on(&net, C, &names, probe).unwrap();
        let caller = other.connection(b).unwrap();
        node::connected(&caller).await;
        let peer = node.connection(a).unwrap();
        let (took, _) = waiters(&node, &peer, &caller, 3_600 * SECOND).await;
        assert_eq!(took, Duration::ZERO);
    })
    .await;
}

#[tokio::test]
async fn l18_waiting_costs_nothing_and_ends_at_once() {
    ends(async {
        let other = probe(builder(C, &[B])).build().unwrap();
        let (socket, _) = node::named_socket().await;
        let address = socket.local_addr().unwrap();
        other.serve(socket).unwrap();
        let node = probe(builder(B, &[A, C]).dialer(Redirect(address)))
            .build()
            .unwrap();
        let caller = other.connection(B).unwrap();
        node::connected(&caller).await;
        let (socket, _) = node::named_socket().await;
        node.serve(socket).unwrap();
        let peer = node.connection(A).unwrap();
        let waiters = waiters(&node, &peer, &caller, SECOND);
        let (took, cost) = timeout(PATIENCE, waiters).await.expect("hangs");
        assert!(took < SECOND, "{took:?}");
        match cost {
            // A loop that asks again and again would take all of it.
            Some(cost) => assert!(cost < SECOND / 20, "{cost:?} of processor time"),
            None => println!("L18: the system doesn't tell the processor time of a thread"),
        }
        assert!(matches!(
            peer.state(),
            LinkState::Closed { cause } if matches!(*cause, LinkCause::ShuttingDown)
        ));
    })
    .await;
}
