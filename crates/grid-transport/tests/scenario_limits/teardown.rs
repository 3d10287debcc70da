//! How long the end of a connection waits for a handler that does not come out of its poll.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
        mpsc,
    },
    time::Duration,
};

use grid_proto::wire::Op;
use grid_transport::{Capacity, HandlerId, StreamHandler};
use tokio::{
    net::TcpListener,
    runtime::Handle,
    sync::watch,
    time::{Instant, timeout},
};

use crate::{
    hostile::{call, let_in},
    node::{self, A, B},
    raw::PATIENCE,
};

const BUSY: HandlerId = HandlerId::new(91);

/// Wakes a thread of the runtime now and then. Where all but a blocked one sleep, it may be that none of them waits for
/// sockets and timers: a test of a handler that blocks must not depend on which thread it has caught.
struct Pulse(Arc<AtomicBool>);

impl Pulse {
    fn begin() -> Self {
        let done = Arc::new(AtomicBool::new(false));
        let (over, runtime) = (done.clone(), Handle::current());
        std::thread::spawn(move || {
            while !over.load(Relaxed) {
                drop(runtime.spawn(async {}));
                std::thread::park_timeout(Duration::from_millis(20));
            }
        });
        Self(done)
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// The limit cuts between one that comes out before it and one that does not; real time knows no closer.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn teardown() {
    let _pulse = Pulse::begin();
    let limit = Duration::from_millis(1_500);
    for in_time in [true, false] {
        let (open, gate) = mpsc::channel::<()>();
        let gate = Arc::new(Mutex::new(gate));
        let (busy, mut is_busy) = watch::channel(false);
        let handler = StreamHandler::new(BUSY, Capacity::new(0, 1), move |call| {
            let (gate, busy) = (gate.clone(), busy.clone());
            async move {
                // The first poll is where the reader stands; the second has a task of its own.
                tokio::task::yield_now().await;
                busy.send_replace(true);
                // A handler that blocks its thread, as none should.
                let _ = gate.lock().unwrap().recv();
                drop(call);
                Ok(())
            }
        });
        let manager = node::builder(B, &[A])
            .register(handler)
            .settings(node::settings().teardown(limit))
            .build()
            .unwrap();
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = manager.serve(socket).unwrap().local_addr().unwrap();
        let link = manager.connection(A).unwrap();
        let mut first = let_in(address, A).await;
        first
            .send_message(&call(Op::ConnectMux, BUSY, 1, "s"))
            .await;
        let busy = timeout(PATIENCE, is_busy.wait_for(|busy| *busy));
        drop(busy.await.unwrap().unwrap());
        let began = Instant::now();
        if in_time {
            open.send(()).unwrap();
        }
        // The next connection is let in when nothing is left of this one, or nothing is waited for any more.
        let _second = let_in(address, A).await;
        let (waited, left_behind) = (began.elapsed(), link.stats().abandoned_handlers);
        if in_time {
            assert!(waited < limit, "{waited:?}: as if it had not come out");
            assert_eq!(left_behind, 0);
        } else {
            assert!(waited >= limit && waited < 2 * limit, "{waited:?}");
            assert!(left_behind >= 1);
            open.send(()).unwrap();
        }
        drop(first);
        manager.shutdown(Duration::ZERO).await;
    }
}
