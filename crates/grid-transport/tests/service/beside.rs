//! A grid beside the other routes of a plain server, and the timeouts that these are under.

use std::{convert::Infallible, future::pending, net::SocketAddr, time::Duration};

use axum::{Router, error_handling::HandleErrorLayer, routing::get};
use grid_transport::GridService;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::{
    body::{Bytes, Incoming},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::{net::TcpListener, time::timeout};
use tower::{BoxError, ServiceBuilder, timeout::TimeoutLayer};
use tower_service::Service as _;

use crate::{
    ECHO, IDLE, listener,
    node::B,
    node_b,
    raw::{Next, PATH, PATIENCE, Raw, header, upgrade_request},
    used,
};

/// What is under each path of a server that has nothing but hyper.
async fn route(
    mut grid: GridService,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.uri().path() == PATH {
        return grid.call(request).await;
    }
    let (status, body) = match request.uri().path() {
        "/health" => (StatusCode::OK, "fine"),
        _ => (StatusCode::NOT_FOUND, ""),
    };
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    Ok(response)
}

async fn hyper_routes(grid: GridService, listener: TcpListener) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let grid = grid.clone();
        let service = service_fn(move |request| route(grid.clone(), request));
        let mut http = hyper::server::conn::http1::Builder::new();
        http.timer(TokioTimer::new());
        let connection = http.serve_connection(TokioIo::new(stream), service);
        tokio::spawn(connection.with_upgrades());
    }
}

/// The status line and the body that a request without an upgrade gets.
async fn got(address: SocketAddr, path: &str) -> (String, String) {
    let mut raw = Raw::dial(address).await;
    raw.send_head(&[format!("GET {path} HTTP/1.1"), "Host: b".to_owned()])
        .await;
    let head = raw.read_head().await;
    let len = header(&head, "Content-Length").map_or(0, |len| len.parse().unwrap());
    let body = raw.read_body(len).await;
    (head[0].clone(), String::from_utf8(body).unwrap())
}

#[tokio::test]
async fn hyper_alone_serves_a_grid_beside_other_routes() {
    let b = node_b();
    assert_eq!(b.path(), PATH);
    let (listener, address) = listener().await;
    let server = tokio::spawn(hyper_routes(b.service(), listener));
    let a = used(&b, address).await;
    let fine = ("HTTP/1.1 200 OK".to_owned(), "fine".to_owned());
    // Beside the grid, while its link is up.
    assert_eq!(got(address, "/health").await, fine);
    let elsewhere = got(address, "/elsewhere").await;
    assert_eq!(elsewhere.0, "HTTP/1.1 404 Not Found");
    let no_upgrade = got(address, PATH).await;
    assert_eq!(no_upgrade.0, "HTTP/1.1 400 Bad Request");
    let mut raw = Raw::dial(address).await;
    raw.send_head(&upgrade_request("/elsewhere")).await;
    assert_eq!(raw.read_head().await[0], "HTTP/1.1 404 Not Found");
    let link = a.connection(B).unwrap();
    let answer = link.request(ECHO, "still").await.unwrap();
    assert_eq!(answer.as_slice(), b"still");
    assert_eq!(link.stats().reconnects, 0);
    // The others go on when the grid has ended, and it says so.
    a.shutdown(Duration::ZERO).await;
    b.shutdown(Duration::ZERO).await;
    assert_eq!(got(address, "/health").await, fine);
    let mut raw = Raw::dial(address).await;
    raw.send_head(&upgrade_request(PATH)).await;
    assert_eq!(raw.read_head().await[0], "HTTP/1.1 503 Service Unavailable");
    server.abort();
}

/// Routes of axum with a limit on how long an answer may take, on a server with one on how long a request may.
async fn impatient(app: Router, listener: TcpListener) {
    let too_late = HandleErrorLayer::new(|_: BoxError| async { StatusCode::REQUEST_TIMEOUT });
    let limit = ServiceBuilder::new()
        .layer(too_late)
        .layer(TimeoutLayer::new(IDLE));
    let app = app.layer(limit);
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let service = TowerToHyperService::new(app.clone());
        tokio::spawn(async move {
            let mut http = auto::Builder::new(TokioExecutor::new());
            http.http1()
                .timer(TokioTimer::new())
                .header_read_timeout(IDLE);
            let stream = TokioIo::new(stream);
            drop(http.serve_connection_with_upgrades(stream, service).await);
        });
    }
}

#[tokio::test]
async fn a_link_outlives_the_timeouts_of_axum_and_of_its_layers() {
    let b = node_b();
    let app = Router::new()
        .route("/slow", get(pending::<()>))
        .route_service(PATH, b.service());
    let (listener, address) = listener().await;
    let server = tokio::spawn(impatient(app, listener));
    let a = used(&b, address).await;
    // While the link is idle each of these waits until the server has had enough of it.
    for _ in 0..5 {
        let mut slow = Raw::dial(address).await;
        slow.send_head(&["GET /slow HTTP/1.1", "Host: b"]).await;
        assert_eq!(slow.read_head().await[0], "HTTP/1.1 408 Request Timeout");
        let mut half = Raw::dial(address).await;
        half.send_bytes(b"GET /slow HTTP/1.1\r\nHost: b\r\n").await;
        let end = timeout(PATIENCE, half.next()).await;
        assert!(matches!(end, Ok(Next::End)), "{end:?}");
    }
    let link = a.connection(B).unwrap();
    let answer = link.request(ECHO, "still").await.unwrap();
    assert_eq!(answer.as_slice(), b"still");
    assert_eq!(link.stats().reconnects, 0);
    a.shutdown(Duration::ZERO).await;
    b.shutdown(Duration::ZERO).await;
    server.abort();
}
