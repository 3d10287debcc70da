//! Who gets in: H01, H15, H16.

use std::{hint::black_box, time::Duration};

use grid_proto::{
    MuxId,
    wire::{ConnectRequest, Message, Op, Timestamp},
};
use grid_transport::{Settings, StaticToken, same_token};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    task::JoinSet,
    time::Instant,
};

use crate::{
    hostile::{dialers, handlers, let_in, serving},
    lag::Lag,
    logs::Logs,
    memory::memory,
    node::{self, A, B, C},
    raw::{self, Frame, Raw, request, upgrade_request},
    scale::scaled,
};

/// Each of them is closed without a word, not before its limit and no later than the machine makes it.
async fn all_end_in_time(half_open: Vec<(Raw, Instant)>, limit: Duration, lag: &Lag) {
    let mut ends = JoinSet::new();
    for (mut raw, began) in half_open {
        ends.spawn(async move {
            assert!(raw.read_to_end().await.is_empty());
            began.elapsed()
        });
    }
    for took in ends.join_all().await {
        let most = limit + limit / 5 + lag.so_far();
        assert!(took >= limit && took <= most, "{took:?}, {most:?} allowed");
    }
}

/// First messages of all kinds that are none, five times. Those that can be refused get their reason and the end; the
/// others are given back, each with the time at which it began.
async fn no_first_messages<S>(dial: impl AsyncFn() -> Raw<S>) -> Vec<(Raw<S>, Instant)>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let upgraded = async || dial().await.upgraded(raw::PATH).await;
    let mut silent = Vec::new();
    for _ in 0..5 {
        // Nothing, one byte, and a frame of which one byte came.
        for start in [&[][..], &[0x82], &[0x82, 0xff, 0]] {
            let began = Instant::now();
            let mut raw = upgraded().await;
            raw.send_bytes(start).await;
            silent.push((raw, began));
        }
        // One byte that is a message, 4 KiB of noise, another op: each gets its reason and the end.
        for noise in [vec![7], vec![0x5a; 4_096]] {
            let mut raw = upgraded().await;
            raw.send_frame(&Frame::binary(noise, true)).await;
            let response = raw.read_response().await.unwrap();
            let reason = response.rejected_reason.to_string();
            assert!(!response.accepted && reason.starts_with("error parsing grid connect: "));
            assert!(raw.read_to_end().await.is_empty());
        }
        let mut raw = upgraded().await;
        raw.send_message(&Message::new(Op::Request, MuxId::new(1)))
            .await;
        let response = raw.read_response().await.unwrap();
        assert_eq!(response.rejected_reason, "unexpected connect op: Request");
        assert!(raw.read_to_end().await.is_empty());
        let unknown = request("http://node-z:9000", "debug");
        let (mut raw, response) = upgraded().await.greeted(&unknown).await;
        assert_eq!(
            response.rejected_reason,
            "unknown incoming host: http://node-z:9000"
        );
        assert!(raw.read_to_end().await.is_empty());
    }
    silent
}

/// Each cause has one line, however often it came.
fn told_once(logs: &Logs) {
    let mut warnings = logs.warnings();
    warnings.retain(|line| line.contains("grid::accept"));
    for words in [
        "handshake timed out",
        "error parsing grid connect",
        "unknown incoming host",
    ] {
        let told = warnings.iter().filter(|line| line.contains(words)).count();
        assert_eq!(told, 1, "{words}: {warnings:#?}");
    }
    assert_eq!(warnings.len(), 3, "{warnings:#?}");
}

#[tokio::test]
async fn h01_a_first_message_that_is_none_is_closed_in_time_and_told_once() {
    let (logs, _guard) = Logs::capture();
    let millis = scaled("H01", "ms of the handshake timeout", 1_500, 5_000);
    let limit = Duration::from_millis(millis);
    let lag = Lag::begin();
    let (address, manager) = serving(node::settings().handshake_timeout(limit), &[]).await;
    let silent = no_first_messages(async || Raw::dial(address).await).await;
    // Others are served meanwhile.
    let mut other = let_in(address, A).await;
    assert!(other.round_trip().await.is_empty());
    all_end_in_time(silent, limit, &lag).await;
    assert!(other.round_trip().await.is_empty());
    manager.shutdown(Duration::ZERO).await;
    told_once(&logs);
}

#[tokio::test(start_paused = true)]
async fn h01_a_first_message_that_is_none_is_closed_in_time_and_told_once_pair() {
    let (logs, _guard) = Logs::capture();
    let limit = Settings::new().handshake_timeout;
    let manager = handlers(node::builder(B, &[A])).build().unwrap();
    let (dials, served) = memory();
    let _serving = manager.serve_on(served).unwrap();
    let dial = async || Raw::over(dials.connect(64 * 1_024));
    let began = Instant::now();
    let silent = no_first_messages(dial).await;
    // Others are served meanwhile.
    let asked = request(A, "debug");
    let (mut other, response) = dial().await.upgraded(raw::PATH).await.greeted(&asked).await;
    assert!(response.accepted, "{}", response.rejected_reason);
    assert!(other.round_trip().await.is_empty());
    assert_eq!(began.elapsed(), Duration::ZERO, "something waited");
    for (mut raw, began) in silent {
        assert!(raw.read_to_end().await.is_empty());
        assert_eq!(began.elapsed(), limit);
    }
    assert!(other.round_trip().await.is_empty());
    manager.shutdown(Duration::ZERO).await;
    told_once(&logs);
}

/// The key of a warning is who and why, and its time the interval.
#[tokio::test]
async fn h01_each_interval_tells_once_of_each_remote_and_cause() {
    let (logs, _guard) = Logs::capture();
    let interval = Duration::from_secs(3);
    let others = dialers(1);
    let (address, manager) = serving(node::settings().warn_interval(interval), &others).await;
    let late = ConnectRequest {
        time: Timestamp::from(std::time::SystemTime::now() - Duration::from_secs(360)),
        ..request(A, "debug")
    };
    // Strangers are all one remote: they could have as many names as they like.
    let cases = [
        (
            vec![
                request("http://node-y:9000", "debug"),
                request("http://node-z:9000", "debug"),
            ],
            "127.0.0.1",
            "unknown incoming host",
        ),
        (vec![request(A, "wrong")], A, "auth token"),
        (vec![late], "127.0.0.1", "time difference too large"),
        (vec![request(&others[0], "wrong")], &others[0], "auth token"),
    ];
    for round in 1..=2 {
        let began = Instant::now();
        for _ in 0..5 {
            for (asked, _, reason) in &cases {
                for asked in asked {
                    let (_raw, response) = Raw::connect(address, asked).await;
                    let told = response.rejected_reason.to_string();
                    assert!(told.starts_with(reason), "{told}");
                }
            }
        }
        let took = began.elapsed();
        assert!(took < interval, "{took:?} for one round: nothing is shown");
        let mut warnings = logs.warnings();
        warnings.retain(|line| line.contains("grid::accept"));
        assert_eq!(warnings.len(), cases.len() * round, "{warnings:#?}");
        for (asked, remote, reason) in &cases {
            let (remote, reason) = (format!("remote=\"{remote}\""), format!("reason={reason}"));
            let mut of = warnings.clone();
            of.retain(|line| line.contains(&remote) && line.contains(&reason));
            assert_eq!(of.len(), round, "{remote}, {reason}: {warnings:#?}");
            let before = 5 * asked.len() - 1;
            let suppressed = format!("suppressed={} ", [0, before][round - 1]);
            assert!(of[round - 1].contains(&suppressed), "{of:#?}");
        }
        // tidy: sleep: until the interval of the last of them is over
        tokio::time::sleep(interval).await;
    }
    manager.shutdown(Duration::ZERO).await;
}

/// What is wrong with a request beside its token, and the reason where the token is right.
fn wrong() -> Vec<(ConnectRequest, &'static str)> {
    let late = Timestamp::from(std::time::SystemTime::now() - Duration::from_secs(360));
    vec![
        (
            request("http://node-z:9000", "debug"),
            "unknown incoming host: http://node-z:9000",
        ),
        (
            request(C, "debug"),
            "grid: expected to be client side, not server side",
        ),
        (
            ConnectRequest {
                time: late,
                ..request(A, "debug")
            },
            "time difference too large between servers: 6m0.",
        ),
    ]
}

#[tokio::test]
async fn h15_strict_tells_nothing_before_the_token_is_valid() {
    for strict in [true, false] {
        let settings = node::settings().strict(strict);
        let manager = node::builder(B, &[A, C])
            .settings(settings)
            .auth(StaticToken::new("debug"))
            .build()
            .unwrap();
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = manager.serve(socket).unwrap().local_addr().unwrap();
        for (asked, reason) in wrong() {
            for token in ["debug", "debuG", "", "debugdebug"] {
                let asked = ConnectRequest {
                    token: token.into(),
                    ..asked.clone()
                };
                let (mut raw, response) = Raw::connect(address, &asked).await;
                assert!(!response.accepted);
                let told = response.rejected_reason.to_string();
                // Where the reference's order holds, a wrong side is found behind the token only.
                if token == "debug" || (!strict && !reason.starts_with("grid: ")) {
                    assert!(told.starts_with(reason), "{strict} {token}: {told}");
                } else if strict {
                    assert_eq!(told, "rejected", "{token}");
                } else {
                    assert_eq!(told, "auth token: invalid token");
                }
                assert!(raw.read_to_end().await.is_empty());
            }
        }
        let (_raw, response) = Raw::connect(address, &request(A, "wrong")).await;
        let told = response.rejected_reason.to_string();
        let wanted = ["auth token: invalid token", "rejected"][usize::from(strict)];
        assert_eq!(told, wanted);
        manager.shutdown(Duration::ZERO).await;
    }
    assert!(!Settings::new().strict, "off by default");
}

/// A comparison that ended at the first difference would be thousands of times faster there.
#[test]
fn h15_a_token_takes_as_long_wherever_it_differs_unit() {
    let wanted = vec![b'x'; 64 * 1024];
    let mut first = wanted.clone();
    first[0] = b'y';
    let mut last = wanted.clone();
    *last.last_mut().unwrap() = b'y';
    let time = |given: &[u8], same: bool| {
        let began = std::time::Instant::now();
        assert_eq!(same_token(black_box(given), black_box(&wanted)), same);
        began.elapsed().as_secs_f64()
    };
    let (mut early, mut late) = (Vec::new(), Vec::new());
    for _ in 0..41 {
        let before = time(&first, false);
        early.push(time(&last, false) / before);
        late.push(time(&wanted, true) / time(&last, false));
    }
    for ratios in [&mut early, &mut late] {
        ratios.sort_by(f64::total_cmp);
        let median = ratios[ratios.len() / 2];
        assert!((0.5..2.0).contains(&median), "{median}");
    }
}

#[tokio::test]
async fn h16_a_thousand_half_open_handshakes_are_all_and_end_in_time() {
    const MANY: usize = 1_000;
    let limit = Settings::new().handshake_timeout;
    let lag = Lag::begin();
    let settings = node::settings()
        .max_handshakes(MANY)
        .handshake_timeout(limit);
    let (address, manager) = serving(settings, &[]).await;
    let mut half_open = Vec::new();
    let first = Instant::now();
    for number in 0..MANY {
        let began = Instant::now();
        let raw = match number % 3 {
            0 => Raw::dial(address).await,
            1 => {
                let mut raw = Raw::dial(address).await;
                raw.send_bytes(b"GET /minio/gr").await;
                raw
            }
            _ => Raw::upgrade(address, raw::PATH).await,
        };
        half_open.push((raw, began));
    }
    let opened = first.elapsed();
    assert!(opened < limit, "{opened:?} to open them: nothing is shown");
    // Those are all: one more is closed at once, without a word.
    let mut more = Raw::dial(address).await;
    more.send_head(&upgrade_request(raw::PATH)).await;
    assert!(more.read_to_end().await.is_empty());
    assert!(first.elapsed() < limit);
    all_end_in_time(half_open, limit, &lag).await;
    // And then there is room again.
    let mut raw = let_in(address, A).await;
    assert!(raw.round_trip().await.is_empty());
    manager.shutdown(Duration::ZERO).await;
}
