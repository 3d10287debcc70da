//! Whoever has queued much writes it at once, and what the system does not take is left to the writer.

use std::{
    future::{Future, IntoFuture},
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use grid_proto::local_dials;
use grid_transport::{
    BoxIo, CallError, Connection, Dialer, HandlerId, Manager, NoAuth, Payload, Request, Settings,
    Target, testing,
};
use socket2::SockRef;
use tokio::{
    net::{TcpListener, TcpStream},
    time::timeout,
};

const ECHO: HandlerId = HandlerId::new(201);
/// Far longer than anything takes.
const PATIENCE: Duration = Duration::from_secs(20);

type Calls = Vec<Pin<Box<dyn Future<Output = Result<Payload, CallError>> + Send>>>;

/// The system takes little at once.
struct SmallBuffers;

impl Dialer for SmallBuffers {
    fn dial<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, io::Result<BoxIo>> {
        Box::pin(async move {
            let tcp = TcpStream::connect((target.host(), target.port())).await?;
            SockRef::from(&tcp).set_send_buffer_size(4_096)?;
            Ok(Box::new(tcp) as BoxIo)
        })
    }
}

/// Two nodes over TCP on the runtime of the test, which has one thread.
struct Nodes {
    nodes: Vec<Manager>,
    names: Vec<String>,
}

impl Nodes {
    async fn new() -> Self {
        let mut sockets = Vec::new();
        for _ in 0..2 {
            sockets.push(TcpListener::bind("127.0.0.1:0").await.unwrap());
        }
        let name = |socket: &TcpListener| format!("http://{}", socket.local_addr().unwrap());
        let names: Vec<_> = sockets.iter().map(name).collect();
        let mut nodes = Vec::new();
        for (socket, name) in sockets.into_iter().zip(&names) {
            let node = Manager::builder(name)
                .peers(names.clone())
                .auth(NoAuth)
                .dialer(SmallBuffers)
                // What was left would go with the next ping.
                .settings(Settings::new().ping_interval(Duration::from_secs(3_600)))
                .single(ECHO, |request: Request| async move {
                    Ok(request.into_payload())
                })
                .build()
                .unwrap();
            node.serve(socket).unwrap();
            nodes.push(node);
        }
        let nodes = Self { nodes, names };
        // One answer, so that the sockets are known to take something.
        let link = nodes.link().await;
        link.request(ECHO, "first").await.unwrap();
        nodes
    }

    /// That of the node which dials.
    async fn link(&self) -> Connection {
        let from = usize::from(!local_dials(&self.names[0], &self.names[1]));
        let link = self.nodes[from].connection(&self.names[1 - from]).unwrap();
        timeout(PATIENCE, link.connected()).await.unwrap().unwrap();
        link
    }

    async fn end(self) {
        for node in &self.nodes {
            node.shutdown(PATIENCE).await;
        }
    }
}

fn calls(link: &Connection, count: usize, size: usize) -> Calls {
    (0..count)
        .map(|_| {
            let request = link.request(ECHO, vec![7; size]).timeout(PATIENCE);
            Box::pin(request.into_future()) as _
        })
        .collect()
}

/// Polls each once, so that nobody else has a turn in between.
fn begin(calls: &mut Calls) {
    let mut cx = Context::from_waker(Waker::noop());
    for call in calls {
        assert!(call.as_mut().poll(&mut cx).is_pending());
    }
}

async fn all_are_answered(calls: Calls, size: usize) {
    for call in calls {
        let answer = timeout(PATIENCE, call).await.unwrap().unwrap();
        assert!(answer.as_slice() == vec![7; size]);
    }
}

#[tokio::test]
async fn callers_write_before_the_writer_has_its_turn() {
    let nodes = Nodes::new().await;
    let link = nodes.link().await;
    let before = link.stats().bytes_out;
    let mut lone = calls(&link, 1, 512);
    begin(&mut lone);
    let alone = link.stats().bytes_out;
    assert!(alone > before + 512, "nobody else could add to it");
    let mut some = calls(&link, 8, 512);
    begin(&mut some);
    assert_eq!(link.stats().bytes_out, alone, "it is not much");
    let mut more = calls(&link, 56, 512);
    begin(&mut more);
    let wrote = link.stats().bytes_out - alone;
    assert!(wrote > 64 * 512 - 10 * 1024, "{wrote}");
    all_are_answered(lone, 512).await;
    all_are_answered(some, 512).await;
    all_are_answered(more, 512).await;
    nodes.end().await;
}

/// Others are to have their turn too, such as the reader, who would hear of what the peer answers.
#[tokio::test]
async fn callers_do_not_write_without_end() {
    let nodes = Nodes::new().await;
    let link = nodes.link().await;
    let before = link.stats().bytes_out;
    let mut many = calls(&link, 4_000, 512);
    begin(&mut many);
    let wrote = link.stats().bytes_out - before;
    assert!((8 << 10..300 << 10).contains(&wrote), "{wrote}");
    all_are_answered(many, 512).await;
    nodes.end().await;
}

/// More than the system takes while the other node does not read, so that what somebody began the writer goes on with.
#[tokio::test]
async fn what_the_system_does_not_take_is_left_to_the_writer() {
    let nodes = Nodes::new().await;
    let link = nodes.link().await;
    let size = 250 << 10;
    let before = link.stats().bytes_out;
    // Alone, so that nothing else has the writer look.
    let mut large = calls(&link, 1, size);
    begin(&mut large);
    let wrote = link.stats().bytes_out - before;
    assert!(wrote > 0 && wrote < size as u64, "{wrote}");
    all_are_answered(large, size).await;
    let mut large = calls(&link, 1, size);
    begin(&mut large);
    let mut small = calls(&link, 100, 512);
    begin(&mut small);
    all_are_answered(large, size).await;
    all_are_answered(small, 512).await;
    assert_eq!(link.stats().reconnects, 0);
    nodes.end().await;
}

/// To copy and mask it is nothing that a call should wait for.
#[tokio::test]
async fn what_is_large_is_left_to_the_writer() {
    let nodes = Nodes::new().await;
    let link = nodes.link().await;
    let before = link.stats().bytes_out;
    let size = 1 << 20;
    let mut large = calls(&link, 1, size);
    begin(&mut large);
    assert_eq!(link.stats().bytes_out, before);
    all_are_answered(large, size).await;
    nodes.end().await;
}

/// Makes a call when it is dropped, as what releases a lock would.
struct Releases(Connection);

impl Drop for Releases {
    fn drop(&mut self) {
        begin(&mut calls(&self.0, 1, 512));
    }
}

/// A panic that is somebody's own says nothing of the connection, even if somebody writes on their way out.
#[tokio::test]
async fn who_writes_while_it_panics_leaves_the_connection_alone() {
    let nodes = Nodes::new().await;
    let link = nodes.link().await;
    let before = link.stats().bytes_out;
    let releases = Releases(link.clone());
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _releases = releases;
        panic!("a bug of the user's");
    }));
    assert!(panicked.is_err());
    assert!(link.stats().bytes_out > before + 512, "it is written");
    let answer = link.request(ECHO, "still here").await.unwrap();
    assert_eq!(answer.as_slice(), b"still here");
    assert_eq!(link.stats().reconnects, 0);
    nodes.end().await;
}

/// Streams of ours are somebody else's code to the link, and are polled by one task.
#[tokio::test]
async fn other_streams_are_left_to_the_writer() {
    let pair = testing::pair(|builder| {
        builder.single(ECHO, |request: Request| async move {
            Ok(request.into_payload())
        })
    })
    .await
    .unwrap();
    let link = pair.a_to_b();
    let before = link.stats().bytes_out;
    let mut many = calls(&link, 64, 512);
    begin(&mut many);
    assert_eq!(link.stats().bytes_out, before);
    all_are_answered(many, 512).await;
}

/// Bytes whose last owner panics.
struct Trap(Vec<u8>);

impl AsRef<[u8]> for Trap {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Trap {
    fn drop(&mut self) {
        panic!("a bug of the user's");
    }
}

/// What a payload does when it is dropped is its caller's code. Nobody knows then what was written.
#[tokio::test]
async fn a_panic_of_who_writes_ends_the_connection_and_nobody_waits_in_vain() {
    let nodes = Nodes::new().await;
    let link = nodes.link().await;
    let mut before = calls(&link, 1, 512);
    begin(&mut before);
    let trap = Payload::from(Bytes::from_owner(Trap(vec![7; 16 << 10])));
    let mut trapped = Box::pin(link.request(ECHO, trap).into_future());
    let mut cx = Context::from_waker(Waker::noop());
    // Not out of this call: it might be another's.
    let Poll::Ready(Err(CallError::Disconnected { .. })) = trapped.as_mut().poll(&mut cx) else {
        panic!("the connection has ended");
    };
    for call in before {
        let error = timeout(PATIENCE, call).await.unwrap().unwrap_err();
        assert!(matches!(error, CallError::Disconnected { .. }), "{error:?}");
    }
    let link = nodes.link().await;
    let answer = link.request(ECHO, "again").wait_ready().await.unwrap();
    assert_eq!(answer.as_slice(), b"again");
    nodes.end().await;
}
