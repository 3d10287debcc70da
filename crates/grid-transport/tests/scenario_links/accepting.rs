//! L26: accepting fails for a while.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use futures_util::future::BoxFuture;
use grid_transport::{
    Accept, BoxIo, Manager,
    testing::{NAMES, Net, NetAcceptor, node_on},
};
use tokio::time::Instant;

use crate::{
    logs::Logs,
    node,
    probe::{ECHO, probe, text},
};

/// Has so many failures before it works, all of them at once.
struct Failing {
    error: fn() -> io::Error,
    left: usize,
    tries: Arc<AtomicUsize>,
    inner: NetAcceptor,
}

impl Accept for Failing {
    fn accept(&mut self) -> BoxFuture<'_, io::Result<(BoxIo, String)>> {
        self.tries.fetch_add(1, Relaxed);
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                let error = (self.error)();
                Box::pin(async { Err(error) })
            }
            None => self.inner.accept(),
        }
    }
}

/// A node that is dialed, and how often its listener has tried.
fn serving(net: &Net, error: fn() -> io::Error, left: usize) -> (Manager, Arc<AtomicUsize>) {
    let manager = probe(node::builder(NAMES[1], &[NAMES[0]]).auth(grid_transport::NoAuth));
    let manager = manager.build().unwrap();
    let tries = Arc::new(AtomicUsize::new(0));
    let failing = Failing {
        error,
        left,
        tries: tries.clone(),
        inner: net.acceptor(NAMES[1]),
    };
    manager.serve_on(failing).unwrap();
    (manager, tries)
}

#[tokio::test(start_paused = true)]
async fn l26_without_file_descriptors_accepting_goes_on_and_does_not_spin_pair() {
    let (logs, _guard) = Logs::capture();
    let net = Net::new();
    assert!(grid_proto::local_dials(NAMES[0], NAMES[1]));
    let began = Instant::now();
    // EMFILE: too many open files.
    let (b, tries) = serving(&net, || io::Error::from_raw_os_error(24), 50);
    let a = node_on(&net, NAMES[0], &NAMES, probe).unwrap();
    let peer = a.connection(NAMES[1]).unwrap();
    node::connected(&peer).await;
    // One try in 100 ms.
    assert!(
        began.elapsed() >= Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    assert!(tries.load(Relaxed) <= 53, "{tries:?}");
    let answer = peer.request(ECHO, "x").await.unwrap();
    assert_eq!(text(&answer), "x");
    let mut warnings = logs.warnings();
    warnings.retain(|line| line.contains("can't accept a connection"));
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("os error 24"), "{warnings:?}");
    tokio::join!(a.shutdown(Duration::ZERO), b.shutdown(Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn l26_connections_that_are_gone_before_they_are_accepted_hold_nobody_up_pair() {
    let net = Net::new();
    let aborted = || io::ErrorKind::ConnectionAborted.into();
    let (b, tries) = serving(&net, aborted, 10_000);
    // It is ready beside the listener, and has its turn long before that is through.
    let seen = tries.clone();
    let beside = tokio::spawn(async move { seen.load(Relaxed) });
    let a = node_on(&net, NAMES[0], &NAMES, probe).unwrap();
    node::connected(&a.connection(NAMES[1]).unwrap()).await;
    assert!(beside.await.unwrap() < 1_000);
    assert!(tries.load(Relaxed) > 10_000);
    tokio::join!(a.shutdown(Duration::ZERO), b.shutdown(Duration::ZERO));
}
