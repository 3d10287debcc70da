//! A grid under a route of a server of the application that speaks TLS.

use std::{convert::Infallible, future::Future, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, routing::get};
use grid_transport::{BoxIo, LinkCause, tls::Tls};
use http_body_util::Full;
use hyper::{Request, Response, body::Bytes, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
    service::TowerToHyperService,
};
use rustls::{ClientConfig, RootCertStore};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
    time::timeout,
};
use tokio_rustls::TlsConnector;
use tower_service::Service as _;

use crate::{
    ACCEPTOR, DIALER, ECHO,
    certificates::{Authority, Certified, tls},
    dialer_of,
    node::{builder, connected, down_because, link},
    raw::PATIENCE,
};

/// What a client of HTTP over TLS, with that certificate, gets under a path: all of the answer.
async fn got(address: SocketAddr, path: &str, own: &Certified, trusted: &Authority) -> String {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.root.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(own.chain(), own.key())
        .unwrap();
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ACCEPTOR.try_into().unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    let mut stream = connector.connect(name, stream).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A server may end the connection without TLS's goodbye; what it has said is there all the same.
    let read = timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    drop(read.expect("the answer ends in time"));
    String::from_utf8(answer).unwrap()
}

/// Speaks TLS on what comes to the socket, and has `each` serve it; all of that ends with the server.
fn serves<F>(
    socket: TcpListener,
    tls: Tls,
    each: impl Fn(BoxIo) -> F + Clone + Send + 'static,
) -> JoinHandle<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    tokio::spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            let (stream, _) = socket.accept().await.unwrap();
            let (tls, each) = (tls.clone(), each.clone());
            connections.spawn(async move {
                if let Ok(stream) = tls.greeted(Box::new(stream)).await {
                    each(stream).await;
                }
            });
        }
    })
}

#[tokio::test]
async fn a_grid_is_mounted_on_a_server_that_speaks_tls_and_knows_names() {
    let authority = Authority::new();
    let of_acceptor = tls(&authority.certify(&[ACCEPTOR]), &authority)
        .mutual()
        .build()
        .unwrap();
    let socket = TcpListener::bind((ACCEPTOR, 0)).await.unwrap();
    let address = socket.local_addr().unwrap();
    let acceptor_name = format!("https://{address}");
    let dialer_name = dialer_of(&acceptor_name);
    let acceptor = builder(&acceptor_name, &[&*dialer_name])
        .single(ECHO, |request| async move { Ok(request.into_payload()) })
        .build()
        .unwrap();
    let app = Router::new()
        .route("/health", get(|| async { "fine" }))
        .route_service(acceptor.path(), acceptor.service());
    let server = serves(socket, of_acceptor, move |stream| {
        let service = TowerToHyperService::new(app.clone());
        async move {
            let http = auto::Builder::new(TokioExecutor::new());
            let served = http.serve_connection_with_upgrades(TokioIo::new(stream), service);
            drop(served.await);
        }
    });
    let dialed_by = |host: &str| {
        let tls = tls(&authority.certify(&[host]), &authority)
            .build()
            .unwrap();
        builder(&dialer_name, &[&*acceptor_name])
            .dialer(tls.dialer())
            .build()
            .unwrap()
    };
    let dialer = dialed_by(DIALER);
    let peer = link(&dialer, &acceptor);
    connected(&peer).await;
    let answer = peer.request(ECHO, "through the server").await.unwrap();
    assert_eq!(answer.as_slice(), b"through the server");
    // Beside the grid, while its link is up.
    let own = authority.certify(&[DIALER]);
    let health = got(address, "/health", &own, &authority).await;
    assert!(
        health.starts_with("HTTP/1.1 200 OK") && health.ends_with("fine"),
        "{health}"
    );
    let elsewhere = got(address, "/elsewhere", &own, &authority).await;
    assert!(
        elsewhere.starts_with("HTTP/1.1 404 Not Found"),
        "{elsewhere}"
    );
    dialer.shutdown(Duration::ZERO).await;

    let another = dialed_by("127.0.0.9");
    down_because(&link(&another, &acceptor), |cause| {
        matches!(cause, LinkCause::Rejected(_)).then(|| {
            assert!(cause.to_string().contains("does not prove"), "{cause}");
        })
    })
    .await;
    another.shutdown(Duration::ZERO).await;
    acceptor.shutdown(Duration::ZERO).await;
    server.abort();
}

#[tokio::test]
async fn hyper_alone_serves_a_grid_over_tls_beside_what_else_it_has() {
    let authority = Authority::new();
    let of_acceptor = tls(&authority.certify(&[ACCEPTOR]), &authority)
        .build()
        .unwrap();
    let socket = TcpListener::bind((ACCEPTOR, 0)).await.unwrap();
    let address = socket.local_addr().unwrap();
    let acceptor_name = format!("https://{address}");
    let dialer_name = dialer_of(&acceptor_name);
    let echo = |request: grid_transport::Request| async move { Ok(request.into_payload()) };
    let acceptor = builder(&acceptor_name, &[&*dialer_name])
        .single(ECHO, echo)
        .build()
        .unwrap();
    let (grid, path) = (acceptor.service(), acceptor.path().to_owned());
    let server = serves(socket, of_acceptor, move |stream| {
        let (grid, path) = (grid.clone(), path.clone());
        let service = service_fn(move |request: Request<hyper::body::Incoming>| {
            let (mut grid, is_grid) = (grid.clone(), request.uri().path() == path);
            async move {
                if is_grid {
                    return grid.call(request).await;
                }
                let beside = Full::new(Bytes::from_static(b"beside the grid"));
                Ok::<_, Infallible>(Response::new(beside))
            }
        });
        async move {
            let mut http = hyper::server::conn::http1::Builder::new();
            http.timer(TokioTimer::new());
            let connection = http.serve_connection(TokioIo::new(stream), service);
            drop(connection.with_upgrades().await);
        }
    });
    let of_dialer = tls(&authority.certify(&[DIALER]), &authority)
        .build()
        .unwrap();
    let dialer = builder(&dialer_name, &[&*acceptor_name])
        .single(ECHO, echo)
        .dialer(of_dialer.dialer())
        .build()
        .unwrap();
    for peer in [link(&dialer, &acceptor), link(&acceptor, &dialer)] {
        connected(&peer).await;
        // More than any buffer on the way, so that writes are taken in parts.
        let payload = vec![7; 1024 * 1024];
        let answer = peer.request(ECHO, payload.clone()).await.unwrap();
        assert_eq!(answer.as_slice(), payload);
    }
    let own = authority.certify(&[DIALER]);
    let beside = got(address, "/", &own, &authority).await;
    assert!(
        beside.starts_with("HTTP/1.1 200 OK") && beside.ends_with("beside the grid"),
        "{beside}"
    );
    let no_upgrade = got(address, acceptor.path(), &own, &authority).await;
    assert!(
        no_upgrade.starts_with("HTTP/1.1 400 Bad Request"),
        "{no_upgrade}"
    );
    dialer.shutdown(Duration::ZERO).await;
    acceptor.shutdown(Duration::ZERO).await;
    server.abort();
}
