//! Where a message belongs is told to nodes of this project, and to nobody else.

mod common;

use std::collections::VecDeque;
use std::future::IntoFuture as _;
use std::time::SystemTime;

use common::{LONG, soon};
use futures_util::{SinkExt as _, StreamExt as _};
use grid_proto::wire::{ConnectRequest, ConnectResponse, Message, Op, Timestamp, unfold};
use grid_proto::{InstanceId, MuxId, local_dials};
use grid_transport::{Capacity, Connection, Context, HandlerError, HandlerId, Manager, NoAuth};
use grid_typed::{
    ManagerBuilderExt as _, Single, Streaming, TraceContext, Traced, TypedStreamCall, encode,
};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::{WebSocketStream, accept_async, client_async, tungstenite};

type Text = Traced<String>;

/// Answers in the trace that it was asked in.
static ASK: Single<Text, Text> = Single::new(HandlerId::new(200));
static TALK: Streaming<Text, Text, Text> =
    Streaming::new(HandlerId::new(201), Capacity::new(10, 10));

fn context() -> TraceContext {
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    parent.parse().unwrap()
}

/// A message that belongs to a trace.
fn traced(text: &str) -> Text {
    Traced::new(text.to_owned()).within(context())
}

async fn answer(request: Text, _: Context) -> Result<Text, HandlerError> {
    Ok(traced(request.value()))
}

async fn talk(init: Text, mut call: TypedStreamCall<Text, Text>) -> Result<(), HandlerError> {
    assert!(init.context().is_some());
    while let Some(item) = call.recv().await {
        let item = item?;
        assert!(item.context().is_some());
        call.send(&item).await?;
    }
    Ok(())
}

fn node(local: &str, other: &str) -> Manager {
    Manager::builder(local)
        .peers([local, other])
        .auth(NoAuth)
        .typed(&ASK, answer)
        .typed_stream(&TALK, talk)
        .build()
        .unwrap()
}

async fn named() -> (TcpListener, String) {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let name = format!("http://{}", socket.local_addr().unwrap());
    (socket, name)
}

/// Two names with their sockets, of which the first dials.
async fn names() -> [(TcpListener, String); 2] {
    let (one, other) = (named().await, named().await);
    match local_dials(&one.1, &other.1) {
        true => [one, other],
        false => [other, one],
    }
}

async fn connected(manager: &Manager, other: &str) -> Connection {
    let peer = manager.connection(other).unwrap();
    soon(peer.connected()).await.unwrap();
    peer
}

#[tokio::test]
async fn nodes_of_ours_tell_each_other_both_ways() {
    let [(first, one), (second, other)] = names().await;
    let nodes = [node(&one, &other), node(&other, &one)];
    nodes[0].serve(first).unwrap();
    nodes[1].serve(second).unwrap();
    for (node, name) in [(&nodes[0], &other), (&nodes[1], &one)] {
        let peer = connected(node, name).await;
        assert!(peer.remote_is_ours());
        let said = ASK.call(&peer, &traced("a")).timeout(LONG).await.unwrap();
        assert_eq!(said, traced("a"));
        let mut stream = soon(TALK.open(&peer, &traced("a")).into_future())
            .await
            .unwrap();
        soon(stream.send(&traced("b"))).await.unwrap();
        assert_eq!(soon(stream.recv()).await.unwrap().unwrap(), traced("b"));
        stream.finish();
        assert!(soon(stream.recv()).await.is_none());
    }
    for node in &nodes {
        node.shutdown(LONG).await;
    }
}

/// A node that speaks the protocol and has no key `X`.
struct Stranger {
    socket: WebSocketStream<TcpStream>,
    /// What came merged with what was taken.
    came: VecDeque<Message>,
}

impl Stranger {
    async fn accept(socket: &TcpListener) -> Self {
        let (stream, _) = soon(socket.accept()).await.unwrap();
        let mut stranger = Self::over(soon(accept_async(stream)).await.unwrap());
        stranger.next(Op::Connect).await;
        let mut payload = Vec::new();
        ConnectResponse {
            id: InstanceId::new([0xb0; 16]),
            accepted: true,
            rejected_reason: "".into(),
            extra: None,
        }
        .encode(&mut payload);
        stranger.send(Op::ConnectResponse, payload).await;
        stranger
    }

    async fn dial(name: &str, as_node: &str) -> Self {
        let address = name.strip_prefix("http://").unwrap();
        let stream = soon(TcpStream::connect(address)).await.unwrap();
        let url = format!("ws://{address}/minio/grid/v1");
        let (stream, _) = soon(client_async(url, stream)).await.unwrap();
        let mut stranger = Self::over(stream);
        let mut payload = Vec::new();
        ConnectRequest {
            id: InstanceId::new([0xa0; 16]),
            host: as_node.into(),
            time: Timestamp::from(SystemTime::now()),
            token: "".into(),
            extra: None,
        }
        .encode(&mut payload);
        stranger.send(Op::Connect, payload).await;
        let said = stranger.next(Op::ConnectResponse).await;
        let said = ConnectResponse::decode(&said.payload).unwrap();
        assert!(said.accepted, "{said:?}");
        stranger
    }

    fn over(socket: WebSocketStream<TcpStream>) -> Self {
        Self {
            socket,
            came: VecDeque::new(),
        }
    }

    async fn send(&mut self, op: Op, payload: Vec<u8>) {
        let message = Message {
            payload: payload.into(),
            ..Message::new(op, MuxId::CONNECTION)
        };
        self.send_message(&message).await;
    }

    async fn send_message(&mut self, message: &Message) {
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        let frame = tungstenite::Message::binary(bytes);
        soon(self.socket.send(frame)).await.unwrap();
    }

    /// The next of this kind; what comes before it is passed over.
    async fn next(&mut self, op: Op) -> Message {
        loop {
            while let Some(message) = self.came.pop_front() {
                if message.op == op {
                    return message;
                }
            }
            let frame = soon(self.socket.next()).await.unwrap().unwrap();
            if let tungstenite::Message::Binary(bytes) = frame {
                let came = unfold(bytes).map(Result::unwrap);
                self.came.extend(came);
            }
        }
    }
}

fn plain(text: &str) -> Vec<u8> {
    encode(&text.to_owned()).unwrap()
}

#[tokio::test]
async fn a_node_of_others_is_asked_as_if_there_were_no_trace() {
    let [(first, one), (second, other)] = names().await;
    let node = node(&one, &other);
    node.serve(first).unwrap();
    let mut stranger = Stranger::accept(&second).await;
    let peer = connected(&node, &other).await;
    assert!(!peer.remote_is_ours());
    let asked = tokio::spawn(ASK.call(&peer, &traced("request")).into_future());
    let message = stranger.next(Op::Request).await;
    assert_eq!(&message.payload[..], plain("request"));
    asked.abort();
    let stream = soon(TALK.open(&peer, &traced("init")).into_future())
        .await
        .unwrap();
    let opened = stranger.next(Op::ConnectMux).await;
    assert_eq!(&opened.payload[..], plain("init"));
    stranger
        .send_message(&Message::new(Op::AckMux, opened.mux))
        .await;
    soon(stream.send(&traced("item"))).await.unwrap();
    let item = stranger.next(Op::MuxClientMsg).await;
    assert_eq!(&item.payload[..], plain("item"));
    drop(stream);
    node.shutdown(LONG).await;
}

#[tokio::test]
async fn a_node_of_others_is_answered_as_if_there_were_no_trace() {
    let [(first, one), (second, other)] = names().await;
    drop(first);
    let node = node(&other, &one);
    node.serve(second).unwrap();
    let mut stranger = Stranger::dial(&other, &one).await;
    let mut request = Message::new(Op::Request, MuxId::new(7));
    request.handler = ASK.id();
    request.payload = plain("x").into();
    stranger.send_message(&request).await;
    let said = stranger.next(Op::Response).await;
    assert_eq!(said.mux, MuxId::new(7));
    assert_eq!(&said.payload[..], plain("x"));
    node.shutdown(LONG).await;
}

/// A node of others that comes in the place of one of ours is not taken for it.
#[tokio::test]
async fn while_the_link_is_down_nobody_is_taken_for_one_of_ours() {
    let [(first, one), (second, other)] = names().await;
    let node = node(&one, &other);
    node.serve(first).unwrap();
    let ours = self::node(&other, &one);
    ours.serve(second).unwrap();
    let peer = connected(&node, &other).await;
    assert!(peer.remote_is_ours());
    let mut states = peer.watch();
    ours.shutdown(LONG).await;
    soon(states.wait_for(|state| !state.is_connected()))
        .await
        .unwrap();
    assert!(!peer.remote_is_ours());
    let call = ASK
        .call(&peer, &traced("between"))
        .timeout(LONG)
        .wait_ready();
    let asked = tokio::spawn(call.into_future());
    let again = TcpListener::bind(other.strip_prefix("http://").unwrap());
    let mut stranger = Stranger::accept(&soon(again).await.unwrap()).await;
    let message = stranger.next(Op::Request).await;
    assert_eq!(&message.payload[..], plain("between"));
    asked.abort();
    node.shutdown(LONG).await;
}

/// Where nothing is known of the remote yet it may be anybody.
#[tokio::test]
async fn before_the_first_handshake_nobody_is_taken_for_one_of_ours() {
    let [(first, one), (second, other)] = names().await;
    let node = node(&one, &other);
    node.serve(first).unwrap();
    let peer = node.connection(&other).unwrap();
    assert!(!peer.remote_is_ours());
    let call = ASK.call(&peer, &traced("early")).timeout(LONG).wait_ready();
    let asked = tokio::spawn(call.into_future());
    let mut stranger = Stranger::accept(&second).await;
    let message = stranger.next(Op::Request).await;
    assert_eq!(&message.payload[..], plain("early"));
    asked.abort();
    node.shutdown(LONG).await;
}
