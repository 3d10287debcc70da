//! Limits of time, exactly: a millisecond below, at it, and a millisecond above, under paused time.

use std::{
    future::IntoFuture,
    time::{Duration, SystemTime},
};

use grid_proto::wire::{ConnectRequest, Message, Op, Timestamp};
use grid_transport::{CallError, Capacity, Connection, LinkCause, Manager, Settings};
use tokio::time::{Instant, sleep};

use crate::{
    hostile::{SIZED, STUCK, call, handlers, numbered},
    node::{self, A, B},
    raw::request,
    wire::{Dial, Dialed, Wire, memory, slow},
};

/// What a stream ends with whose handler's side gives no sign.
const NO_PONG: &str = "remote disconnected: no pong";

pub(crate) const MS: Duration = Duration::from_millis(1);

pub(crate) fn around(limit: Duration) -> [Duration; 3] {
    [limit - MS, limit, limit + MS]
}

/// So much time passes.
pub(crate) async fn pass(time: Duration) {
    // tidy: sleep: that time passes is the point, and the clock stands still
    sleep(time).await;
}

pub(crate) fn accepting(settings: Settings) -> (Dial, Manager) {
    accepting_at(settings, SystemTime::now)
}

/// As [`accepting`], with a clock of its own.
pub(crate) fn accepting_at(
    settings: Settings,
    clock: impl Fn() -> SystemTime + Send + Sync + 'static,
) -> (Dial, Manager) {
    let manager = handlers(node::builder(B, &[A]))
        .settings(settings)
        .wall_clock(clock)
        .build()
        .unwrap();
    let (dial, dialed) = memory();
    manager.serve_on(dialed).unwrap();
    (dial, manager)
}

pub(crate) fn dialing(settings: Settings, takes: Duration) -> (Dialed, Manager, Connection) {
    let (dialer, dialed) = slow(takes);
    let manager = handlers(node::builder(A, &[B]).dialer(dialer))
        .settings(settings)
        .build()
        .unwrap();
    let link = manager.connection(B).unwrap();
    (dialed, manager, link)
}

/// Timings as they are by default, but for what would hide them.
pub(crate) fn defaults() -> Settings {
    Settings::new().first_mux(Some(grid_proto::MuxId::new(1)))
}

pub(crate) async fn let_in(dial: &Dial, buffer: usize) -> Wire {
    let mut wire = dial.connect(buffer);
    wire.upgrade().await;
    assert!(wire.greet(&request(A, "debug")).await.unwrap().accepted);
    wire
}

async fn cause(link: &Connection) -> LinkCause {
    let mut states = link.watch();
    loop {
        if let Some(cause) = states.borrow_and_update().last_cause() {
            return LinkCause::clone(cause);
        }
        states.changed().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn handshake_timeout_of_the_acceptor() {
    let limit = Settings::new().handshake_timeout;
    for upgraded in [false, true] {
        for late in around(limit) {
            let (dial, manager) = accepting(defaults());
            let mut wire = dial.connect(1 << 16);
            let began = Instant::now();
            if upgraded {
                wire.upgrade().await;
            }
            let dropped = tokio::select! {
                biased;
                () = pass(late) => false,
                () = wire.ends() => true,
            };
            if late < limit {
                assert!(!dropped);
                if !upgraded {
                    wire.upgrade().await;
                }
                assert!(wire.greet(&request(A, "debug")).await.unwrap().accepted);
            } else {
                wire.ends().await;
                assert_eq!(began.elapsed(), limit);
            }
            manager.shutdown(Duration::ZERO).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn handshake_timeout_of_the_dialer() {
    let limit = Settings::new().handshake_timeout;
    for late in around(limit) {
        let (dialed, manager, link) = dialing(defaults(), Duration::ZERO);
        let mut wire = dialed.next().await;
        wire.serve_request().await;
        pass(late).await;
        wire.accept().await;
        // What comes at the very moment has come in time.
        if late <= limit {
            link.connected().await.unwrap();
        } else {
            let told = cause(&link).await;
            assert!(
                matches!(told, LinkCause::HandshakeTimeout { after } if after == limit),
                "{told}"
            );
        }
        manager.shutdown(Duration::ZERO).await;
    }
}

#[tokio::test(start_paused = true)]
async fn dial_timeout() {
    let limit = Settings::new().dial_timeout;
    for late in around(limit) {
        let (dialed, manager, link) = dialing(defaults(), late);
        if late <= limit {
            let mut wire = dialed.next().await;
            wire.serve_request().await;
            wire.accept().await;
            link.connected().await.unwrap();
        } else {
            let told = cause(&link).await;
            assert!(
                matches!(told, LinkCause::DialTimeout { after } if after == limit),
                "{told}"
            );
        }
        manager.shutdown(Duration::ZERO).await;
    }
}

#[tokio::test(start_paused = true)]
async fn write_timeout() {
    let limit = Settings::new().write_timeout;
    for pause in around(limit) {
        let (dial, manager) = accepting(defaults().ping_interval(Duration::from_secs(3_600)));
        let link = manager.connection(A).unwrap();
        let mut wire = let_in(&dial, 1_024).await;
        wire.send_message(&call(Op::Request, SIZED, 1, "100000"))
            .await;
        let began = Instant::now();
        let lost = tokio::spawn(async move { (cause(&link).await, began.elapsed()) });
        // One byte in each pause, for several of them.
        let mut bytes = 0;
        for _ in 0..5 {
            pass(pause).await;
            bytes += u32::from(!lost.is_finished() && wire.byte().await.is_some());
        }
        if pause < limit {
            assert_eq!((bytes, lost.is_finished()), (5, false));
            lost.abort();
        } else {
            // One that is taken at the very moment may have been in time.
            assert!(bytes == 0 || pause == limit, "{bytes} after {pause:?}");
            let (told, after) = lost.await.unwrap();
            assert!(
                matches!(told, LinkCause::WriteStalled { after } if after == limit),
                "{told}"
            );
            let began = pause * bytes;
            assert!(
                after >= began + limit && after <= began + limit + MS,
                "{after:?}"
            );
        }
        manager.shutdown(Duration::ZERO).await;
    }
}

#[tokio::test(start_paused = true)]
async fn two_ping_intervals_without_a_byte() {
    let limit = 2 * Settings::new().ping_interval;
    for silence in around(limit) {
        let (dial, manager) = accepting(defaults());
        let link = manager.connection(A).unwrap();
        let mut wire = let_in(&dial, 1 << 20).await;
        let began = Instant::now();
        pass(silence).await;
        if silence < limit {
            // One byte of a frame that does not go on is enough.
            wire.send(&[0x82]).await;
            pass(limit - MS).await;
            assert!(link.state().is_connected());
            pass(limit / 2).await;
            assert!(!link.state().is_connected(), "within three periods");
        } else {
            let told = cause(&link).await;
            assert!(matches!(told, LinkCause::PeerSilent { .. }), "{told}");
            let took = began.elapsed();
            assert!(took >= limit && took <= limit + MS, "{took:?}");
        }
        manager.shutdown(Duration::ZERO).await;
    }
}

#[tokio::test(start_paused = true)]
async fn two_stream_ping_intervals_without_a_sign() {
    let limit = 2 * Settings::new().stream_ping_interval;
    for silence in around(limit) {
        let (dialed, manager, link) = dialing(
            defaults().ping_interval(Duration::from_secs(3_600)),
            Duration::ZERO,
        );
        let mut wire = dialed.next().await;
        wire.serve_request().await;
        wire.accept().await;
        link.connected().await.unwrap();
        let mut stream = link.stream(STUCK, Capacity::new(0, 4), "s").await.unwrap();
        let opened = wire.message().await.unwrap();
        assert_eq!(opened.op, Op::ConnectMux);
        let mux = opened.mux.get();
        wire.send_message(&numbered(Op::AckMux, mux, 0, "")).await;
        let began = Instant::now();
        let ended = tokio::select! {
            biased;
            end = stream.recv() => Some(end.unwrap().unwrap_err()),
            () = pass(silence) => None,
        };
        if silence < limit {
            assert!(ended.is_none(), "{ended:?}");
            wire.send_message(&numbered(Op::MuxServerMsg, mux, 1, "x"))
                .await;
            assert_eq!(stream.recv().await.unwrap().unwrap().as_slice(), b"x");
        } else {
            let end = match ended {
                Some(end) => end,
                None => stream.recv().await.unwrap().unwrap_err(),
            };
            assert_eq!(end.to_string(), NO_PONG);
            let took = began.elapsed();
            assert!(took >= limit && took <= limit / 2 * 3, "{took:?}");
        }
        assert!(link.state().is_connected());
        manager.shutdown(Duration::ZERO).await;
    }
}

#[tokio::test(start_paused = true)]
async fn default_deadline() {
    let limit = Settings::new().default_deadline;
    for late in around(limit) {
        let settings = defaults().ping_interval(Duration::from_secs(3_600));
        let (dialed, manager, link) = dialing(settings, Duration::ZERO);
        let mut wire = dialed.next().await;
        wire.serve_request().await;
        wire.accept().await;
        link.connected().await.unwrap();
        let call = tokio::spawn(link.request(STUCK, "x").into_future());
        let asked = wire.message().await.unwrap();
        assert_eq!(u128::from(asked.deadline_ms), limit.as_millis());
        pass(late).await;
        let answer = Message {
            mux: asked.mux,
            ..numbered(Op::Response, 0, 0, "in time")
        };
        wire.send_message(&answer).await;
        match call.await.unwrap() {
            Ok(answer) => assert!(late < limit && answer.as_slice() == b"in time"),
            Err(error) => {
                assert!(
                    late >= limit && matches!(error, CallError::Deadline),
                    "{error:?}"
                );
            }
        }
        manager.shutdown(Duration::ZERO).await;
    }
}

#[tokio::test(start_paused = true)]
async fn room_timeout() {
    let limit = Settings::new().room_timeout;
    for room_after in around(limit) {
        let settings = defaults()
            .ping_interval(Duration::from_secs(3_600))
            .write_timeout(Duration::from_secs(3_600))
            .max_queued(1);
        let (dialed, manager, link) = dialing(settings, Duration::ZERO);
        let mut wire = dialed.next().await;
        wire.serve_request().await;
        wire.accept().await;
        link.connected().await.unwrap();
        // One is being written and does not fit into the connection, one waits, and the third finds no room.
        let mut calls = Vec::new();
        for payload in [1 << 20, 1] {
            calls.push(tokio::spawn(
                link.request(STUCK, vec![0; payload]).into_future(),
            ));
            pass(MS).await;
        }
        let began = Instant::now();
        let third = tokio::spawn(link.request(STUCK, "third").into_future());
        pass(room_after).await;
        let reader = tokio::spawn(async move {
            while let Some(message) = wire.message().await {
                if message.payload == "third" {
                    let answer = Message {
                        mux: message.mux,
                        ..numbered(Op::Response, 0, 0, "answered")
                    };
                    wire.send_message(&answer).await;
                }
            }
        });
        match third.await.unwrap() {
            Ok(answer) => assert!(room_after <= limit && answer.as_slice() == b"answered"),
            Err(error) => {
                assert!(room_after >= limit, "{room_after:?}: {error:?}");
                assert!(error.is_retryable() && !error.may_have_executed());
                assert!(began.elapsed() >= limit && began.elapsed() <= limit + MS);
            }
        }
        manager.shutdown(Duration::ZERO).await;
        reader.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn max_clock_skew_to_the_nanosecond() {
    let (limit, nano) = (Settings::new().max_clock_skew, Duration::from_nanos(1));
    let at = SystemTime::now();
    for skew in [limit - nano, limit, limit + nano] {
        for late in [true, false] {
            let manager = node::builder(B, &[A])
                .settings(defaults())
                .wall_clock(move || at)
                .build()
                .unwrap();
            let (dial, dialed) = memory();
            manager.serve_on(dialed).unwrap();
            let mut wire = dial.connect(1 << 16);
            wire.upgrade().await;
            let time = if late { at - skew } else { at + skew };
            let asked = ConnectRequest {
                time: Timestamp::from(time),
                ..request(A, "debug")
            };
            let response = wire.greet(&asked).await.unwrap();
            assert_eq!(
                response.accepted,
                skew <= limit,
                "{skew:?} {}",
                response.rejected_reason
            );
            manager.shutdown(Duration::ZERO).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn replace_after() {
    let limit = Settings::new().replace_after;
    for age in around(limit) {
        let (dial, manager) = accepting(defaults());
        let mut first = let_in(&dial, 1 << 16).await;
        pass(age).await;
        let began = Instant::now();
        // It gets its answer when it takes over.
        let _second = let_in(&dial, 1 << 16).await;
        let waited = began.elapsed();
        first.ends().await;
        let wanted = limit.saturating_sub(age);
        assert!(
            waited >= wanted && waited <= wanted + MS,
            "{age:?}: {waited:?}"
        );
        manager.shutdown(Duration::ZERO).await;
    }
}
