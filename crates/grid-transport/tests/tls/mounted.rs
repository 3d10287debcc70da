//! A grid under a route of a server of the application that speaks TLS.

use axum::{Router, routing::get};
use grid_transport::{BoxIo, LinkCause};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::net::TcpListener;

use crate::{
    ACCEPTOR, DIALER, ECHO,
    certificates::{Authority, tls},
    node::{builder, connected, down_because, link},
};

#[tokio::test]
async fn a_grid_is_mounted_on_a_server_that_speaks_tls_and_knows_names() {
    let authority = Authority::new();
    let of_acceptor = tls(&authority.certify(&[ACCEPTOR]), &authority)
        .mutual()
        .build()
        .unwrap();
    let socket = TcpListener::bind((ACCEPTOR, 0)).await.unwrap();
    let acceptor_name = format!("https://{}", socket.local_addr().unwrap());
    let dialer_name = (1..=u16::MAX)
        .map(|port| format!("https://{DIALER}:{port}"))
        .find(|name| grid_proto::local_dials(name, &acceptor_name))
        .unwrap();
    let acceptor = builder(&acceptor_name, &[&*dialer_name])
        .single(ECHO, |request| async move { Ok(request.into_payload()) })
        .build()
        .unwrap();
    let app = Router::new()
        .route("/health", get(|| async { "fine" }))
        .route_service(acceptor.path(), acceptor.service());
    let server = tokio::spawn(async move {
        loop {
            let (stream, _) = socket.accept().await.unwrap();
            let (tls, app) = (of_acceptor.clone(), app.clone());
            tokio::spawn(async move {
                let stream: BoxIo = Box::new(stream);
                if let Ok(stream) = tls.greeted(stream).await {
                    let http = auto::Builder::new(TokioExecutor::new());
                    let service = TowerToHyperService::new(app);
                    let served = http.serve_connection_with_upgrades(TokioIo::new(stream), service);
                    drop(served.await);
                }
            });
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
    dialer.shutdown(std::time::Duration::ZERO).await;

    let another = dialed_by("127.0.0.9");
    down_because(&link(&another, &acceptor), |cause| {
        matches!(cause, LinkCause::Rejected(_)).then(|| {
            assert!(cause.to_string().contains("does not prove"), "{cause}");
        })
    })
    .await;
    another.shutdown(std::time::Duration::ZERO).await;
    acceptor.shutdown(std::time::Duration::ZERO).await;
    server.abort();
}
