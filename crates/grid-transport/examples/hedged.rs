//! Reads that are hedged over three replicas: where the first has not answered within the time that most reads take, a
//! second one is asked, and the first answer counts. The other request is dropped, and so given up at its node.
//!
//! Run it with `cargo run -p grid-transport --features tower --example hedged`.
//!
//! Only for what may be executed twice, as reads are.
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use grid_transport::{
    CallError, HandlerId, Manager, NoAuth, RequestFuture, SingleHandler,
    tower::{Call, PeerService},
};
use tokio::net::TcpListener;
use tower::{
    BoxError, Service, ServiceExt,
    hedge::{Hedge, Policy},
};

const READ: HandlerId = HandlerId::new(200);

/// What reads of the last such time took says when a second one is asked; in the first there are none.
const PERIOD: Duration = Duration::from_secs(1);

/// What a read takes at a node that hangs: longer than this example lasts.
const HANGS: Duration = Duration::from_secs(30);

/// All of them have what is read. The next one is asked each time, and so is it by the second attempt of one read.
#[derive(Clone)]
struct Replicas {
    peers: Vec<PeerService>,
    next: Arc<AtomicUsize>,
}

impl Service<Call> for Replicas {
    type Response = <PeerService as Service<Call>>::Response;
    type Error = CallError;
    type Future = RequestFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), CallError>> {
        // A call waits for room by itself.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> RequestFuture {
        let next = self.next.fetch_add(1, Relaxed) % self.peers.len();
        self.peers[next].call(call)
    }
}

/// Every read may be asked for twice.
#[derive(Clone)]
struct Reads(Arc<AtomicUsize>);

impl Policy<Call> for Reads {
    fn clone_request(&self, call: &Call) -> Option<Call> {
        Some(call.clone())
    }

    fn can_retry(&self, _: &Call) -> bool {
        self.0.fetch_add(1, Relaxed);
        true
    }
}

/// A replica, which hangs while it is told to.
async fn replica(
    socket: TcpListener,
    name: &str,
    names: &[String],
    hangs: Arc<AtomicBool>,
    given_up: Arc<AtomicUsize>,
) -> Result<Manager, BoxError> {
    let read = SingleHandler::new(READ, move |request| {
        let (hangs, given_up) = (hangs.clone(), given_up.clone());
        async move {
            if hangs.load(Relaxed) {
                let _count = OnDrop(given_up);
                // tidy: sleep: that the node hangs is the point
                tokio::time::sleep(HANGS).await;
            }
            Ok(request.into_payload())
        }
    });
    let node = Manager::builder(name)
        .peers(names)
        .auth(NoAuth)
        // Whoever takes the other answer does not need this one.
        .register(read.abort_on_cancel())
        .build()?;
    node.serve(socket)?;
    Ok(node)
}

struct OnDrop(Arc<AtomicUsize>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.fetch_add(1, Relaxed);
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let mut sockets = Vec::new();
    for _ in 0..4 {
        sockets.push(TcpListener::bind("127.0.0.1:0").await?);
    }
    let mut names = Vec::new();
    for socket in &sockets {
        names.push(format!("http://{}", socket.local_addr()?));
    }
    let (hangs, given_up) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let mut nodes = Vec::new();
    for (number, (socket, name)) in sockets.into_iter().zip(&names).enumerate() {
        // The first of the replicas is the one that will hang; the last node reads.
        let hangs = if number == 0 {
            hangs.clone()
        } else {
            Arc::default()
        };
        nodes.push(replica(socket, name, &names, hangs, given_up.clone()).await?);
    }
    let reader = nodes.last().ok_or("there are four")?;
    let mut peers = Vec::new();
    for name in &names[..3] {
        let peer = reader.connection(name)?;
        peer.connected().await?;
        peers.push(PeerService::new(peer));
    }

    let hedges = Arc::new(AtomicUsize::new(0));
    let mut hedged = Hedge::new(
        Replicas {
            peers,
            next: Arc::default(),
        },
        Reads(hedges.clone()),
        // So many reads tell how long one takes; nine of ten are answered before a second one is asked for.
        10,
        0.9,
        PERIOD,
    );
    for hanging in [false, true] {
        hangs.store(hanging, Relaxed);
        let (began, before) = (Instant::now(), hedges.load(Relaxed));
        let mut reads = 0;
        // Until it is known what a read takes; and then some of them while a node hangs.
        while reads < 30 || (!hanging && began.elapsed() < PERIOD + PERIOD / 10) {
            let call = Call::new(READ, "disk1/part.1");
            let answer = hedged.ready().await?.call(call).await?;
            if answer.as_slice() != b"disk1/part.1" {
                return Err("a read has another answer".into());
            }
            reads += 1;
        }
        let took = began.elapsed();
        println!(
            "{reads} reads with {} of 3 replicas took {took:?}; {} were asked for twice",
            if hanging { 2 } else { 3 },
            hedges.load(Relaxed) - before,
        );
        if took >= HANGS {
            return Err("somebody has waited for the node that hangs".into());
        }
    }
    for node in &nodes {
        node.shutdown(Duration::from_secs(1)).await;
    }
    println!(
        "{} requests were given up at the node that hung",
        given_up.load(Relaxed)
    );
    if given_up.load(Relaxed) == 0 {
        return Err("the node that hung was never asked".into());
    }
    Ok(())
}
