//! A grid beside a service of tonic, on one port.

use std::{
    convert::Infallible,
    net::SocketAddr,
    task::{Context, Poll},
    time::Duration,
};

use axum::Router;
use bytes::{Buf, BufMut, Bytes};
use futures_util::future::BoxFuture;
use grid_transport::{LinkCause, Manager};
use http::uri::PathAndQuery;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{net::TcpStream, time::timeout};
use tonic::{
    Status,
    body::Body,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    server::NamedService,
    service::Routes,
    transport::{Server, server::TcpIncoming},
};
use tower::service_fn;
use tower_service::Service;

use crate::{
    listener,
    node::{A, B, Redirect, builder, down_because},
    node_b,
    raw::{Next, PATIENCE, Raw, upgrade_request},
    used,
};

/// Messages as they are, where generated code would have protobuf.
#[derive(Clone, Copy)]
struct Plain;

impl Codec for Plain {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Plain {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        into.put(item);
        Ok(())
    }
}

impl Decoder for Plain {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}

/// Answers each call with what it was told.
#[derive(Clone)]
struct Echo;

impl NamedService for Echo {
    const NAME: &'static str = "test.Echo";
}

impl Service<http::Request<Body>> for Echo {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async {
            let echo = service_fn(|told: tonic::Request<Bytes>| async move {
                Ok::<_, Status>(tonic::Response::new(told.into_inner()))
            });
            Ok(tonic::server::Grpc::new(Plain).unary(echo, request).await)
        })
    }
}

/// The services of tonic and the grid, as one router.
fn beside(b: &Manager) -> Router {
    let tonic = Routes::new(Echo).into_axum_router();
    tonic.route_service(b.path(), b.service())
}

/// A gRPC call over HTTP/2, on a connection of its own.
async fn grpc(address: SocketAddr, told: &'static str) -> Bytes {
    let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let http2 = hyper::client::conn::http2::handshake(TokioExecutor::new(), stream);
    let (requests, connection) = http2.await.unwrap();
    let connection = tokio::spawn(connection);
    let send =
        service_fn(move |request: http::Request<Body>| requests.clone().send_request(request));
    let mut client = Grpc::with_origin(send, format!("http://{address}").parse().unwrap());
    let path = PathAndQuery::from_static("/test.Echo/Tell");
    let call = client.unary(tonic::Request::new(told.into()), path, Plain);
    let answer = timeout(PATIENCE, call).await.expect("an answer in time");
    connection.abort();
    answer.unwrap().into_inner()
}

#[tokio::test]
async fn a_grid_stands_beside_the_routes_of_tonic() {
    let b = node_b();
    let (listener, address) = listener().await;
    let app = beside(&b);
    let server = tokio::spawn(async move { axum::serve(listener, app).await });
    let a = used(&b, address).await;
    assert_eq!(grpc(address, "with a grid").await, "with a grid");
    let link = a.connection(B).unwrap();
    assert_eq!(link.stats().reconnects, 0);
    // The services go on when the grid has ended.
    a.shutdown(Duration::ZERO).await;
    b.shutdown(Duration::ZERO).await;
    assert_eq!(grpc(address, "without one").await, "without one");
    server.abort();
}

/// It hands no connection over, also where it takes HTTP/1; whoever dials is told 101 and then cut off.
#[tokio::test]
async fn no_grid_stands_under_the_server_of_tonic_itself() {
    let b = node_b();
    let incoming = TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = incoming.local_addr().unwrap();
    let routes = Routes::from(beside(&b));
    let server = Server::builder().accept_http1(true).add_routes(routes);
    let server = tokio::spawn(server.serve_with_incoming(incoming));
    let mut raw = Raw::dial(address).await;
    raw.send_head(&upgrade_request(b.path())).await;
    let head = raw.read_head().await;
    assert!(head[0].contains("101"), "{head:?}");
    let end = timeout(PATIENCE, raw.next()).await;
    assert!(matches!(end, Ok(Next::End)), "{end:?}");
    let a = builder(A, &[B]).dialer(Redirect(address)).build().unwrap();
    let there = a.connection(B).unwrap();
    down_because(&there, |cause| {
        matches!(cause, LinkCause::Handshake(_)).then_some(())
    })
    .await;
    assert_eq!(grpc(address, "no grid").await, "no grid");
    server.abort();
}
