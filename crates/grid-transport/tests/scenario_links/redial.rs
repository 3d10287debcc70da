//! When a link is dialed again, and what is said about it.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, SystemTime},
};

use futures_util::future::BoxFuture;
use grid_transport::{
    BoxIo, CallError, Dialer, LinkCause, LinkState, Manager, Payload, Settings, Target, TcpDialer,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    time::{Instant, timeout},
};

use crate::{
    logs::Logs,
    node::{self, A, B, Redirect, builder},
    probe::{ECHO, ends},
    raw::PATIENCE,
};

async fn accepting() -> (SocketAddr, Manager) {
    let echo = |request: grid_transport::Request| async move { Ok(request.into_payload()) };
    let manager = builder(B, &[A]).single(ECHO, echo).build().unwrap();
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = manager.serve(socket).unwrap().local_addr().unwrap();
    (address, manager)
}

/// Dials to nowhere, and keeps the times.
#[derive(Clone, Default)]
struct Nowhere(Arc<Mutex<Vec<Instant>>>);

impl Dialer for Nowhere {
    fn dial<'a>(&'a self, _: &'a Target) -> BoxFuture<'a, io::Result<BoxIo>> {
        Box::pin(async {
            self.0.lock().unwrap().push(Instant::now());
            Err(io::Error::new(
                io::ErrorKind::ConnectionRefused,
                "nobody is there",
            ))
        })
    }
}

#[tokio::test(start_paused = true)]
async fn l17_redials_are_spaced_and_logged_once_an_hour_pair() {
    ends(async {
        let (logs, _guard) = Logs::capture();
        let nowhere = Nowhere::default();
        let manager = builder(A, &[B])
            .settings(Settings::new())
            .dialer(nowhere.clone())
            .build()
            .unwrap();
        // tidy: sleep: redials go by under paused time
        tokio::time::sleep(Duration::from_secs(202)).await;
        let gaps: Vec<Duration> = nowhere
            .0
            .lock()
            .unwrap()
            .windows(2)
            .map(|pair| pair[1] - pair[0])
            .collect();
        assert!(gaps.len() >= 100, "{}", gaps.len());
        let (second, tick) = (Duration::from_secs(1), Duration::from_millis(2));
        assert!(
            gaps.iter()
                .all(|gap| *gap >= second && *gap <= 2 * second + tick),
            "{gaps:?}"
        );
        let (short, long) = (gaps.iter().min().unwrap(), gaps.iter().max().unwrap());
        assert!(
            *long - *short > second / 2,
            "jitter between {short:?} and {long:?}"
        );

        let warnings = logs.warnings();
        assert_eq!(warnings.len(), 1, "{warnings:#?}");
        assert!(
            warnings[0].contains("attempt=2") && warnings[0].contains("nobody is there"),
            "{warnings:?}"
        );
        // tidy: sleep: redials go by under paused time
        tokio::time::sleep(Duration::from_secs(3_600)).await;
        assert_eq!(logs.warnings().len(), 2);
        // After ten minutes of failures the gaps are up to half a minute.
        let times = nowhere.0.lock().unwrap().clone();
        let last = times[times.len() - 1] - times[times.len() - 2];
        assert!(
            last >= 15 * second && last <= 30 * second + tick,
            "{last:?}"
        );
        let stats = manager.connection(B).unwrap().stats();
        assert_eq!(stats.failed_attempts, times.len() as u64);
    })
    .await;
}

/// Fails, until it is told where to dial.
#[derive(Clone)]
struct Names(watch::Sender<Option<SocketAddr>>, Arc<Mutex<u32>>);

impl Dialer for Names {
    fn dial<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, io::Result<BoxIo>> {
        Box::pin(async move {
            assert_eq!(target.name(), B);
            *self.1.lock().unwrap() += 1;
            let address = *self.0.borrow();
            let address =
                address.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such name"))?;
            Ok(Box::new(TcpStream::connect(address).await?) as BoxIo)
        })
    }
}

/// Every attempt asks for the address again, and what that comes to never ends the attempts.
#[tokio::test]
async fn l16_a_name_may_appear_and_move() {
    ends(async {
        let (logs, _guard) = Logs::capture();
        let names = Names(watch::Sender::new(None), Arc::default());
        let settings = node::settings().redial_interval(Duration::from_millis(2));
        let manager = builder(A, &[B])
            .settings(settings)
            .dialer(names.clone())
            .build()
            .unwrap();
        let link = manager.connection(B).unwrap();
        node::state(&link, |state| match state {
            LinkState::Connecting {
                attempt: 10..,
                last: Some(cause),
            } => {
                assert!(matches!(**cause, LinkCause::Dial(_)), "{cause}");
                Some(())
            }
            _ => None,
        })
        .await;
        assert!(
            link.request(ECHO, "x")
                .await
                .unwrap_err()
                .to_string()
                .contains("no such name")
        );

        let (first, b) = accepting().await;
        let changed = Instant::now();
        names.0.send_replace(Some(first));
        node::connected(&link).await;
        assert!(changed.elapsed() < Duration::from_secs(5));
        assert_eq!(
            link.request(ECHO, "first").await.unwrap(),
            Payload::from("first")
        );
        // It moves: another process under the same name, at another place.
        let (second, moved) = accepting().await;
        let changed = Instant::now();
        names.0.send_replace(Some(second));
        b.shutdown(Duration::ZERO).await;
        let peer = moved.id();
        node::state(&link, |state| match state {
            LinkState::Connected { peer: id, .. } if *id == peer => Some(()),
            _ => None,
        })
        .await;
        assert!(changed.elapsed() < Duration::from_secs(5));
        assert_eq!(
            link.request(ECHO, "second").await.unwrap(),
            Payload::from("second")
        );
        assert_eq!(link.stats().reconnects, 1);

        // One warning while it was gone; one line when it was there, and one when it was there again.
        let lines = logs.lines();
        let warnings = lines
            .iter()
            .filter(|line| line.contains(" WARN ") && line.contains("no such name"));
        assert_eq!(warnings.count(), 1, "{lines:#?}");
        let back = format!("remote=\"{B}\"");
        let ups = lines
            .iter()
            .filter(|line| line.contains(&back) && line.contains("connected to instance"));
        assert_eq!(ups.count(), 2, "{lines:#?}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn who_cannot_wait_reconnects_now() {
    ends(async {
        let nowhere = Nowhere::default();
        let settings = Settings::new().redial_interval(Duration::from_secs(1_000));
        let manager = builder(A, &[B])
            .settings(settings)
            .dialer(nowhere.clone())
            .build()
            .unwrap();
        let link = manager.connection(B).unwrap();
        let began = Instant::now();
        for attempts in 1..5 {
            node::state(&link, |state| match state {
                LinkState::Connecting { attempt, .. } if *attempt == attempts + 1 => Some(()),
                _ => None,
            })
            .await;
            assert_eq!(nowhere.0.lock().unwrap().len(), attempts as usize);
            link.reconnect_now();
        }
        assert_eq!(began.elapsed(), Duration::ZERO);
    })
    .await;
}

/// A dialer that hangs is given up after the dial timeout.
#[tokio::test(start_paused = true)]
async fn a_dial_has_a_limit() {
    ends(async {
        struct Hangs;
        impl Dialer for Hangs {
            fn dial<'a>(&'a self, _: &'a Target) -> BoxFuture<'a, io::Result<BoxIo>> {
                Box::pin(std::future::pending())
            }
        }
        let began = Instant::now();
        let manager = builder(A, &[B])
            .settings(Settings::new())
            .dialer(Hangs)
            .build()
            .unwrap();
        let limit = node::down_because(&manager.connection(B).unwrap(), |cause| match cause {
            LinkCause::DialTimeout { after } => Some(*after),
            _ => None,
        })
        .await;
        assert_eq!(
            (limit, began.elapsed().as_secs()),
            (Duration::from_secs(2), 2)
        );
        // A node that shuts down doesn't wait for it.
        timeout(Duration::from_millis(1), manager.shutdown(Duration::ZERO))
            .await
            .unwrap();
    })
    .await;
}

/// Waiting for a link ends with the node.
#[tokio::test]
async fn l18_who_waits_for_a_link_is_told_of_the_shutdown() {
    ends(async {
        let [a, _] = node::pair(|index, builder| match index {
            0 => builder.dialer(Nowhere::default()),
            _ => builder.dialer(TcpDialer::new()),
        })
        .await;
        let [link] = &a.connections()[..] else {
            panic!("one peer")
        };
        let (waiting, calling) = (link.clone(), link.clone());
        let waiting = tokio::spawn(async move { waiting.connected().await });
        let calling = tokio::spawn(async move { calling.request(ECHO, "x").wait_ready().await });
        tokio::task::yield_now().await;
        a.shutdown(Duration::ZERO).await;
        for outcome in [
            timeout(PATIENCE, waiting)
                .await
                .expect("waits for ever")
                .unwrap(),
            timeout(PATIENCE, calling)
                .await
                .expect("waits for ever")
                .unwrap()
                .map(drop),
        ] {
            assert!(
                matches!(outcome, Err(CallError::ShuttingDown)),
                "{outcome:?}"
            );
        }
        assert!(matches!(
            link.state(),
            LinkState::Closed { cause } if matches!(*cause, LinkCause::ShuttingDown)
        ));
    })
    .await;
}

/// Code of the application that panics in the middle of an attempt costs no more than that attempt.
#[tokio::test]
async fn a_panic_while_dialing_is_a_failed_attempt() {
    ends(async {
        struct Panics(SocketAddr, Mutex<u32>);
        impl Dialer for Panics {
            fn dial<'a>(&'a self, _: &'a Target) -> BoxFuture<'a, io::Result<BoxIo>> {
                Box::pin(async {
                    let first = std::mem::replace(&mut *self.1.lock().unwrap(), 1) == 0;
                    assert!(!first, "a panic of the dialer");
                    Ok(Box::new(TcpStream::connect(self.0).await?) as BoxIo)
                })
            }
        }
        let (address, _b) = accepting().await;
        let manager = builder(A, &[B])
            .dialer(Panics(address, Mutex::new(0)))
            .build()
            .unwrap();
        let link = manager.connection(B).unwrap();
        node::connected(&link).await;
        assert_eq!(link.stats().failed_attempts, 1);
    })
    .await;
}

/// Where no attempt is under way a panic ends the link, and is told as what it is.
#[tokio::test]
async fn a_panic_of_the_link_is_told_as_one() {
    ends(async {
        let mut closed = 0;
        // The first times that the clock is read belong to an attempt, the next one to the connection.
        for nth in 1..=4 {
            let (logs, _guard) = Logs::capture();
            let (address, _b) = accepting().await;
            let calls = AtomicU32::new(0);
            let clock = move || {
                let call = calls.fetch_add(1, Ordering::Relaxed) + 1;
                assert!(call != nth, "a panic of the clock");
                SystemTime::now()
            };
            let manager = builder(A, &[B])
                .dialer(Redirect(address))
                .wall_clock(clock)
                .build()
                .unwrap();
            let link = manager.connection(B).unwrap();
            let is_over = |state: &LinkState| state.is_connected() || state.is_closed();
            let state = link.watch().wait_for(is_over).await.unwrap().clone();
            if let LinkState::Closed { cause } = state {
                closed += 1;
                assert!(matches!(*cause, LinkCause::Panicked), "{cause}");
                let error = link.request(ECHO, "x").await.unwrap_err();
                assert!(
                    matches!(&error, CallError::NotConnected { cause } if matches!(**cause, LinkCause::Panicked)),
                    "{error:?}"
                );
                let lines = logs.lines();
                let told = |line: &&String| {
                    line.contains(" ERROR grid::link: ") && line.contains("a panic of the clock")
                };
                assert_eq!(lines.iter().filter(told).count(), 1, "{lines:#?}");
            }
            manager.shutdown(Duration::ZERO).await;
        }
        assert_eq!(closed, 1);
    })
    .await;
}
