//! The status of a node, read off its control socket by hand.

use std::{io, path::PathBuf, time::Duration};

use futures_util::future::BoxFuture;
use grid_transport::{BoxIo, Dialer, HandlerId, Manager, NoAuth, Payload, Target};
use grid_typed::Bytes;
use serde_json::Value;
use tokio::{net::UnixStream, time::Instant};

use super::PATIENCE;

/// What a control socket is called, and how it is spoken to.
const CLIENT: &str = "http://client.control";
const NODE: &str = "http://server.control";
const PATH: &str = "/grid/control/v1";
const STATUS: HandlerId = HandlerId::new(4);

/// The status of the node behind this socket.
pub(crate) fn status(socket: &str) -> Value {
    wait_for(socket, "anything", |_| true)
}

/// Looks at the status again and again until it is as wanted.
pub(crate) fn wait_for(socket: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let manager = Manager::builder(CLIENT)
            .peers([CLIENT, NODE])
            .path(PATH)
            .auth(NoAuth)
            .dialer(Unix(socket.into()))
            .build()
            .expect("a node");
        let node = manager.connection(NODE).expect("the node");
        let deadline = Instant::now() + PATIENCE;
        let mut last = Value::Null;
        while Instant::now() < deadline {
            let answer = node
                .request(STATUS, Payload::Absent)
                .wait_ready()
                .timeout(PATIENCE);
            let answer = answer.await.expect("an answer");
            let json: Bytes = grid_typed::decode(answer.as_slice()).expect("bytes");
            last = serde_json::from_slice(&json).expect("JSON");
            if wanted(&last) {
                manager.shutdown(Duration::ZERO).await;
                return last;
            }
        }
        panic!("never {what}: {last:#}")
    })
}

/// How often a handler is running.
pub(crate) fn running(status: &Value, handler: u64) -> u64 {
    of_handler(status, handler, "running")
}

/// How often a handler was called.
pub(crate) fn calls(status: &Value, handler: u64) -> u64 {
    of_handler(status, handler, "calls")
}

fn of_handler(status: &Value, handler: u64, field: &str) -> u64 {
    let handlers = status["handlers"].as_array().expect("handlers");
    let those = handlers.iter().filter(|entry| entry["handler"] == handler);
    those
        .map(|entry| entry[field].as_u64().expect("a count"))
        .sum()
}

struct Unix(PathBuf);

impl Dialer for Unix {
    fn dial<'a>(&'a self, _: &'a Target) -> BoxFuture<'a, io::Result<BoxIo>> {
        Box::pin(async move { Ok(Box::new(UnixStream::connect(&self.0).await?) as BoxIo) })
    }
}
