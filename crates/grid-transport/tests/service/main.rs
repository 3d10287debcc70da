#![cfg(feature = "http")]
//! A grid under a route of an HTTP server, by `Manager::service`: what is granted, what is refused, and whose the byte
//! stream is then.

mod beside;
mod beside_tonic;
mod early;
#[path = "../common/node.rs"]
mod node;
#[path = "../common/raw.rs"]
mod raw;

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::{Router, extract::ConnectInfo, routing::get};
use grid_transport::{BoxIo, GridService, HandlerId, Identified, Manager, PeerNames};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use node::{A, B, Redirect, builder, connected};
use raw::{Next, PATIENCE, Raw, header, upgrade_request};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::timeout,
};
use tower_service::Service as _;

const ECHO: HandlerId = HandlerId::new(9);
const IDLE: Duration = Duration::from_millis(100);

fn node_b() -> Manager {
    let builder = builder(B, &[A]);
    let echo = |request: grid_transport::Request| async move { Ok(request.into_payload()) };
    builder.single(ECHO, echo).build().unwrap()
}

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// A server of hyper alone, over byte streams of any type.
async fn hyper_server<T>(
    service: GridService,
    wrap: fn(TcpStream) -> T,
    hands_over: bool,
) -> (SocketAddr, JoinHandle<()>)
where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (listener, address) = listener().await;
    let server = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let service = service.clone();
            let service = service_fn(move |request| {
                let mut service = service.clone();
                service.call(request)
            });
            let mut http = hyper::server::conn::http1::Builder::new();
            http.timer(TokioTimer::new()).header_read_timeout(IDLE);
            let connection = http.serve_connection(TokioIo::new(wrap(stream)), service);
            if hands_over {
                tokio::spawn(connection.with_upgrades());
            } else {
                tokio::spawn(connection);
            }
        }
    });
    (address, server)
}

/// A node that dials there, its link up and used both ways.
async fn used(b: &Manager, address: SocketAddr) -> Manager {
    let a = builder(A, &[B])
        .single(ECHO, |request| async move { Ok(request.into_payload()) })
        .dialer(Redirect(address))
        .build()
        .unwrap();
    let (there, back) = (a.connection(B).unwrap(), b.connection(A).unwrap());
    connected(&there).await;
    connected(&back).await;
    for link in [&there, &back] {
        let answer = link.request(ECHO, "through the server").await.unwrap();
        assert_eq!(answer.as_slice(), b"through the server");
    }
    a
}

#[tokio::test]
async fn axum_serves_a_grid_beside_other_routes() {
    let b = node_b();
    let service = b.service().address(|extensions| {
        let ConnectInfo(from) = extensions.get::<ConnectInfo<SocketAddr>>()?;
        Some(from.ip().to_string())
    });
    let app = Router::new()
        .route("/health", get(|| async { "fine" }))
        .route_service(b.path(), service)
        .into_make_service_with_connect_info::<SocketAddr>();
    let (listener, address) = listener().await;
    let server = tokio::spawn(async move { axum::serve(listener, app).await });
    let a = used(&b, address).await;
    for (path, status) in [
        ("/health", "HTTP/1.1 200 OK"),
        ("/elsewhere", "HTTP/1.1 404 Not Found"),
        (b.path(), "HTTP/1.1 400 Bad Request"),
    ] {
        let mut raw = Raw::dial(address).await;
        raw.send_head(&[format!("GET {path} HTTP/1.1"), "Host: b".to_owned()])
            .await;
        assert_eq!(raw.read_head().await[0], status, "{path}");
    }
    // The others go on when the grid has ended, and it says so.
    a.shutdown(Duration::ZERO).await;
    b.shutdown(Duration::ZERO).await;
    let mut raw = Raw::dial(address).await;
    raw.send_head(&upgrade_request(b.path())).await;
    assert_eq!(raw.read_head().await[0], "HTTP/1.1 503 Service Unavailable");
    server.abort();
}

#[tokio::test]
async fn a_link_outlives_the_timeouts_of_the_server() {
    let b = node_b();
    let (address, server) = hyper_server(b.service(), |stream| stream, true).await;
    let a = used(&b, address).await;
    // tidy: sleep: the link is idle for ten times as long as the server waits for a request
    tokio::time::sleep(10 * IDLE).await;
    let link = a.connection(B).unwrap();
    assert_eq!(
        link.request(ECHO, "still").await.unwrap().as_slice(),
        b"still"
    );
    assert_eq!(link.stats().reconnects, 0);
    // A connection that is none of a grid does not.
    let mut other = Raw::dial(address).await;
    let end = timeout(PATIENCE, other.next()).await;
    assert!(matches!(end, Ok(Next::End)), "{end:?}");
    server.abort();
}

#[tokio::test]
async fn what_is_no_upgrade_is_told_so() {
    let b = node_b();
    let (address, server) = hyper_server(b.service(), |stream| stream, true).await;
    let without = |name: &str| -> Vec<String> {
        let lines = upgrade_request(raw::PATH).into_iter();
        lines.filter(|line| !line.starts_with(name)).collect()
    };
    for (lines, status) in [
        (without("Upgrade"), "HTTP/1.1 400 Bad Request"),
        (without("Connection"), "HTTP/1.1 400 Bad Request"),
        (without("Sec-WebSocket-Key"), "HTTP/1.1 400 Bad Request"),
        (
            without("Sec-WebSocket-Version"),
            "HTTP/1.1 426 Upgrade Required",
        ),
    ] {
        let mut raw = Raw::dial(address).await;
        raw.send_head(&lines).await;
        let head = raw.read_head().await;
        assert_eq!(head[0], status, "{lines:?}");
        if status.contains("426") {
            assert_eq!(header(&head, "Sec-WebSocket-Version"), Some("13"));
        }
    }
    server.abort();
}

#[tokio::test]
async fn headers_are_looked_at_by_the_nodes_auth() {
    let b = builder(B, &[A])
        .auth(node::Debug {
            refuse_headers: true,
            ..node::DEBUG
        })
        .build()
        .unwrap();
    let (address, server) = hyper_server(b.service(), |stream| stream, true).await;
    let mut raw = Raw::dial(address).await;
    raw.send_head(&upgrade_request(raw::PATH)).await;
    assert_eq!(raw.read_head().await[0], "HTTP/1.1 403 Forbidden");
    server.abort();
}

/// A byte stream of a type that the library can't know.
struct Strange(TcpStream);

impl AsyncRead for Strange {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Strange {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[tokio::test]
async fn a_byte_stream_of_any_type_will_do() {
    for service in [
        |b: &Manager| b.service(),
        |b: &Manager| b.service().over::<Strange>(),
    ] {
        let b = node_b();
        let (address, server) = hyper_server(service(&b), Strange, true).await;
        let a = used(&b, address).await;
        // More than any buffer on the way, so that writes are taken in parts.
        let payload = vec![7; 8 * 1024 * 1024];
        let link = b.connection(A).unwrap();
        let answer = link.request(ECHO, payload.clone()).await.unwrap();
        assert_eq!(answer.as_slice(), payload);
        a.shutdown(Duration::ZERO).await;
        b.shutdown(Duration::ZERO).await;
        server.abort();
    }
}

#[tokio::test]
async fn a_name_that_the_byte_stream_proves_counts() {
    let proven =
        |stream: TcpStream| Identified::new(Box::new(stream), PeerNames::new(["c.example"]));
    let b = node_b();
    let (address, server) = hyper_server(b.service(), proven, true).await;
    let (_raw, response) = Raw::connect(address, &raw::request(A, "debug")).await;
    assert!(!response.accepted);
    let reason = response.rejected_reason.to_string();
    assert!(reason.contains("does not prove"), "{reason}");
    server.abort();
}

/// One that is in a box is taken out as it is, and what it proves with it.
#[tokio::test]
async fn a_byte_stream_in_a_box_will_do() {
    let b = node_b();
    let boxed = |stream: TcpStream| Box::new(stream) as BoxIo;
    let (address, server) = hyper_server(b.service(), boxed, true).await;
    used(&b, address).await;
    server.abort();
    let proven = |stream: TcpStream| {
        Box::new(Identified::new(
            Box::new(stream),
            PeerNames::new(["c.example"]),
        )) as BoxIo
    };
    let (address, server) = hyper_server(b.service(), proven, true).await;
    let (_raw, response) = Raw::connect(address, &raw::request(A, "debug")).await;
    let reason = response.rejected_reason.to_string();
    assert!(reason.contains("does not prove"), "{reason}");
    server.abort();
}

/// Who was refused by the server itself, or let go without being handed over, takes no place for ever.
#[tokio::test]
async fn a_server_that_keeps_its_connections_costs_nothing() {
    let settings = node::settings().max_handshakes(1);
    let b = builder(B, &[A]).settings(settings).build().unwrap();
    let (address, server) = hyper_server(b.service(), |stream| stream, false).await;
    for _ in 0..3 {
        let mut raw = Raw::dial(address).await;
        raw.send_head(&upgrade_request(raw::PATH)).await;
        let head = raw.read_head().await;
        assert!(head[0].contains("101"), "{head:?}");
        let end = timeout(PATIENCE, raw.next()).await;
        assert!(matches!(end, Ok(Next::End)), "{end:?}");
    }
    server.abort();
}

#[test]
fn a_service_is_what_servers_want() {
    fn wanted<S, B>(_: &S)
    where
        S: tower_service::Service<http::Request<B>, Error = Infallible>
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send,
    {
    }
    let b = node_b_without_runtime();
    wanted::<_, axum::body::Body>(&b.service());
    wanted::<_, hyper::body::Incoming>(&b.service());
}

fn node_b_without_runtime() -> Manager {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async { node_b() })
}
