//! L03: many connections of one host.

use std::{future::IntoFuture, net::SocketAddr, sync::Mutex, time::Duration};

use futures_util::future::join_all;
use grid_proto::{
    MuxId,
    wire::{Flags, Message, Op},
};
use grid_transport::{Manager, Payload, Settings};
use tokio::{net::TcpListener, sync::watch, task::JoinSet, time::Instant};

use crate::{
    node::{self, A, B, builder},
    probe::{ECHO, ends, probe},
    raw::{self, Next, Raw, request},
    scale::scaled,
};

async fn accepting(settings: Settings) -> (SocketAddr, Manager) {
    let manager = probe(builder(B, &[A]).settings(settings)).build().unwrap();
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = manager.serve(socket).unwrap().local_addr().unwrap();
    (address, manager)
}

/// 50 connections of the same host at once: one lives on, all others are closed.
#[tokio::test]
async fn l03_of_50_connections_one_lives_on() {
    ends(async {
        let replace_after = scaled("L03", "ms until one is replaced", 100, 1_000);
        let settings = node::settings().replace_after(Duration::from_millis(replace_after));
        let (address, manager) = accepting(settings).await;
        let rounds = scaled("L03", "rounds of 50 connections", 10, 500);
        // Those of a round that came too slowly, as the machine was busy, are one more round.
        let (mut round, mut quick) = (0, 0);
        while quick < rounds {
            round += 1;
            assert!(round <= 3 * rounds, "only {quick} times within 100 ms");
            let arrived = Instant::now();
            let came = Mutex::new(Duration::ZERO);
            let asked = join_all((0..50).map(|_| async {
                let mut raw = Raw::upgrade(address, raw::PATH).await;
                *came.lock().unwrap() = arrived.elapsed();
                let answer = raw.greet(&request(A, "debug")).await;
                (raw, answer)
            }));
            let asked = asked.await;
            if came.into_inner().unwrap() <= Duration::from_millis(100) {
                quick += 1;
            }
            let (answered, refused): (Vec<_>, Vec<_>) =
                asked.into_iter().partition(|(_, answer)| answer.is_some());
            assert!(
                answered
                    .iter()
                    .all(|(_, answer)| answer.as_ref().unwrap().accepted)
            );
            // The first, and the newest once the first was old enough; more only where that took long.
            assert!(
                answered.len() < 50 && !refused.is_empty(),
                "{} in round {round}",
                answered.len()
            );

            // All that were answered and replaced end; one doesn't.
            let (found, _) = watch::channel(false);
            let mut waiting = JoinSet::new();
            for (mut raw, _) in answered {
                let mut found = found.subscribe();
                waiting.spawn(async move {
                    tokio::select! {
                        next = raw.next() => match next {
                            Next::End => None,
                            Next::Frame(frame) => panic!("{frame:?}"),
                        },
                        _ = found.wait_for(|found| *found) => Some(raw),
                    }
                });
            }
            while waiting.len() > 1 {
                assert!(waiting.join_next().await.unwrap().unwrap().is_none());
            }
            found.send_replace(true);
            let alive = waiting.join_next().await.unwrap().unwrap();
            let mut alive = alive.unwrap_or_else(|| panic!("none is left in round {round}"));
            assert!(alive.round_trip().await.is_empty());
            let peer = manager.connection(A).unwrap();
            node::connected(&peer).await;
            let took = arrived.elapsed();
            assert!(took < Duration::from_secs(2), "{took:?} in round {round}");
            // Calls work, both ways.
            let payload = format!("round {round}");
            let ours = Message {
                handler: ECHO,
                flags: Flags::EOF,
                payload: payload.clone().into(),
                ..Message::new(Op::Request, MuxId::new(round + 1))
            };
            alive.send_message(&ours).await;
            let answer = alive.read_message().await.unwrap();
            assert_eq!((answer.op, answer.mux), (Op::Response, ours.mux));
            assert_eq!(answer.payload, payload);
            let theirs = tokio::spawn(peer.request(ECHO, payload.clone()).into_future());
            let asked = alive.read_message().await.unwrap();
            let answer = Message {
                flags: Flags::EOF,
                payload: payload.clone().into(),
                ..Message::new(Op::Response, asked.mux)
            };
            alive.send_message(&answer).await;
            assert_eq!(theirs.await.unwrap().unwrap(), Payload::from(payload));
            // The next round finds one that is live and old enough.
        }
    })
    .await;
}
