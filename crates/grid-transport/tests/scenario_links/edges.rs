//! Two edges of the list of peers and of the log: a peer that is removed and added at once, and one that comes and goes.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::future::BoxFuture;
use grid_transport::{
    BoxIo, Dialer, LinkCause, LinkState, Settings, StreamHandler, Target, TcpDialer,
    testing::{self, NAMES, Net},
};
use tokio::time::{Instant, sleep};

use crate::{
    held::Held,
    logs::Logs,
    node::{self, link},
    probe::*,
    scene::again,
};

/// Counts the connections that are there, and the most that there were.
#[derive(Clone, Default)]
struct Live(Arc<AtomicUsize>, Arc<AtomicUsize>);

struct Counting<D>(D, Live);

impl<D: Dialer> Dialer for Counting<D> {
    fn dial<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, io::Result<BoxIo>> {
        Box::pin(async move {
            let io = self.0.dial(target).await?;
            let Live(now, most) = &self.1;
            most.fetch_max(now.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
            Ok(Box::new(Held(io, Counted(self.1.clone()))) as BoxIo)
        })
    }
}

struct Counted(Live);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The old connection says goodbye for half a second to a peer that is frozen; the new one waits for that.
#[tokio::test(start_paused = true)]
async fn a_peer_that_is_removed_and_added_has_one_session_at_a_time() {
    ends(async {
        let net = Net::new();
        let live = Live::default();
        let dialer = Counting(net.dialer(NAMES[0]), live.clone());
        let _b = testing::node_on(&net, NAMES[1], &NAMES, probe).unwrap();
        let a = testing::node_on(&net, NAMES[0], &NAMES, |builder| {
            probe(builder).dialer(dialer)
        })
        .unwrap();
        node::connected(&a.connection(NAMES[1]).unwrap()).await;
        net.freeze(NAMES[0], NAMES[1], true);
        let mut before = a.connection(NAMES[1]).unwrap();
        for _ in 0..5 {
            a.remove_peer(NAMES[1]).unwrap();
            let added = a.add_peer(NAMES[1]).unwrap();
            let again = a.add_peer(NAMES[1]).unwrap_err();
            assert!(again.to_string().contains(NAMES[1]), "{again}");
            assert!(!added.state().is_connected());
            // Some are removed before they begin, some after.
            // tidy: sleep: a part of the goodbye, under paused time
            sleep(Duration::from_millis(200)).await;
            before = added;
        }
        net.freeze(NAMES[0], NAMES[1], false);
        node::connected(&before).await;
        assert_eq!(text(&before.request(ECHO, "x").await.unwrap()), "x");
        assert_eq!(live.0.load(Ordering::Relaxed), 1);
        assert_eq!(live.1.load(Ordering::Relaxed), 1, "two at a time");
    })
    .await;
}

/// The same where the other side dials, and over TCP: what is left of the old session is gone before the new one.
#[tokio::test]
async fn a_peer_that_is_removed_and_added_is_accepted_again() {
    ends(async {
        let running = Arc::new(AtomicUsize::new(0));
        struct Running(Arc<AtomicUsize>);
        impl Drop for Running {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::SeqCst);
            }
        }
        let handlers = running.clone();
        let [a, b] = node::pair(|_, builder| {
            let running = handlers.clone();
            probe(builder)
                .dialer(TcpDialer::new())
                .register(StreamHandler::new(
                    grid_transport::HandlerId::new(200),
                    OUT_1,
                    move |call| {
                        let running = running.clone();
                        async move {
                            let before = running.fetch_add(1, Ordering::SeqCst);
                            let running = Running(running);
                            // Only one session has this handler at a time.
                            call.send(before.to_string()).await?;
                            std::future::pending::<()>().await;
                            drop(running);
                            Ok(())
                        }
                    },
                ))
        })
        .await;
        for _ in 0..20 {
            let (there, back) = (link(&a, &b), link(&b, &a));
            node::connected(&there).await;
            node::connected(&back).await;
            let mut stream = there
                .stream(grid_transport::HandlerId::new(200), OUT_1, "x")
                .await
                .unwrap();
            match stream.recv().await {
                Some(Ok(before)) => assert_eq!(text(&before), "0"),
                // Connected to the session that was about to end.
                other => assert!(other.unwrap().is_err()),
            }
            b.remove_peer(a.local()).unwrap();
            b.add_peer(a.local()).unwrap();
            let end = stream.recv().await.unwrap();
            assert!(end.is_err(), "{end:?}");
        }
        node::connected(&link(&b, &a)).await;
        a.shutdown(Duration::ZERO).await;
        b.shutdown(Duration::ZERO).await;
    })
    .await;
}

/// 300 times up and down: the log has a bounded number of lines, which say how many were left out; and the last of them
/// is the state as it is.
#[tokio::test(start_paused = true)]
async fn a_link_that_flaps_fills_no_log() {
    ends(async {
        let (logs, _guard) = Logs::capture();
        let pair = testing::pair(|builder| probe(builder).settings(Settings::new()))
            .await
            .unwrap();
        let peer = pair.a_to_b();
        let began = Instant::now();
        for reconnects in 1..=300 {
            pair.cut();
            again(&peer, reconnects).await;
        }
        pair.net.refuse(NAMES[0], NAMES[1], true);
        pair.cut();
        // tidy: sleep: what was left out is told of later, under paused time
        sleep(Duration::from_secs(300)).await;
        let minutes = began.elapsed().as_secs() as usize / 60;
        // Who dials may say of an attempt that it failed where it would have told its state.
        for (from, last) in [
            (NAMES[0], ["connecting, attempt", "can't connect"]),
            (NAMES[1], ["waiting to be dialed"; 2]),
        ] {
            let local = [format!("local={from} "), format!("local=\"{from}\" ")];
            let lines: Vec<String> = logs.lines();
            let lines: Vec<&String> = lines
                .iter()
                .filter(|line| local.iter().any(|local| line.contains(local)))
                .collect();
            assert!(
                lines.len() <= 10 + minutes + 1,
                "{}: {lines:#?}",
                lines.len()
            );
            assert!(lines.len() >= 10, "{lines:#?}");
            let suppressed: usize = lines
                .iter()
                .filter_map(|line| {
                    line.split_once("suppressed=")?
                        .1
                        .split(' ')
                        .next()?
                        .parse::<usize>()
                        .ok()
                })
                .sum();
            // Up and down, each time, and what is told is not left out.
            assert!(
                lines.len() + suppressed >= 600,
                "{suppressed} of {lines:#?}"
            );
            let newest = lines.last().unwrap();
            assert!(last.iter().any(|last| newest.contains(last)), "{lines:#?}");
        }
        assert!(matches!(
            peer.state(),
            LinkState::Connecting { last: Some(cause), .. } if matches!(*cause, LinkCause::Dial(_))
        ));
    })
    .await;
}
