//! Everything at once on several threads: calls, streams, cancels and cuts.

mod probe;

use std::{
    future::IntoFuture,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use grid_transport::{CallError, Connection, Payload, SendError, Settings, testing};
use probe::*;
use tokio::{task::JoinSet, time::timeout};

#[derive(Default)]
struct Tally {
    whole: AtomicUsize,
    cut: AtomicUsize,
    cancelled: AtomicUsize,
}

impl Tally {
    fn failed(&self, error: &CallError) {
        match error {
            CallError::Disconnected { .. } | CallError::NotConnected { .. } => {
                self.cut.fetch_add(1, Relaxed)
            }
            CallError::Cancelled => self.cancelled.fetch_add(1, Relaxed),
            other => panic!("{other:?}"),
        };
    }
}

async fn request(peer: Connection, number: usize, tally: &Tally) {
    let payload = format!("{number:<700}");
    match peer.request(ECHO, payload.clone()).await {
        Ok(answer) => {
            assert_eq!(answer, Payload::from(payload));
            tally.whole.fetch_add(1, Relaxed);
        }
        Err(error) => tally.failed(&error),
    }
}

/// A clean end means that every item arrived, in order.
async fn items(peer: Connection, count: usize, cancel_at: usize, tally: &Tally) {
    let opened = peer
        .stream(ITEMS_100, OUT_100, format!("{count}:100"))
        .await;
    let mut stream = match opened {
        Ok(stream) => stream,
        Err(error) => return tally.failed(&error),
    };
    let handle = stream.cancel_handle();
    let mut got = 0_usize;
    loop {
        if got == cancel_at {
            handle.cancel();
        }
        match stream.recv().await {
            Some(Ok(item)) => {
                assert_eq!(item.as_slice(), vec![got as u8; 100]);
                got += 1;
            }
            Some(Err(error)) => return tally.failed(&error),
            None => break,
        }
    }
    assert_eq!(got, count, "a clean end before the last item");
    tally.whole.fetch_add(1, Relaxed);
}

async fn echo(peer: Connection, count: usize, tally: &Tally) {
    let (mut sender, mut receiver) = match peer.stream(TWO_WAY_100, BOTH_100, "x").await {
        Ok(stream) => stream.split(),
        Err(error) => return tally.failed(&error),
    };
    let send = async {
        for item in 0..count {
            match sender.send(item.to_string()).await {
                Ok(()) => {}
                Err(SendError::Call(_)) => break,
                Err(other) => panic!("{other:?}"),
            }
        }
        sender.finish();
    };
    let receive = async {
        let mut got = 0;
        while let Some(item) = receiver.recv().await {
            assert_eq!(item?, Payload::from(got.to_string()));
            got += 1;
        }
        Ok(got)
    };
    let ((), received) = tokio::join!(send, receive);
    match received {
        Ok(got) => {
            assert_eq!(got, count, "a clean end before the last item");
            tally.whole.fetch_add(1, Relaxed);
        }
        Err(error) => tally.failed(&error),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_lost_mixed_up_or_left_behind() {
    let settings = Settings::new()
        .redial_at_once_after(Duration::ZERO)
        .redial_jitter(Duration::from_millis(1));
    let pair = testing::pair(|builder| probe(builder).settings(settings.clone()))
        .await
        .unwrap();
    let tally = Arc::new(Tally::default());
    for round in 0..40_usize {
        pair.connected().await.unwrap();
        let mut calls = JoinSet::new();
        for number in 0..60_usize {
            let peer = if number % 2 == 0 {
                pair.a_to_b()
            } else {
                pair.b_to_a()
            };
            let tally = tally.clone();
            calls.spawn(async move {
                match number % 6 {
                    0 | 1 => items(peer, 500, usize::MAX, &tally).await,
                    2 => items(peer, 500, number + round, &tally).await,
                    3 => echo(peer, 300, &tally).await,
                    _ => {
                        for call in 0..20 {
                            request(peer.clone(), call, &tally).await;
                            // One that is dropped while it is under way.
                            let dropped = peer.request(WAIT, "0").into_future();
                            drop(timeout(Duration::ZERO, dropped).await);
                        }
                    }
                }
            });
        }
        // Every other round ends by itself.
        if round % 2 == 0 {
            for _ in 0..round * 7 % 60 {
                request(pair.a_to_b(), round, &tally).await;
            }
            pair.cut();
        }
        let all = async {
            while let Some(call) = calls.join_next().await {
                call.unwrap();
            }
        };
        timeout(LONG, all).await.expect("calls that never end");
    }
    let count = |which: &AtomicUsize| which.load(Relaxed);
    assert!(
        count(&tally.whole) > 1_000,
        "{} came out whole",
        count(&tally.whole)
    );
    assert!(count(&tally.cut) > 100, "{} were cut", count(&tally.cut));
    assert!(
        count(&tally.cancelled) > 100,
        "{} were cancelled",
        count(&tally.cancelled)
    );

    for peer in [pair.a_to_b(), pair.b_to_a()] {
        timeout(LONG, peer.connected()).await.unwrap().unwrap();
    }
    assert!(pair.a.shutdown(LONG).await.complete);
    assert!(pair.b.shutdown(LONG).await.complete);
    for manager in [&pair.a, &pair.b] {
        for handler in manager.handler_stats() {
            assert_eq!(handler.running, 0, "{handler:?}");
        }
    }
}
