//! A node that serves its status, and peers of it that answer its question for their row as a test wants.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::future::{BoxFuture, FutureExt, join_all, ready};
use grid_transport::{
    HandlerError, HandlerId, Manager, Payload, Serving, SingleHandler, StaticToken,
};
use tokio::{net::TcpListener, runtime::Runtime, time::timeout};

use crate::{
    common::{Grid, PATIENCE, cluster::reserve},
    http::get,
    nodes::{address, word_after},
};

/// By which nodes ask each other for their rows.
const ROW: HandlerId = HandlerId::new(79);
const ROUTE: &str = "grid/status/row/v1";

/// What a peer answers, each time.
pub(crate) type Answer =
    Box<dyn Fn() -> BoxFuture<'static, Result<Payload, HandlerError>> + Send + Sync>;

/// A peer answers the same each time.
pub(crate) fn always(answer: Result<Vec<u8>, String>) -> Answer {
    Box::new(move || {
        let answer = answer.clone().map(Payload::from);
        ready(answer.map_err(HandlerError::new)).boxed()
    })
}

/// A peer that sees nobody.
pub(crate) fn no_links() -> Answer {
    always(Ok(json("{\"links\":[]}")))
}

/// A JSON text as it is sent: in a msgpack bin.
pub(crate) fn json(text: &str) -> Vec<u8> {
    let length = u32::try_from(text.len()).expect("a length");
    [&[0xc6][..], &length.to_be_bytes(), text.as_bytes()].concat()
}

pub(crate) struct Watched {
    pub(crate) name: String,
    /// Where it serves its status.
    pub(crate) status: String,
    pub(crate) peers: Vec<Peer>,
    runtime: Runtime,
    _node: Grid,
    _port: socket2::Socket,
}

pub(crate) struct Peer {
    pub(crate) name: String,
    asked: Arc<AtomicUsize>,
    manager: Manager,
    serving: Option<Serving>,
}

impl Peer {
    /// How often it was asked for its row.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Watched {
    /// With a peer for each of these, once all are connected. The answers are made when the name of the node is known.
    pub(crate) fn start(answers: impl FnOnce(&str) -> Vec<Answer>) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let port = reserve();
        let name = format!("http://{}", address(&port));
        let answers = answers(&name).into_iter();
        let peers = answers.map(|answer| runtime.block_on(Peer::start(&name, answer)));
        let peers: Vec<Peer> = peers.collect();
        let others = peers.iter().map(|peer| &*peer.name);
        let all: Vec<&str> = others.chain([&*name]).collect();
        let mut node = Grid::start(&[
            "node",
            "--local",
            &name,
            "--peers",
            &all.join(","),
            "--threads",
            "1",
            "--status",
            "127.0.0.1:0",
        ]);
        let status = word_after(&mut node, "status on ");
        for peer in &peers {
            let up = peer.manager.connection(&name).expect("a remote");
            let up = async { timeout(PATIENCE, up.connected()).await };
            runtime.block_on(up).expect("in time").expect("connected");
        }
        // By what the status says, which asks nobody.
        let begin = Instant::now();
        let up = |status: &str| status.matches("\"state\":\"connected\"").count();
        while up(&get(&status, "/status").body) < peers.len() {
            assert!(begin.elapsed() < PATIENCE, "not all are connected");
        }
        Self {
            name,
            status,
            peers,
            runtime,
            _node: node,
            _port: port,
        }
    }

    /// Has the first peer call a handler of the node, once with each of these and all at one time.
    pub(crate) fn call(&self, handler: HandlerId, payloads: impl IntoIterator<Item = Vec<u8>>) {
        let link = self.peers[0].manager.connection(&self.name);
        let link = link.expect("a remote");
        let calls = payloads.into_iter().map(|payload| {
            let call = link.request(handler, payload).timeout(PATIENCE);
            call.into_future()
        });
        for answer in self.runtime.block_on(join_all(calls)) {
            answer.expect("an answer");
        }
    }

    /// How often each peer was asked.
    pub(crate) fn asked(&self) -> Vec<usize> {
        self.peers.iter().map(Peer::asked).collect()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        for peer in &mut self.peers {
            let serving = peer.serving.take();
            self.runtime.block_on(async {
                peer.manager.shutdown(Duration::ZERO).await;
                if let Some(serving) = serving {
                    serving.stop().await;
                }
            });
        }
    }
}

impl Peer {
    async fn start(node: &str, answer: Answer) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let name = format!("http://{}", socket.local_addr().expect("an address"));
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        let row = SingleHandler::new(ROW, move |_| {
            count.fetch_add(1, Ordering::SeqCst);
            answer()
        });
        let manager = Manager::builder(&*name)
            .peers([node, &*name])
            .auth(StaticToken::new("secret"))
            .register(row.subroute(ROUTE))
            .build()
            .expect("a node");
        let serving = manager.serve(socket).expect("it serves");
        Self {
            name,
            asked,
            manager,
            serving: Some(serving),
        }
    }
}
