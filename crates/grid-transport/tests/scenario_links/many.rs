//! L04: a connection that is cut again and again.

use std::{
    future::IntoFuture,
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::future::BoxFuture;
use grid_transport::{BoxIo, CallError, Connection, Dialer, Manager, Payload, Settings, Target};
use tokio::{
    net::TcpStream,
    sync::watch,
    time::{Instant, timeout},
};

use crate::{
    fuse::Fused,
    node::{self, link},
    probe::{ECHO, ends, wait_while},
    raw::PATIENCE,
    relay::End,
    scale::scaled,
    scene::{Scene, again},
};

fn echo(builder: grid_transport::Builder) -> grid_transport::Builder {
    builder.single(ECHO, |request| async move { Ok(request.into_payload()) })
}

/// Dials connections with fuses, the first `cuts` of them; the later ones hold.
struct Fuses {
    random: Mutex<u64>,
    cuts: watch::Sender<u32>,
    last: Arc<Mutex<Instant>>,
}

impl Fuses {
    fn new(cuts: u32) -> Self {
        Self {
            random: Mutex::new(20_26),
            cuts: watch::Sender::new(cuts),
            last: Arc::new(Mutex::new(Instant::now())),
        }
    }

    /// A number below `limit` (splitmix64).
    fn random(&self, limit: usize) -> usize {
        let mut state = self.random.lock().unwrap();
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = *state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % limit as u64) as usize
    }
}

impl Dialer for Fuses {
    fn dial<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, io::Result<BoxIo>> {
        Box::pin(async move {
            let stream = TcpStream::connect((target.host(), target.port())).await?;
            stream.set_nodelay(true)?;
            let mut left = usize::MAX;
            self.cuts.send_if_modified(|cuts| {
                let cut = *cuts > 0;
                if cut {
                    *cuts -= 1;
                    // Half of them inside the handshake, which has about 700 bytes.
                    let longest = if self.random(2) == 0 { 700 } else { 40_000 };
                    left = 1 + self.random(longest);
                }
                cut
            });
            let last = self.last.clone();
            let cut = move |stream: &TcpStream| {
                *last.lock().unwrap() = Instant::now();
                let _ = socket2::SockRef::from(stream).shutdown(std::net::Shutdown::Both);
            };
            Ok(Box::new(Fused { stream, left, cut }) as BoxIo)
        })
    }
}

pub(crate) fn tasks() -> usize {
    tokio::runtime::Handle::current()
        .metrics()
        .num_alive_tasks()
}

/// How many tasks two nodes have whose connection was never cut.
async fn tasks_of_a_pair(settings: &Settings) -> usize {
    let before = tasks();
    let pair = node::pair(|_, builder| echo(builder.settings(settings.clone()))).await;
    for (from, to) in [(0, 1), (1, 0)] {
        let link = link(&pair[from], &pair[to]);
        node::connected(&link).await;
        link.request(ECHO, "x").await.unwrap();
    }
    let of_the_pair = tasks() - before;
    for manager in &pair {
        manager.shutdown(Duration::ZERO).await;
    }
    wait_while(|| tasks() > before).await;
    of_the_pair
}

/// 200 connections are cut somewhere: in the handshake, inside frames, between them. Each call that is under way gets an
/// answer of its own or an error, and the link comes back every time.
#[tokio::test]
async fn l04_a_link_survives_200_cuts() {
    ends(async {
        const CUTS: u32 = 200;
        let fuses = Arc::new(Fuses::new(CUTS));
        let interval = scaled("L04", "ms between attempts that fail", 1, 1_000);
        let settings = node::settings()
            .redial_interval(Duration::from_millis(interval))
            .handshake_timeout(Duration::from_secs(5));
        let before = tasks();
        let of_a_pair = tasks_of_a_pair(&settings).await;
        let pair =
            node::pair(|_, builder| echo(builder.settings(settings.clone()).dialer(fuses.clone())))
                .await;
        let [a, b] = &pair;
        // The longest time that the link was down after a cut, on either side; it ends with the nodes.
        let downs: Vec<_> = [(a, b), (b, a)]
            .map(|(from, to)| tokio::spawn(longest_down(link(from, to), fuses.last.clone())))
            .into();
        let mut left = fuses.cuts.subscribe();
        let caller = |from: Manager, to: String| {
            let mut left = left.clone();
            async move {
                let link = from.connection(&to).unwrap();
                let (mut answers, mut lost) = (0_u64, 0_u64);
                let mut number = 0_u64;
                while *left.borrow_and_update() > 0 || answers == 0 {
                    number += 1;
                    let payload =
                        Payload::from(format!("{number}:{}", "x".repeat(number as usize % 3_000)));
                    match timeout(PATIENCE, link.request(ECHO, payload.clone()).wait_ready()).await
                    {
                        Ok(Ok(answer)) => {
                            assert_eq!(answer, payload);
                            answers += 1;
                        }
                        Ok(Err(
                            CallError::Disconnected { .. } | CallError::NotConnected { .. },
                        )) => {
                            lost += 1;
                        }
                        other => panic!("{other:?}"),
                    }
                }
                (answers, lost)
            }
        };
        let callers = [
            tokio::spawn(caller(a.clone(), b.local().to_owned())),
            tokio::spawn(caller(b.clone(), a.local().to_owned())),
        ];
        let all = timeout(50 * PATIENCE, left.wait_for(|left| *left == 0));
        assert!(all.await.is_ok(), "it was not redialed often enough");
        let mut lost_calls = 0;
        for caller in callers {
            let (answers, lost) = timeout(PATIENCE, caller)
                .await
                .expect("a call hangs")
                .unwrap();
            assert!(answers > 0);
            lost_calls += lost;
        }
        assert!(lost_calls > 0, "no cut hit a call");

        let link = link(a, b);
        node::connected(&link).await;
        let stats = link.stats();
        assert!(
            stats.reconnects >= 50 && stats.failed_attempts >= 20,
            "{stats:?}"
        );
        assert_eq!(
            (
                stats.open_requests,
                stats.serving_requests,
                stats.running_handlers
            ),
            (0, 0, 0)
        );
        // No task is left of the connections before: as many as if there had been none, and those that measure.
        wait_while(|| tasks() != before + of_a_pair + downs.len()).await;
        for manager in &pair {
            timeout(PATIENCE, manager.shutdown(Duration::ZERO))
                .await
                .expect("something is left");
        }
        for down in downs {
            let down = down.await.unwrap();
            assert!(down < Duration::from_secs(5), "down for {down:?}");
        }
    })
    .await;
}

/// How long a link was down at most since it was lost, or since the last cut of those that came before it was up again.
async fn longest_down(link: Connection, cut: Arc<Mutex<Instant>>) -> Duration {
    let mut states = link.watch();
    let (mut longest, mut since) = (Duration::ZERO, None::<Instant>);
    loop {
        let (up, closed) = {
            let state = states.borrow_and_update();
            (state.is_connected(), state.is_closed())
        };
        match since {
            _ if closed => return longest,
            Some(lost) if up => {
                let last = lost.max(*cut.lock().unwrap());
                longest = longest.max(last.elapsed());
                since = None;
            }
            None if !up => since = Some(Instant::now()),
            _ => {}
        }
        states.changed().await.unwrap();
    }
}

/// The other two points: while nothing goes over the link, and in the middle of its end.
#[tokio::test]
async fn l04_a_link_survives_cuts_at_rest_and_in_its_teardown() {
    ends(async {
        let scene = Scene::tcp(node::settings()).await;
        let peer = scene.a_to_b();
        peer.request(ECHO, "x").await.unwrap();
        let before = tasks();
        for round in 1..=40 {
            let began = Instant::now();
            if round % 2 == 1 {
                scene.end(End::Reset);
            } else {
                // It says goodbye into a connection that takes nothing, and is cut there.
                scene.freeze(true);
                scene.b.remove_peer(scene.a.local()).unwrap();
                tokio::task::yield_now().await;
                scene.end(End::Reset);
                scene.freeze(false);
                scene.b.add_peer(scene.a.local()).unwrap();
            }
            again(&peer, round).await;
            node::connected(&scene.b_to_a()).await;
            let down = began.elapsed();
            assert!(down < Duration::from_secs(5), "down for {down:?}");
            let answer = peer.request(ECHO, "x").wait_ready().await.unwrap();
            assert_eq!(answer, Payload::from("x"));
        }
        wait_while(|| tasks() > before).await;
        scene.shutdown().await;
    })
    .await;
}

/// Calls are under way at each of the cuts, which come at any time after the link is up, and all times are the default.
#[tokio::test(start_paused = true)]
async fn l04_a_link_survives_200_cuts_pair() {
    ends(async {
        let random = Fuses::new(0);
        let scene = Scene::memory(Settings::new()).await;
        let peer = scene.a_to_b();
        peer.request(ECHO, "x").await.unwrap();
        let before = tasks();
        let mut lost = 0;
        for round in 1..=200 {
            if random.random(2) == 0 {
                let rest = Duration::from_millis(random.random(3_000) as u64);
                // tidy: sleep: the cut comes at any time, under paused time
                tokio::time::sleep(rest).await;
            }
            let size = 1 + random.random(200_000);
            let call = tokio::spawn(peer.request(ECHO, vec![7; size]).into_future());
            for _ in 0..random.random(6) {
                tokio::task::yield_now().await;
            }
            let began = Instant::now();
            scene.end(if random.random(2) == 0 {
                End::Fin
            } else {
                End::Reset
            });
            again(&peer, round).await;
            node::connected(&scene.b_to_a()).await;
            let down = began.elapsed();
            assert!(down < Duration::from_secs(5), "down for {down:?}");
            match call.await.unwrap() {
                Ok(answer) => assert_eq!(answer.len(), size),
                Err(CallError::Disconnected { .. }) => lost += 1,
                Err(error) => panic!("{error:?}"),
            }
            let answer = peer.request(ECHO, "x").wait_ready().await.unwrap();
            assert_eq!(answer, Payload::from("x"));
        }
        assert!((20..200).contains(&lost), "{lost} of the cuts hit a call");
        assert_eq!(peer.stats().reconnects, 200);
        wait_while(|| tasks() != before).await;
        scene.shutdown().await;
    })
    .await;
}
