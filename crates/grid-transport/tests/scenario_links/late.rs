//! L15: answers that come too late reach nobody, whoever has restarted.

use std::{
    future::{Future, IntoFuture},
    sync::Arc,
    time::Duration,
};

use grid_proto::{
    MuxId,
    wire::{Flags, Message, Op},
};
use grid_transport::{
    Builder, CallError, HandlerId, Settings, SingleHandler, StreamHandler,
    testing::{self, NAMES, Net},
};
use tokio::{
    net::TcpListener,
    sync::{Notify, mpsc},
    time::{Instant, timeout},
};

use crate::{
    node::{self, A, B, Redirect, builder},
    probe::*,
    raw::{PATIENCE, Raw, request},
    relay::End,
    scene::{Scene, again},
};

const GATED: HandlerId = HandlerId::new(200);
const DETACHED: HandlerId = HandlerId::new(201);

/// A handler that answers what it was asked, once it is released: the first by the first permit.
#[derive(Clone)]
struct Gate {
    release: Arc<Notify>,
    began: mpsc::UnboundedSender<()>,
}

impl Gate {
    fn new() -> (Self, mpsc::UnboundedReceiver<()>) {
        let (began, begins) = mpsc::unbounded_channel();
        let release = Arc::new(Notify::new());
        (Self { release, began }, begins)
    }

    fn wait(&self) -> impl Future<Output = ()> + Send + use<> {
        let gate = self.clone();
        async move {
            let released = gate.release.notified();
            gate.began.send(()).unwrap();
            released.await;
        }
    }

    fn finish(&self, builder: Builder) -> Builder {
        let (single, stream) = (self.clone(), self.clone());
        probe(builder)
            .register(SingleHandler::new(GATED, move |request| {
                let wait = single.wait();
                async move {
                    wait.await;
                    Ok(request.into_payload())
                }
            }))
            .register(
                StreamHandler::new(DETACHED, OUT_1, move |call| {
                    let wait = stream.wait();
                    async move {
                        wait.await;
                        drop(call);
                        Ok(())
                    }
                })
                .detached(),
            )
    }
}

/// A restarts and counts from 1 again, while B still works for the mux 1 of the process before.
#[tokio::test(start_paused = true)]
async fn l15_a_restarted_caller_gets_no_answer_of_its_past_pair() {
    ends(async {
        let net = Net::new();
        let (gate, mut begins) = Gate::new();
        let settings = Settings::new().first_mux(Some(MuxId::new(1)));
        let node = |name: &str| {
            testing::node_on(&net, name, &NAMES, |builder| {
                gate.finish(builder).settings(settings.clone())
            })
            .unwrap()
        };
        let b = node(NAMES[1]);
        let from_b = b.connection(NAMES[0]).unwrap();
        for round in 0..20 {
            let a = node(NAMES[0]);
            let peer = a.connection(NAMES[1]).unwrap();
            node::connected(&peer).await;
            let old = tokio::spawn(peer.request(GATED, format!("old {round}")).into_future());
            begins.recv().await.unwrap();
            // The process is killed, and another one takes its place.
            net.cut(NAMES[0], NAMES[1]);
            assert!(matches!(
                old.await.unwrap().unwrap_err(),
                CallError::Disconnected { .. }
            ));
            a.shutdown(Duration::ZERO).await;
            let a = node(NAMES[0]);
            let peer = a.connection(NAMES[1]).unwrap();
            node::connected(&peer).await;
            let new = format!("new {round}");
            let waiting = tokio::spawn(peer.request(GATED, new.clone()).into_future());
            begins.recv().await.unwrap();
            let discarded = from_b.stats().discarded_answers;
            // The old one was first, so it is released first.
            gate.release.notify_one();
            wait_while(|| from_b.stats().discarded_answers == discarded).await;
            peer.request(ECHO, "fence").await.unwrap();
            assert!(!waiting.is_finished(), "it got another call's answer");
            gate.release.notify_one();
            assert_eq!(text(&waiting.await.unwrap().unwrap()), new);
            assert_eq!(from_b.stats().discarded_answers, discarded + 1);
            net.cut(NAMES[0], NAMES[1]);
            a.shutdown(Duration::ZERO).await;
        }
    })
    .await;
}

fn call(number: u64, payload: &'static str) -> Message {
    Message {
        handler: GATED,
        flags: Flags::EOF,
        payload: payload.into(),
        ..Message::new(Op::Request, MuxId::new(number))
    }
}

/// A connection takes the place of another, and reuses its numbers: answers of the first are not for the second.
#[tokio::test]
async fn l15_a_replaced_connections_answers_never_reach_the_next() {
    ends(async {
        let (gate, mut begins) = Gate::new();
        let b = gate.finish(builder(B, &[A])).build().unwrap();
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = b.serve(socket).unwrap().local_addr().unwrap();
        let (mut first, response) = Raw::connect(address, &request(A, "debug")).await;
        assert!(response.accepted);
        first.send_message(&call(5, "first")).await;
        begins.recv().await.unwrap();
        let (mut second, response) = Raw::connect(address, &request(A, "debug")).await;
        assert!(response.accepted);
        second.send_message(&call(5, "second")).await;
        begins.recv().await.unwrap();
        assert!(
            first.read_to_end().await.is_empty(),
            "replaced, without an answer"
        );
        gate.release.notify_one();
        assert!(second.round_trip().await.is_empty(), "the other's answer");
        let link = b.connection(A).unwrap();
        timeout(PATIENCE, async {
            wait_while(|| link.stats().discarded_answers == 0).await;
        })
        .await
        .expect("the late answer is not counted");
        assert!(second.round_trip().await.is_empty(), "the other's answer");
        gate.release.notify_one();
        let answer = second.read_message().await.unwrap();
        assert_eq!((answer.op, answer.mux), (Op::Response, MuxId::new(5)));
        assert_eq!(answer.payload, "second");
    })
    .await;
}

/// The other node answers the calls of a process that has restarted on the next connection, as the recorded one does.
/// No process counts from where the one before did, so nobody takes them for its own.
#[tokio::test]
async fn l15_a_late_answer_for_a_process_that_has_restarted_hits_nothing() {
    ends(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut late: Vec<MuxId> = Vec::new();
        for round in 0..30 {
            let a = builder(A, &[B])
                .settings(node::settings().first_mux(None))
                .dialer(Redirect(address))
                .build()
                .unwrap();
            let peer = a.connection(B).unwrap();
            let mut raw = Raw::accept(&listener).await;
            raw.serve_request().await;
            raw.send_response(true, "").await;
            node::connected(&peer).await;
            let waiting = tokio::spawn(peer.request(ECHO, "x").timeout(LONG).into_future());
            let asked = raw.read_message().await.unwrap();
            assert_eq!(asked.op, Op::Request);
            for mux in late.iter().copied().filter(|mux| *mux != asked.mux) {
                raw.send_message(&Message {
                    flags: Flags::EOF,
                    payload: "late".into(),
                    ..Message::new(Op::Response, mux)
                })
                .await;
            }
            raw.round_trip().await;
            assert!(!waiting.is_finished(), "it got another call's answer");
            assert_eq!(peer.stats().unknown_mux, round);
            late.push(asked.mux);
            // It restarts, without an answer; what is drawn at random never comes twice here.
            raw.reset();
            let error = waiting.await.unwrap().unwrap_err();
            assert!(matches!(error, CallError::Disconnected { .. }), "{error:?}");
            a.shutdown(Duration::ZERO).await;
        }
        let all = late.len();
        late.sort_unstable();
        late.dedup();
        assert_eq!(
            late.len(),
            all,
            "two processes counted from the same number"
        );
    })
    .await;
}

/// A detached handler works through three reconnects, none of which waits for it.
#[tokio::test(start_paused = true)]
async fn l15_a_detached_handler_outlives_three_reconnects_pair() {
    ends(async {
        let (gate, mut begins) = Gate::new();
        let pair = testing::pair(|builder| gate.finish(builder)).await.unwrap();
        let peer = pair.a_to_b();
        let single = tokio::spawn(peer.request(GATED, "x").into_future());
        begins.recv().await.unwrap();
        let mut stream = peer.stream(DETACHED, OUT_1, "x").await.unwrap();
        begins.recv().await.unwrap();
        for reconnects in 1..=3 {
            let began = Instant::now();
            pair.cut();
            again(&peer, reconnects).await;
            let took = began.elapsed();
            // At once after a long life, else 1 to 2 s after the last attempt began.
            assert!(took <= Duration::from_millis(2_010), "{took:?}");
            assert_eq!(text(&peer.request(ECHO, "x").await.unwrap()), "x");
            assert_eq!(pair.b_to_a().stats().running_handlers, 2);
        }
        assert!(single.await.unwrap().is_err());
        assert!(stream.recv().await.unwrap().is_err());
        gate.release.notify_waiters();
        wait_while(|| pair.b_to_a().stats().running_handlers > 0).await;
        assert_eq!(pair.b_to_a().stats().abandoned_handlers, 0);
        settled(&pair).await;
    })
    .await;
}

/// The same over TCP.
#[tokio::test]
async fn l15_a_detached_handler_outlives_three_reconnects() {
    ends(async {
        let scene = Scene::tcp(node::settings()).await;
        let peer = scene.a_to_b();
        let call = tokio::spawn(peer.request(WAIT, "600000").timeout(LONG).into_future());
        peer.request(ECHO, "fence").await.unwrap();
        wait_while(|| peer.stats().open_requests == 0).await;
        peer.request(ECHO, "fence").await.unwrap();
        for reconnects in 1..=3 {
            let began = Instant::now();
            scene.end(End::Reset);
            again(&peer, reconnects).await;
            again(&scene.b_to_a(), reconnects).await;
            // The interval of redials is 50 ms here; a machine that is busy is late, by up to half a second.
            let took = began.elapsed();
            assert!(took < Duration::from_secs(1), "{took:?}");
            assert_eq!(scene.b_to_a().stats().running_handlers, 1);
        }
        assert!(call.await.unwrap().is_err());
        scene.shutdown().await;
    })
    .await;
}
