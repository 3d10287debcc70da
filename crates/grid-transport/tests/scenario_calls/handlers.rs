//! Handlers that call back and handlers that block (C23).

use std::{
    sync::{Arc, Mutex, OnceLock, mpsc},
    thread,
    time::{Duration, Instant},
};

use grid_transport::{Builder, Connection, HandlerError, HandlerId, Payload, SingleHandler};

use crate::{
    nodes::{Nodes, drain, messages, recv, soon},
    probe::{BOTH_1, ECHO, LONG, TWO_WAY, probe, wait_while},
};

const BACK: HandlerId = HandlerId::new(200);
const BACK_STREAM: HandlerId = HandlerId::new(201);
const BLOCKS: HandlerId = HandlerId::new(202);

/// The link back, once there is one.
type Back = Arc<OnceLock<Connection>>;

fn link_back(back: &Back) -> Result<Connection, HandlerError> {
    back.get().cloned().ok_or_else(|| HandlerError::new("none"))
}

fn callbacks(builder: Builder, back: &Back) -> Builder {
    let (one, other) = (back.clone(), back.clone());
    probe(builder)
        .single(BACK, move |request| {
            let back = link_back(&one);
            async move { Ok(back?.request(ECHO, request.into_payload()).await?) }
        })
        .stream(BACK_STREAM, BOTH_1, move |mut call| {
            let back = link_back(&other);
            async move {
                let mut there = back?.stream(TWO_WAY, BOTH_1, "x").await?;
                while let Some(item) = call.recv().await {
                    there.send(item?).await?;
                    call.send(there.recv().await.transpose()?.unwrap_or_default())
                        .await?;
                }
                Ok(())
            }
        })
}

async fn call_back(nodes: Nodes, back: Back) {
    back.set(nodes.b_to_a()).unwrap();
    let peer = nodes.a_to_b();
    let calls = (0..100).map(|call: u32| {
        let answer = peer.request(BACK, call.to_string()).timeout(LONG);
        async move { assert_eq!(answer.await.unwrap(), Payload::from(call.to_string())) }
    });
    futures_util::future::join_all(calls).await;
    let mut stream = peer.stream(BACK_STREAM, BOTH_1, "x").await.unwrap();
    for item in messages(100) {
        stream.send(item.clone()).await.unwrap();
        assert_eq!(recv(&mut stream).await.unwrap().unwrap(), item);
    }
    stream.finish();
    let (rest, end) = drain(&mut stream).await;
    assert!(rest.is_empty() && end.is_none(), "{rest:?} {end:?}");
    nodes.settled().await;
}

#[tokio::test]
async fn c23_a_handler_calls_back_on_its_own_link() {
    let back = Back::default();
    let nodes = Nodes::tcp(|builder| callbacks(builder, &back)).await;
    call_back(nodes, back).await;
}

#[tokio::test(start_paused = true)]
async fn c23_a_handler_calls_back_on_its_own_link_pair() {
    let back = Back::default();
    let nodes = Nodes::memory(|builder| callbacks(builder, &back)).await;
    call_back(nodes, back).await;
}

const HALF_A_SECOND: Duration = Duration::from_millis(500);

/// Blocks its thread for half a second, and then until it is let go.
fn blocks(gate: &Arc<Mutex<mpsc::Receiver<()>>>) -> SingleHandler {
    let gate = gate.clone();
    SingleHandler::new(BLOCKS, move |request| {
        let gate = gate.clone();
        async move {
            // tidy: sleep: a handler that blocks is the scenario
            thread::sleep(HALF_A_SECOND);
            let gate = gate.lock().map_err(|_| HandlerError::new("poisoned"))?;
            gate.recv_timeout(LONG)?;
            Ok(request.into_payload())
        }
    })
}

#[tokio::test]
async fn c23_a_handler_that_blocks_holds_up_nobody() {
    let (release, gate) = mpsc::channel();
    let gate = Arc::new(Mutex::new(gate));
    // This runtime has one thread: nothing would come back if the handler had it.
    let nodes = Nodes::tcp(|builder| probe(builder).register(blocks(&gate).blocking())).await;
    let began = Instant::now();
    let call = nodes.a_to_b().request(BLOCKS, "x").timeout(LONG);
    let blocked = tokio::spawn(call.into_future());
    nodes.calls_work(100).await;
    assert!(!blocked.is_finished());
    release.send(()).unwrap();
    let answer = soon(blocked).await.unwrap();
    assert_eq!(answer.unwrap(), Payload::from("x"));
    assert!(began.elapsed() >= HALF_A_SECOND);
    nodes.settled().await;
}

/// One that does not say that it blocks is found out, and runs beside the reader from then on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c23_a_handler_that_blocks_unasked_is_found_out() {
    let (release, gate) = mpsc::channel();
    let gate = Arc::new(Mutex::new(gate));
    let nodes = Nodes::tcp(|builder| probe(builder).register(blocks(&gate))).await;
    let peer = nodes.a_to_b();
    for _ in 0..2 {
        release.send(()).unwrap();
        let call = peer.request(BLOCKS, "x").timeout(LONG);
        let (answer, ()) = tokio::join!(call.into_future(), nodes.calls_work(10));
        assert_eq!(answer.unwrap(), Payload::from("x"));
    }
    // After two slow polls that is promised.
    let blocked = tokio::spawn(peer.request(BLOCKS, "x").timeout(LONG).into_future());
    wait_while(|| nodes.b_to_a().stats().running_handlers == 0).await;
    nodes.calls_work(100).await;
    assert!(!blocked.is_finished());
    release.send(()).unwrap();
    let answer = soon(blocked).await.unwrap();
    assert_eq!(answer.unwrap(), Payload::from("x"));
    nodes.settled().await;
}
