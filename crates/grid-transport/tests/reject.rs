//! Being turned away: the dialer learns why, and neither side fills its log.

#[path = "common/held.rs"]
mod held;
#[path = "common/logs.rs"]
mod logs;
#[path = "common/node.rs"]
mod node;
#[path = "common/raw.rs"]
mod raw;

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::future::BoxFuture;
use grid_proto::{
    MuxId,
    wire::{ConnectRequest, Message, Op, Timestamp},
};
use grid_transport::{BoxIo, Dialer, LinkCause, Manager, StaticToken, Target};
use held::Held;
use logs::Logs;
use node::{A, B, C, Redirect, builder, link};
use raw::{Frame, Next, Raw, request};
use tokio::net::{TcpListener, TcpStream};

async fn accepting(settings: grid_transport::Settings) -> (SocketAddr, Manager) {
    let manager = builder(B, &[A, C]).settings(settings).build().unwrap();
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = manager.serve(socket).unwrap().local_addr().unwrap();
    (address, manager)
}

/// The reason that the dialer of a pair is down for.
async fn reason_of(pair: &[Manager; 2]) -> String {
    node::down_because(&link(&pair[0], &pair[1]), |cause| match cause {
        LinkCause::Rejected(reason) => Some(reason.to_string()),
        _ => None,
    })
    .await
}

#[tokio::test]
async fn l01_the_dialer_learns_the_acceptors_reason() {
    let token = |index: usize| StaticToken::new(if index == 0 { "one" } else { "two" });
    let pair = node::pair(|index, builder| builder.auth(token(index))).await;
    assert_eq!(reason_of(&pair).await, "auth token: invalid token");

    let strict = |index: usize, builder: grid_transport::Builder| {
        builder
            .auth(token(index))
            .settings(node::settings().strict(true))
    };
    assert_eq!(reason_of(&node::pair(strict).await).await, "rejected");

    let pair = node::pair(|_, builder| builder).await;
    node::connected(&link(&pair[0], &pair[1])).await;
    // Taken off the list while connected, it isn't let in again.
    pair[1].remove_peer(pair[0].local()).unwrap();
    let reason = reason_of(&pair).await;
    assert_eq!(
        reason,
        format!("unknown incoming host: {}", pair[0].local())
    );
}

/// What only a peer by hand can do wrong.
#[tokio::test]
async fn l01_a_raw_dialer_learns_the_reason_and_then_the_end() {
    let (address, manager) = accepting(node::settings()).await;
    let late = ConnectRequest {
        time: Timestamp::from(std::time::SystemTime::now() - Duration::from_secs(360)),
        ..request(A, "debug")
    };
    for (asked, reason) in [
        (
            request(C, "debug"),
            "grid: expected to be client side, not server side",
        ),
        (
            request("http://node-z:9000", "debug"),
            "unknown incoming host: http://node-z:9000",
        ),
        (
            request(B, "debug"),
            "unknown incoming host: http://node-b:9000",
        ),
        (
            request("HTTP://NODE-A:9000", "debug"),
            "unknown incoming host: HTTP://NODE-A:9000",
        ),
        (
            request(A, "no"),
            "auth token: invalid token. want empty, got no",
        ),
        (late, "time difference too large between servers: 6m0."),
    ] {
        let (mut raw, response) = Raw::connect(address, &asked).await;
        assert!(!response.accepted);
        assert_eq!(response.id, manager.id());
        let told = response.rejected_reason.to_string();
        assert!(told.starts_with(reason), "{told}");
        // No close frame: just the end.
        assert!(raw.read_to_end().await.is_empty());
    }
    for (first, reason) in [
        (
            Message::new(Op::Request, MuxId::new(1)),
            "unexpected connect op: Request",
        ),
        (
            Message::new(Op::Unknown(99), MuxId::CONNECTION),
            "unexpected connect op: Op(99)",
        ),
    ] {
        let mut raw = Raw::upgrade(address, raw::PATH).await;
        raw.send_message(&first).await;
        assert_eq!(raw.read_response().await.unwrap().rejected_reason, reason);
        assert!(raw.read_to_end().await.is_empty());
    }
}

/// The reason arrives although bytes behind the request were never read.
#[tokio::test]
async fn bytes_behind_a_rejected_request_dont_destroy_the_answer() {
    let (address, _manager) = accepting(node::settings()).await;
    let connect = grid_proto::conn::handshake::connect(&request(A, "no"));
    let more = Frame::binary(vec![7; 100_000], true).encode();
    for _ in 0..20 {
        let mut raw = Raw::upgrade(address, raw::PATH).await;
        raw.send_bytes(&[Frame::binary(connect.clone(), true).encode(), more.clone()].concat())
            .await;
        let told = raw
            .read_response()
            .await
            .expect("no answer")
            .rejected_reason;
        assert_eq!(told, "auth token: invalid token. want empty, got no");
    }
}

#[tokio::test]
async fn l01_the_socket_of_a_failed_attempt_is_closed_before_the_next() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let redirect = Redirect(listener.local_addr().unwrap());
    let settings = node::settings().redial_interval(Duration::from_millis(1));
    let manager = builder(A, &[B])
        .dialer(redirect)
        .settings(settings)
        .build()
        .unwrap();
    let mut before: Option<Raw> = None;
    for attempt in 0..20 {
        let mut raw = Raw::accept(&listener).await;
        if let Some(mut before) = before.take() {
            assert!(matches!(before.next().await, Next::End));
        }
        // It fails at different points.
        match attempt % 3 {
            0 => {
                raw.read_head().await;
                raw.send_head(&["HTTP/1.1 500 Internal Server Error"]).await;
            }
            1 => {
                raw.serve_request().await;
                raw.send_response(false, "not now").await;
            }
            _ => {
                raw.serve_request().await;
                raw.send_bytes(b"\x83\x00").await;
            }
        }
        before = Some(raw);
    }
    assert!(manager.connection(B).unwrap().stats().failed_attempts >= 19);
}

/// A connection that is counted while it lives.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Dials one address, and notes how many of its connections still live each time that it is asked to.
struct Counting {
    address: SocketAddr,
    live: Arc<AtomicUsize>,
    seen: Arc<Mutex<Vec<usize>>>,
}

impl Dialer for Counting {
    fn dial<'a>(&'a self, _: &'a Target) -> BoxFuture<'a, io::Result<BoxIo>> {
        Box::pin(async {
            let live = self.live.load(Ordering::SeqCst);
            self.seen.lock().unwrap().push(live);
            let stream = TcpStream::connect(self.address).await?;
            self.live.fetch_add(1, Ordering::SeqCst);
            let counted = Counted(self.live.clone());
            Ok(Box::new(Held(Box::new(stream), counted)) as BoxIo)
        })
    }
}

/// Each attempt begins when nothing is left of the one before, for every rejection.
#[tokio::test]
async fn l01_no_connection_lives_when_the_next_is_dialed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (live, seen) = (
        Arc::new(AtomicUsize::new(0)),
        Arc::<Mutex<Vec<usize>>>::default(),
    );
    let dialer = Counting {
        address: listener.local_addr().unwrap(),
        live,
        seen: seen.clone(),
    };
    let manager = builder(A, &[B])
        .dialer(dialer)
        .settings(node::settings().redial_interval(Duration::from_millis(1)))
        .build()
        .unwrap();
    for attempt in 0..50 {
        let mut raw = Raw::accept(&listener).await;
        if attempt % 5 == 4 {
            raw.read_head().await;
            raw.send_head(&["HTTP/1.1 500 Internal Server Error"]).await;
        } else {
            let reasons = [
                "unknown incoming host",
                "auth token",
                "time difference",
                "op",
            ];
            raw.serve_request().await;
            raw.send_response(false, reasons[attempt % 5]).await;
        }
        // Ours stays open: it is up to the dialer to close.
        assert!(matches!(raw.next().await, Next::End));
    }
    manager.shutdown(Duration::ZERO).await;
    let seen = seen.lock().unwrap();
    assert!(seen.len() >= 50, "{}", seen.len());
    assert!(seen.iter().all(|live| *live == 0), "{seen:?}");
}

/// One line for each remote and reason, however often it comes.
#[tokio::test]
async fn the_acceptor_logs_a_reason_once_a_remote() {
    let (logs, _guard) = Logs::capture();
    let (address, manager) = accepting(node::settings()).await;
    for _ in 0..10 {
        Raw::connect(address, &request(A, "no")).await;
        Raw::connect(address, &request(C, "debug")).await;
        Raw::connect(address, &request("http://node-z:9000", "debug")).await;
        let mut raw = Raw::upgrade(address, raw::PATH).await;
        raw.send_frame(&Frame::binary(vec![0x5a; 4_096], true))
            .await;
        assert!(!raw.read_response().await.unwrap().accepted);
    }
    manager.shutdown(Duration::ZERO).await;
    let warnings = logs.warnings_of("grid::accept");
    for words in [
        "auth token",
        "client side",
        "unknown incoming host",
        "error parsing grid connect",
    ] {
        let told = warnings.iter().filter(|line| line.contains(words)).count();
        assert_eq!(told, 1, "{words}: {warnings:#?}");
    }
    assert_eq!(warnings.len(), 4, "{warnings:#?}");
}

/// What does not even reach the handshake is told of too, once for each kind.
#[tokio::test]
async fn nonsense_before_the_handshake_is_logged_once() {
    let (logs, _guard) = Logs::capture();
    let (address, manager) = accepting(node::settings()).await;
    for _ in 0..5 {
        let mut raw = Raw::dial(address).await;
        raw.send_bytes(&[0x16, 0x03, 0x01, 0x02, 0x00]).await;
        raw.read_head().await;
        let mut raw = Raw::dial(address).await;
        raw.send_head(&["GET /metrics HTTP/1.1", "Host: b"]).await;
        raw.read_head().await;
    }
    manager.shutdown(Duration::ZERO).await;
    let warnings = logs.warnings_of("grid::accept");
    for words in ["no HTTP", "no grid at this path"] {
        let told = warnings.iter().filter(|line| line.contains(words)).count();
        assert_eq!(told, 1, "{words}: {warnings:#?}");
    }
    assert_eq!(warnings.len(), 2, "{warnings:#?}");
}

/// The token is nowhere in the log, right or wrong.
#[tokio::test]
async fn no_token_is_logged() {
    let (logs, _guard) = Logs::capture();
    let token = |index: usize| {
        StaticToken::new(if index == 0 {
            "s3cret-one"
        } else {
            "s3cret-two"
        })
    };
    let pair = node::pair(|index, builder| builder.auth(token(index))).await;
    reason_of(&pair).await;
    for manager in &pair {
        manager.shutdown(Duration::ZERO).await;
    }
    let lines = logs.lines();
    assert!(
        !lines.is_empty() && !lines.iter().any(|line| line.contains("s3cret")),
        "{lines:#?}"
    );
}
