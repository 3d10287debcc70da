//! The upgrade from HTTP: what is granted, what is refused, and what it may cost.

#[path = "common/memory.rs"]
mod memory;
#[path = "common/node.rs"]
mod node;
#[path = "common/raw.rs"]
mod raw;

use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures_util::future::BoxFuture;
use grid_transport::{
    Auth, AuthError, Listener, Manager, Settings, StaticToken, TokenContext, UpgradeHeaders,
};
use memory::memory;
use node::{A, B, builder};
use raw::{Raw, header, request, upgrade_request};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::Mutex,
    time::Instant,
};

async fn socket() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

async fn serve(manager: &Manager) -> SocketAddr {
    manager.serve(socket().await).unwrap().local_addr().unwrap()
}

/// The status line that a request gets, and the rest of the head.
async fn ask(address: SocketAddr, lines: &[String]) -> Vec<String> {
    let mut raw = Raw::dial(address).await;
    raw.send_head(lines).await;
    raw.read_head().await
}

#[tokio::test]
async fn two_grids_live_on_one_listener() {
    let storage = builder(B, &[A]).build().unwrap();
    let locks = builder(B, &[A])
        .path("/minio/grid/lock/v1")
        .build()
        .unwrap();
    let listener = Listener::new().route(&storage).route(&locks);
    let mut serving = listener.serve(socket().await).unwrap();
    let address = serving.local_addr().unwrap();

    let mut ids = Vec::new();
    let mut peers = Vec::new();
    for (path, manager) in [
        ("/minio/grid/v1", &storage),
        ("/minio/grid/lock/v1?x=1", &locks),
    ] {
        let mut raw = Raw::upgrade(address, path).await;
        let response = raw.greet(&request(A, "debug")).await.unwrap();
        assert!(response.accepted);
        assert_eq!(response.id, manager.id());
        ids.push(response.id);
        node::connected(&manager.connection(A).unwrap()).await;
        peers.push(raw);
    }
    assert_ne!(ids[0], ids[1], "each grid has an id of its own");
    assert_eq!(
        ask(address, &upgrade_request("/minio/grid/v2")).await[0],
        "HTTP/1.1 404 Not Found"
    );

    // One grid leaves; the other stays, and so does the listener.
    storage.shutdown(Duration::ZERO).await;
    let gone = ask(address, &upgrade_request("/minio/grid/v1")).await;
    assert_eq!(gone[0], "HTTP/1.1 503 Service Unavailable");
    assert!(peers[1].round_trip().await.is_empty());
    locks.shutdown(Duration::ZERO).await;
    serving.stopped().await;
}

#[tokio::test]
async fn a_listener_needs_different_paths() {
    let one = builder(B, &[A]).build().unwrap();
    let two = builder(B, &[A]).build().unwrap();
    let error = Listener::new()
        .route(&one)
        .route(&two)
        .serve(socket().await)
        .unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    assert!(error.to_string().contains("/minio/grid/v1"), "{error}");
    let error = Listener::new().serve(socket().await).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
}

#[tokio::test]
async fn a_stopped_listener_leaves_its_links_alone() {
    let manager = builder(B, &[A]).build().unwrap();
    let serving = manager.serve(socket().await).unwrap();
    let address = serving.local_addr().unwrap();
    let (mut linked, response) = Raw::connect(address, &request(A, "debug")).await;
    assert!(response.accepted);
    let mut half_open = Raw::upgrade(address, raw::PATH).await;
    serving.stop().await;
    assert!(half_open.read_to_end().await.is_empty());
    assert!(linked.round_trip().await.is_empty());
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn what_is_no_upgrade_is_told_so() {
    let manager = builder(B, &[A]).build().unwrap();
    let address = serve(&manager).await;
    let without = |name: &str| -> Vec<String> {
        let lines = upgrade_request(raw::PATH);
        lines
            .into_iter()
            .filter(|line| !line.starts_with(name))
            .collect()
    };
    let bad = "HTTP/1.1 400 Bad Request";
    for (lines, status) in [
        (without("Upgrade"), bad),
        (without("Connection"), bad),
        (without("Sec-WebSocket-Key"), bad),
        (
            without("Sec-WebSocket-Version"),
            "HTTP/1.1 426 Upgrade Required",
        ),
        (vec!["this is no HTTP".to_owned()], bad),
        (vec![format!("POST {} HTTP/1.1", raw::PATH)], bad),
        (
            [
                upgrade_request(raw::PATH),
                vec![format!("X: {}", "x".repeat(20_000))],
            ]
            .concat(),
            "HTTP/1.1 431 Request Header Fields Too Large",
        ),
    ] {
        let answer = ask(address, &lines).await;
        assert_eq!(answer[0], status, "{lines:?}");
        assert_eq!(header(&answer, "Connection"), Some("close"));
    }
    // A version that isn't ours is told which is.
    let answer = ask(address, &without("Sec-WebSocket-Version")).await;
    assert_eq!(header(&answer, "Sec-WebSocket-Version"), Some("13"));
}

#[tokio::test]
async fn the_head_may_come_byte_by_byte_and_the_request_right_behind_it() {
    let manager = builder(B, &[A]).build().unwrap();
    let address = serve(&manager).await;
    let mut raw = Raw::dial(address).await;
    let head = format!("{}\r\n\r\n", upgrade_request(raw::PATH).join("\r\n"));
    for byte in head.as_bytes() {
        raw.send_bytes(&[*byte]).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(raw.read_head().await[0], "HTTP/1.1 101 Switching Protocols");
    assert!(raw.greet(&request(A, "debug")).await.unwrap().accepted);

    // Everything in one write.
    let mut payload = Vec::new();
    request(A, "debug").encode(&mut payload);
    let connect = grid_proto::conn::handshake::connect(&request(A, "debug"));
    let all = [
        head.into_bytes(),
        raw::Frame::binary(connect, true).encode(),
    ]
    .concat();
    let mut raw = Raw::dial(address).await;
    raw.send_bytes(&all).await;
    assert_eq!(raw.read_head().await[0], "HTTP/1.1 101 Switching Protocols");
    assert!(raw.read_response().await.unwrap().accepted);
}

/// Token and time of a request's headers.
type Said = (Option<Vec<u8>>, Option<SystemTime>);

/// What the headers said, of every upgrade.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<Said>>>);

impl Auth for Heard {
    fn token<'a>(&'a self, _: TokenContext<'a>) -> BoxFuture<'a, Result<String, AuthError>> {
        Box::pin(async { Ok("heard".to_owned()) })
    }

    fn check<'a>(
        &'a self,
        _: &'a [u8],
        _: TokenContext<'a>,
    ) -> BoxFuture<'a, Result<(), AuthError>> {
        Box::pin(async { Ok(()) })
    }

    fn check_headers<'a>(
        &'a self,
        headers: UpgradeHeaders<'a>,
    ) -> BoxFuture<'a, Result<(), AuthError>> {
        Box::pin(async move {
            let bearer = headers.bearer.map(<[u8]>::to_vec);
            self.0.lock().await.push((bearer, headers.time));
            Ok(())
        })
    }
}

#[tokio::test]
async fn l19_both_spellings_of_the_time_header_are_accepted() {
    let heard = Heard::default();
    let manager = builder(B, &[A]).auth(heard.clone()).build().unwrap();
    let address = serve(&manager).await;
    let at = SystemTime::UNIX_EPOCH + Duration::from_nanos(1_719_748_800_500_000_000);
    for (time, understood) in [
        ("1719748800500000000", Some(at)),
        ("2024-06-30T12:00:00.5Z", Some(at)),
        ("2024-06-30T14:00:00.500+02:00", Some(at)),
        ("tea time", None),
    ] {
        let mut lines = upgrade_request(raw::PATH);
        lines.push(format!("X-Minio-Time: {time}"));
        lines.push("Authorization: Bearer debug".to_owned());
        assert!(ask(address, &lines).await[0].contains("101"), "{time}");
        let last = heard.0.lock().await.pop().unwrap();
        assert_eq!(last, (Some(b"debug".to_vec()), understood), "{time}");
    }
}

/// What our dialer writes is the newer spelling, which nodes of both ages read.
#[tokio::test]
async fn l19_the_dialer_writes_nanoseconds() {
    let listener = socket().await;
    let redirect = node::Redirect(listener.local_addr().unwrap());
    let at = SystemTime::UNIX_EPOCH + Duration::from_nanos(1_719_748_800_500_000_000);
    let _manager = builder(A, &[B])
        .dialer(redirect)
        .wall_clock(move || at)
        .build()
        .unwrap();
    let head = Raw::accept(&listener).await.read_head().await;
    let written = header(&head, "X-Minio-Time");
    assert_eq!(written, Some("1719748800500000000"), "{head:?}");
}

/// An acceptor that answers with a time of its own, as ours and the reference do not: the dialer asks nothing of it.
#[tokio::test]
async fn l19_the_dialer_takes_an_answer_with_either_spelling() {
    for time in [
        "1719748800500000000",
        "2024-06-30T12:00:00.5Z",
        "2024-06-30T14:00:00.500+02:00",
    ] {
        let listener = socket().await;
        let redirect = node::Redirect(listener.local_addr().unwrap());
        let manager = builder(A, &[B]).dialer(redirect).build().unwrap();
        let mut raw = Raw::accept(&listener).await;
        raw.serve_upgrade_with(&[&format!("X-Minio-Time: {time}")])
            .await;
        let asked = raw.read_message().await.expect("no connect request");
        assert_eq!(asked.op, grid_proto::wire::Op::Connect, "{time}");
        raw.send_response(true, "").await;
        let link = manager.connection(B).unwrap();
        node::connected(&link).await;
        assert!(raw.round_trip().await.is_empty(), "{time}");
        assert_eq!(link.stats().failed_attempts, 0, "{time}");
        manager.shutdown(Duration::ZERO).await;
    }
}

#[tokio::test]
async fn a_token_may_be_asked_for_in_the_headers_already() {
    let auth = StaticToken::new("debug").check_headers(true);
    let manager = builder(B, &[A]).auth(auth).build().unwrap();
    let address = serve(&manager).await;
    for (token, status) in [
        (None, "HTTP/1.1 403 Forbidden"),
        (Some("wrong"), "HTTP/1.1 403 Forbidden"),
        (Some("debug"), "HTTP/1.1 101 Switching Protocols"),
    ] {
        let mut lines = upgrade_request(raw::PATH);
        lines.extend(token.map(|token| format!("Authorization: Bearer {token}")));
        let answer = ask(address, &lines).await;
        assert_eq!(answer[0], status, "{token:?}");
        if answer[0].contains("403") {
            assert_eq!(header(&answer, "Content-Length"), Some("0"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn h16_half_open_handshakes_are_bounded_and_end_in_time_pair() {
    let settings = node::settings().max_handshakes(1_000);
    let manager = builder(B, &[A]).settings(settings).build().unwrap();
    let (dials, served) = memory();
    let _serving = manager.serve_on(served).unwrap();

    // A third says nothing, a third stays inside its head, a third is upgraded and then silent.
    let began = Instant::now();
    let mut peers = Vec::new();
    for number in 0..1_000 {
        let mut peer = dials.connect(1_024);
        let head = format!("{}\r\n\r\n", upgrade_request(raw::PATH).join("\r\n"));
        match number % 3 {
            0 => {}
            1 => peer.write_all(b"GET /minio/gr").await.unwrap(),
            _ => {
                peer.write_all(head.as_bytes()).await.unwrap();
                let mut answer = [0; 12];
                peer.read_exact(&mut answer).await.unwrap();
                assert_eq!(&answer, b"HTTP/1.1 101");
            }
        }
        peers.push(peer);
    }
    // All of them are being attended to, so that there is no room for more.
    let mut rest = Vec::new();
    dials.connect(1_024).read_to_end(&mut rest).await.unwrap();
    assert!(rest.is_empty());
    assert_eq!(began.elapsed(), Duration::ZERO);

    for peer in &mut peers {
        peer.read_to_end(&mut rest).await.unwrap();
    }
    assert_eq!(began.elapsed(), Settings::new().handshake_timeout);

    // And then there is.
    let mut peer = dials.connect(1_024);
    peer.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let mut answer = [0; 12];
    peer.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 404");
}

#[tokio::test(start_paused = true)]
async fn a_head_that_drips_doesnt_last_longer() {
    let manager = builder(B, &[A]).build().unwrap();
    let (dials, served) = memory();
    let _serving = manager.serve_on(served).unwrap();
    let mut peer = dials.connect(1_024);
    let began = Instant::now();
    let head = upgrade_request(raw::PATH).join("\r\n");
    for byte in head.as_bytes() {
        // tidy: sleep: this peer is slow, under paused time
        tokio::time::sleep(Duration::from_millis(100)).await;
        if peer.write_all(&[*byte]).await.is_err() {
            break;
        }
    }
    let elapsed = began.elapsed();
    assert!(
        elapsed >= Duration::from_secs(5) && elapsed < Duration::from_secs(6),
        "{elapsed:?}"
    );
}
