//! What a server has read behind the head of an upgrade, which is the grid's.

use std::net::SocketAddr;

use axum::Router;
use grid_proto::wire::{ConnectResponse, Flags, Message, Op, unfold};
use grid_transport::{BoxIo, GridService, Identified, Manager, MuxId, PeerNames};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    task::JoinHandle,
};

use crate::{
    ECHO, Strange, hyper_server, listener,
    node::A,
    node_b,
    raw::{ACCEPT, Frame, Next, PATH, Raw, header, request, upgrade_request},
};

/// A server that tells HTTP/1 and 2 apart, as that of axum does, over byte streams of any type.
async fn auto_server<T>(grid: GridService, wrap: fn(TcpStream) -> T) -> (SocketAddr, JoinHandle<()>)
where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (listener, address) = listener().await;
    let app = Router::new().route_service(PATH, grid);
    let server = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let service = TowerToHyperService::new(app.clone());
            let stream = TokioIo::new(wrap(stream));
            tokio::spawn(async move {
                let http = auto::Builder::new(TokioExecutor::new());
                drop(http.serve_connection_with_upgrades(stream, service).await);
            });
        }
    });
    (address, server)
}

/// In one write the upgrade, the connect request, and a call that waits for no answer to either.
async fn all_at_once(address: SocketAddr, payload: &[u8]) -> (ConnectResponse, Vec<u8>) {
    let mut asked = Vec::new();
    request(A, "debug").encode(&mut asked);
    let connect = Message {
        payload: asked.into(),
        ..Message::new(Op::Connect, MuxId::CONNECTION)
    };
    let call = Message {
        handler: ECHO,
        flags: Flags::EOF,
        payload: payload.to_vec().into(),
        ..Message::new(Op::Request, MuxId::new(1))
    };
    let mut bytes = format!("{}\r\n\r\n", upgrade_request(PATH).join("\r\n")).into_bytes();
    for message in [connect, call] {
        let mut encoded = Vec::new();
        message.encode(&mut encoded);
        bytes.extend(Frame::binary(encoded, true).encode());
    }
    let mut raw = Raw::dial(address).await;
    raw.send_bytes(&bytes).await;
    let head = raw.read_head().await;
    assert_eq!(head[0], "HTTP/1.1 101 Switching Protocols", "{head:?}");
    assert_eq!(header(&head, "Sec-WebSocket-Accept"), Some(ACCEPT));
    let response = raw.read_response().await.expect("an answer to the connect");
    loop {
        let Next::Frame(frame) = raw.next().await else {
            panic!("the connection ended without an answer to the call");
        };
        for message in unfold(frame.payload.into()) {
            let message = message.unwrap();
            if message.op == Op::Response {
                assert_eq!(message.mux, MuxId::new(1));
                return (response, message.payload.to_vec());
            }
        }
    }
}

async fn keeps_what_was_read(b: Manager, server: (SocketAddr, JoinHandle<()>), which: &str) {
    let (address, server) = server;
    // The server reads the first whole; of the second some, and the grid the rest.
    for payload in [b"ahead".to_vec(), vec![7; 300_000]] {
        let (response, answer) = all_at_once(address, &payload).await;
        assert!(response.accepted, "{which}: {response:?}");
        assert!(
            answer == payload,
            "{which}: {} bytes came back",
            answer.len()
        );
    }
    b.shutdown(std::time::Duration::ZERO).await;
    server.abort();
}

fn boxed(stream: TcpStream) -> BoxIo {
    Box::new(stream)
}

fn proven(stream: TcpStream) -> Identified {
    Identified::new(Box::new(stream), PeerNames::new(["node-a"]))
}

#[tokio::test]
async fn what_hyper_has_read_behind_the_head_is_not_lost() {
    let b = node_b();
    let server = hyper_server(b.service(), |stream| stream, true).await;
    keeps_what_was_read(b, server, "TCP").await;
    let b = node_b();
    let server = hyper_server(b.service(), boxed, true).await;
    keeps_what_was_read(b, server, "in a box").await;
    let b = node_b();
    let server = hyper_server(b.service(), proven, true).await;
    keeps_what_was_read(b, server, "proven").await;
    let b = node_b();
    let server = hyper_server(b.service().over::<Strange>(), Strange, true).await;
    keeps_what_was_read(b, server, "strange, but told of").await;
    let b = node_b();
    let server = hyper_server(b.service(), Strange, true).await;
    keeps_what_was_read(b, server, "strange").await;
}

#[tokio::test]
async fn what_axum_has_read_behind_the_head_is_not_lost() {
    let b = node_b();
    let app = Router::new().route_service(PATH, b.service());
    let (listener, address) = listener().await;
    let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    keeps_what_was_read(b, (address, server), "axum").await;
}

#[tokio::test]
async fn what_a_server_of_both_versions_has_read_behind_the_head_is_not_lost() {
    let b = node_b();
    let server = auto_server(b.service(), |stream| stream).await;
    keeps_what_was_read(b, server, "TCP").await;
    let b = node_b();
    let server = auto_server(b.service(), boxed).await;
    keeps_what_was_read(b, server, "in a box").await;
    let b = node_b();
    let server = auto_server(b.service().over::<Strange>(), Strange).await;
    keeps_what_was_read(b, server, "strange, but told of").await;
    let b = node_b();
    let server = auto_server(b.service(), Strange).await;
    keeps_what_was_read(b, server, "strange").await;
}
