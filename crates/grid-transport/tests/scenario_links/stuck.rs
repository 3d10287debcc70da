//! L09, L12: peers that ask and don't read, and consumers that block.

use std::time::Duration;

use grid_proto::{
    MuxId,
    wire::{Flags, Message, Op},
};
use grid_transport::{CallError, Manager, Settings};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    time::{Instant, sleep, timeout},
};

use crate::{
    memory::memory,
    node::{self, A, B, builder},
    probe::*,
    raw::{PATH, PATIENCE, Raw, request},
    scale::scaled,
    scene::Scene,
};

/// More than the kernel takes of what nobody reads, so that the node has answers that it can't get rid of.
const STUCK: usize = 16 << 20;

/// A peer asks without end and never reads. A new connection of it is usable within 5 s.
async fn floods<S>(manager: &Manager, dial: impl AsyncFn() -> Raw<S>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let let_in = async || {
        let raw = dial().await.upgraded(PATH).await;
        let (raw, response) = raw.greeted(&request(A, "debug")).await;
        assert!(response.accepted, "{:?}", response.rejected_reason);
        raw
    };
    let echo = |number: u64, bytes: usize| Message {
        handler: ECHO,
        flags: Flags::EOF,
        payload: vec![7; bytes].into(),
        ..Message::new(Op::Request, MuxId::new(number))
    };
    let ping = Message::new(Op::Ping, MuxId::CONNECTION);
    let unknown = |number| Message::new(Op::MuxClientMsg, MuxId::new(number));
    let peer = manager.connection(A).unwrap();
    for kind in 0..3_u64 {
        let mut flooding = let_in().await;
        // Until the answers are stuck; or until it is hung up on, as many messages without a payload are too much.
        let flood = async {
            for number in 1.. {
                let (message, words) = match kind {
                    0 => (echo(number, 4_096), None),
                    1 => (ping.clone(), Some("too much: pings")),
                    _ => (
                        unknown((1 << 40) + number),
                        Some("streams that are not open"),
                    ),
                };
                flooding.send_message(&message).await;
                let over = match words {
                    None => peer.stats().queued_bytes > STUCK,
                    Some(words) => {
                        let state = peer.state();
                        let cause = state.last_cause().map(|cause| cause.to_string());
                        cause.is_some_and(|cause| cause.contains(words))
                    }
                };
                if over {
                    return;
                }
            }
        };
        let flood = timeout(PATIENCE, flood).await;
        assert!(
            flood.is_ok(),
            "flood {kind} is never stuck: {}",
            peer.state()
        );
        let began = Instant::now();
        let mut fresh = let_in().await;
        fresh.send_message(&echo(1, 10)).await;
        let answer = loop {
            let message = fresh.read_message().await.expect("it was closed");
            if message.op == Op::Response {
                break message;
            }
        };
        assert_eq!((answer.mux, answer.payload.len()), (MuxId::new(1), 10));
        let took = began.elapsed();
        assert!(took < Duration::from_secs(5), "{took:?} after flood {kind}");
    }
    timeout(PATIENCE, manager.shutdown(Duration::ZERO))
        .await
        .expect("something is left");
}

/// With the defaults.
#[tokio::test(start_paused = true)]
async fn l09_a_flood_that_is_never_read_holds_up_no_new_connection_pair() {
    ends(async {
        let manager = probe(builder(B, &[A]))
            .settings(Settings::new())
            .build()
            .unwrap();
        let (dials, served) = memory();
        let _serving = manager.serve_on(served).unwrap();
        floods(&manager, async || Raw::over(dials.connect(256 * 1_024))).await;
    })
    .await;
}

#[tokio::test]
async fn l09_a_flood_that_is_never_read_holds_up_no_new_connection() {
    ends(async {
        // On a busy machine it may take long until so much is stuck, and a link that is stuck for long is given up.
        let manager = probe(builder(B, &[A]))
            .settings(Settings::new().write_timeout(LONG))
            .build()
            .unwrap();
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = manager.serve(socket).unwrap().local_addr().unwrap();
        floods(&manager, async || Raw::dial(address).await).await;
    })
    .await;
}

const PING: Duration = Duration::from_millis(100);
const ITEMS_EACH_WAY: usize = 20;

fn pinged(ping: Duration) -> Settings {
    node::settings()
        .ping_interval(ping)
        .stream_ping_interval(ping)
}

/// A stream whose caller, whose handler, both or none don't look for ten intervals.
async fn blocked(scene: &Scene, ping: Duration, caller: bool, handler: bool) {
    let block = 10 * ping;
    let wait = if handler { block } else { Duration::ZERO };
    let initial = format!("{}:", wait.as_millis());
    let peer = scene.a_to_b();
    let stream = peer.stream(SLEEPS_FIRST, BOTH_1, initial).await.unwrap();
    let (mut sender, mut receiver) = stream.split();
    let sending = tokio::spawn(async move {
        for item in 0..ITEMS_EACH_WAY {
            sender.send(item.to_string()).await.unwrap();
        }
        sender.finish();
    });
    if caller {
        // tidy: sleep: the consumer blocks for that long
        sleep(block).await;
    }
    let mut got = Vec::new();
    while let Some(item) = receiver.recv().await {
        got.push(text(&item.unwrap()));
    }
    let all: Vec<_> = (0..ITEMS_EACH_WAY).map(|item| item.to_string()).collect();
    assert_eq!(got, all, "caller blocked: {caller}, handler: {handler}");
    sending.await.unwrap();
}

/// How many intervals after the freeze a stream has ended.
async fn dead(scene: &Scene, ping: Duration) -> f64 {
    let peer = scene.a_to_b();
    // Before the last that is heard of it, so that no delay of this test makes it look too early.
    let began = Instant::now();
    let mut stream = peer.stream(WAITS, OUT_1, "x").await.unwrap();
    peer.request(ECHO, "fence").await.unwrap();
    scene.freeze(true);
    let error = stream.recv().await.unwrap().unwrap_err();
    assert!(
        matches!(
            error,
            CallError::Disconnected { .. } | CallError::Protocol(_)
        ),
        "{error:?}"
    );
    began.elapsed().as_secs_f64() / ping.as_secs_f64()
}

/// All four combinations at once, each on a stream of its own.
async fn combinations(scene: &Scene, ping: Duration) {
    tokio::join!(
        blocked(scene, ping, false, false),
        blocked(scene, ping, true, false),
        blocked(scene, ping, false, true),
        blocked(scene, ping, true, true),
    );
    assert_eq!(scene.a_to_b().stats().reconnects, 0);
}

#[tokio::test(start_paused = true)]
async fn l12_blocked_sides_are_alive_and_dead_ones_are_not_pair() {
    ends(async {
        let scene = Scene::memory(pinged(PING)).await;
        combinations(&scene, PING).await;
        let intervals = dead(&scene, PING).await;
        assert!((2.0..=4.0).contains(&intervals), "{intervals}");
    })
    .await;
}

#[tokio::test]
async fn l12_blocked_sides_are_alive_and_dead_ones_are_not() {
    ends(async {
        let scene = Scene::tcp(pinged(PING)).await;
        combinations(&scene, PING).await;
        scene.shutdown().await;
        // The bound is in intervals: long ones are little changed by how late the machine is.
        let millis = scaled("L12", "ms between pings of the dead peer", 100, 10_000);
        let ping = Duration::from_millis(millis);
        let scene = Scene::tcp(pinged(ping)).await;
        let intervals = dead(&scene, ping).await;
        // A machine that is busy is late, by up to a second here.
        let late = 1.0 / ping.as_secs_f64();
        assert!((2.0..=4.0 + late).contains(&intervals), "{intervals}");
        scene.freeze(false);
        scene.shutdown().await;
    })
    .await;
}
