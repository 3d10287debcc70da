//! L21: a grid under a path of an HTTP server that the application has anyway.

use std::{convert::Infallible, net::SocketAddr, time::Duration};

use bytes::Bytes;
use grid_transport::Manager;
use http_body_util::Empty;
use hyper::{Request, Response, StatusCode, body::Incoming, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    time::{Instant, sleep, timeout},
};
use tungstenite::handshake::derive_accept_key;

use crate::{
    node::{A, B, Redirect, builder, connected},
    probe::*,
    raw::{Next, PATIENCE, Raw},
    scale::scaled,
};

/// Answers an upgrade, and hands the connection in once the server has let go of it.
fn answer(
    manager: &Manager,
    from: SocketAddr,
    mut request: Request<Incoming>,
) -> Response<Empty<Bytes>> {
    let mut response = Response::new(Empty::new());
    let key = request.headers().get("Sec-WebSocket-Key");
    let (true, Some(key)) = (request.uri().path() == manager.path(), key) else {
        *response.status_mut() = StatusCode::NOT_FOUND;
        return response;
    };
    let accept = derive_accept_key(key.as_bytes());
    let manager = manager.clone();
    tokio::spawn(async move {
        let upgraded = hyper::upgrade::on(&mut request).await.unwrap();
        let parts = upgraded.downcast::<TokioIo<TcpStream>>().unwrap();
        let stream = Box::new(parts.io.into_inner());
        manager.serve_upgraded(stream, parts.read_buf, &from.ip().to_string());
    });
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert("Upgrade", "websocket".parse().unwrap());
    headers.insert("Connection", "Upgrade".parse().unwrap());
    headers.insert("Sec-WebSocket-Accept", accept.parse().unwrap());
    response
}

/// An HTTP server that closes connections which are idle for that long.
async fn http_server(manager: Manager, idle: Duration) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, from) = listener.accept().await.unwrap();
            let manager = manager.clone();
            let service = service_fn(move |request| {
                let response = answer(&manager, from, request);
                async move { Ok::<_, Infallible>(response) }
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(idle)
                .serve_connection(TokioIo::new(stream), service)
                .with_upgrades();
            tokio::spawn(async move {
                let _ = connection.await;
            });
        }
    });
    address
}

#[tokio::test]
async fn l21_a_mounted_link_outlives_the_servers_idle_timeout() {
    ends(async {
        let idle = Duration::from_millis(scaled("L21", "ms of idle timeout", 100, 2_000));
        let b = probe(builder(B, &[A])).build().unwrap();
        let address = http_server(b.clone(), idle).await;
        let a = probe(builder(A, &[B]))
            .dialer(Redirect(address))
            .build()
            .unwrap();
        let (there, back) = (a.connection(B).unwrap(), b.connection(A).unwrap());
        connected(&there).await;
        connected(&back).await;
        // No byte goes over the link meanwhile: its pings are an hour apart.
        let quiet = there.stats();
        let began = Instant::now();
        // tidy: sleep: the link is idle for 30 times the timeout
        sleep(30 * idle).await;
        let stats = there.stats();
        let quiet_for = began.elapsed();
        assert!(quiet_for >= 30 * idle, "{quiet_for:?} of {idle:?}");
        assert_eq!(
            (stats.bytes_in, stats.bytes_out),
            (quiet.bytes_in, quiet.bytes_out)
        );
        assert!(there.state().is_connected(), "{}", there.state());
        for peer in [&there, &back] {
            assert_eq!(text(&peer.request(ECHO, "after").await.unwrap()), "after");
            assert_eq!(peer.stats().reconnects, 0);
        }

        // A connection that is none of a grid is closed by that timeout.
        let mut other = Raw::dial(address).await;
        let began = Instant::now();
        other
            .send_head(&["GET /elsewhere HTTP/1.1", "Host: b"])
            .await;
        assert!(other.read_head().await[0].contains("404"));
        let end = timeout(PATIENCE, other.next()).await;
        assert!(matches!(end, Ok(Next::End)), "{end:?}");
        let closed_after = began.elapsed();
        assert!(closed_after >= idle / 2, "{closed_after:?} of {idle:?}");

        // The node takes nothing more once it shuts down.
        a.shutdown(Duration::ZERO).await;
        b.shutdown(Duration::ZERO).await;
        let (ours, _theirs) = tokio::io::duplex(64);
        assert!(!b.serve_upgraded(Box::new(ours), Bytes::new(), "somewhere"));
    })
    .await;
}

/// What a client sends right behind its request comes with the connection.
#[tokio::test]
async fn l21_bytes_behind_the_upgrade_are_not_lost() {
    ends(async {
        let b = probe(builder(B, &[A])).build().unwrap();
        let address = http_server(b.clone(), PATIENCE).await;
        let mut raw = Raw::dial(address).await;
        let mut first = format!(
            "{}\r\n\r\n",
            crate::raw::upgrade_request(b.path()).join("\r\n")
        )
        .into_bytes();
        let connect = grid_proto::conn::handshake::connect(&crate::raw::request(A, "debug"));
        first.extend(crate::raw::Frame::binary(connect, true).encode());
        raw.send_bytes(&first).await;
        assert!(raw.read_head().await[0].contains("101"));
        assert!(raw.read_response().await.unwrap().accepted);
        assert!(raw.round_trip().await.is_empty());
        b.shutdown(Duration::ZERO).await;
    })
    .await;
}
