//! All that one peer can do at once, and what 64 of them can, and strangers.

use std::{ops::Range, sync::Arc, time::Duration};

use grid_proto::wire::Op;
use grid_transport::Settings;
use tokio::{sync::Semaphore, task::JoinSet};

use crate::{
    alone,
    bulk::{frame_head, large_call, zeros},
    figure,
    hostile::{ECHO, NO_INPUT, STUCK, dialers},
    node::A,
    raw::{Raw, request},
    scale::scaled,
    shapes::{MIB, serve, shape, taken, tiny_calls},
    watch::Watch,
};

/// Handlers stuck with all they may hold, a queue that nobody reads, a message that does not end.
async fn everything(raw: &mut Raw, settings: &Settings) {
    let len = settings.max_message;
    for mux in 1..=2 {
        large_call(raw, Op::Request, ECHO, mux, len - 64).await;
    }
    for mux in 10..13 {
        large_call(raw, Op::Request, STUCK, mux, len * 3 / 4).await;
    }
    raw.send_bytes(&frame_head(0x82, len as u64)).await;
    zeros(raw, len - 1).await;
}

/// As many streams and requests as there may be, and as many bytes of each kind.
async fn with_all_streams(raw: &mut Raw, settings: &Settings) {
    let (streams, requests) = (settings.max_streams as u64, settings.max_requests as u64);
    tiny_calls(raw, Op::ConnectMux, NO_INPUT, 1_000..1_000 + streams).await;
    let left = requests - streams - 100;
    tiny_calls(raw, Op::Request, STUCK, 100_000..100_000 + left).await;
    // One is being written, one waits, and one more, for which there was room when it came.
    let len = settings.max_message;
    for mux in 1..=3 {
        large_call(raw, Op::Request, ECHO, mux, len - 1_024).await;
    }
    // Two are just below the limit, and then there is room for one more.
    for mux in 10..=12 {
        large_call(raw, Op::Request, STUCK, mux, len - 64 * 1024).await;
    }
    raw.send_bytes(&frame_head(0x82, len as u64)).await;
    zeros(raw, len - 1).await;
}

#[test]
fn all_of_it_at_once() {
    let range = |of: &Settings| {
        let least = of.max_inbound + of.max_queued + 3 * of.max_message;
        least..figure::link(of)
    };
    shape("all at once", range, with_all_streams);
}

/// What a peer of a crowd does.
#[derive(Clone, Copy, PartialEq)]
enum Attack {
    Everything,
    WithAllStreams,
}

/// Peers with a valid token, whose attacks go by their numbers: all of them together never make the node hold more than
/// its figure and a tenth. `range` is what their attacks come to, of so many. Returns how many handlers run in the end, and
/// how many may.
fn crowd(
    attack: fn(usize) -> Attack,
    range: fn(&Settings, usize) -> Range<usize>,
) -> (usize, usize) {
    let count = scaled("memory", "peers", 32, 64);
    alone(async {
        let settings = figure::settings();
        let names = dialers(count);
        let (address, manager) = serve(&settings, &names).await;
        let watch = Watch::begin();
        let mut inside = Vec::new();
        // Many small messages keep a node busy for a while, and it is not how long that is shown here.
        let turns = Arc::new(Semaphore::new(2));
        // Who opens streams comes later, as all that the node may hold of handlers goes to them.
        for now in [Attack::Everything, Attack::WithAllStreams] {
            let mut peers = JoinSet::new();
            let names = names.iter().enumerate();
            for (_, name) in names.filter(|(number, _)| attack(*number) == now) {
                let (name, settings, manager) = (name.clone(), settings.clone(), manager.clone());
                let turns = turns.clone();
                peers.spawn(async move {
                    let (mut raw, response) = Raw::connect(address, &request(&name, "debug")).await;
                    assert!(response.accepted);
                    match now {
                        Attack::Everything => everything(&mut raw, &settings).await,
                        Attack::WithAllStreams => {
                            let _turn = turns.acquire().await.unwrap();
                            with_all_streams(&mut raw, &settings).await;
                        }
                    }
                    taken(&manager, &name).await;
                    raw
                });
            }
            inside.extend(peers.join_all().await);
        }
        let (peak, figure) = (watch.peak(), figure::node(&settings, count, 2));
        let range = range(&settings, count);
        let links = manager.connections();
        let handlers = links.iter().map(|link| link.stats().running_handlers).sum();
        println!(
            "{count} peers, {handlers} handlers: {} MiB at the most, {} at the end, of {} for this; the figure is {} MiB",
            peak / MIB,
            watch.now() / MIB,
            range.end / MIB,
            figure / MIB
        );
        assert!(peak <= figure + figure / 10, "{peak} of {figure}");
        assert!(range.contains(&peak), "{peak} is not in {range:?}");
        drop(inside);
        manager.shutdown(Duration::ZERO).await;
        (handlers, settings.max_handlers)
    })
}

#[test]
fn sixty_four_peers_at_once() {
    crowd(
        |_| Attack::Everything,
        |of, count| {
            // This attack has next to no requests and streams.
            let most = of.max_inbound_node + of.max_queued_node + (3 * count + 8) * of.max_message;
            of.max_inbound_node..most + most / 10
        },
    );
}

#[test]
fn sixty_four_peers_of_two_kinds_at_once() {
    let (handlers, most) = crowd(
        |number| match number % 2 {
            0 => Attack::Everything,
            _ => Attack::WithAllStreams,
        },
        |of, count| {
            // As above, and what half of them have beside it.
            let bytes = of.max_inbound_node + of.max_queued_node + (3 * count + 8) * of.max_message;
            let most = bytes + 4_096 * of.max_streams * count / 2 + 2_048 * of.max_handlers;
            of.max_inbound_node..most + most / 10
        },
    );
    // Beside the bytes that limit is used up too.
    assert!(
        (most * 9 / 10..=most).contains(&handlers),
        "{handlers} of {most}"
    );
}

#[test]
fn handshakes_that_are_all_they_may_be_and_never_end() {
    alone(async {
        let settings = figure::settings();
        let (address, manager) = serve(&settings, &[A.to_owned()]).await;
        let watch = Watch::begin();
        let mut raws = Vec::new();
        for _ in 0..settings.max_handshakes {
            let mut raw = Raw::upgrade(address, crate::raw::PATH).await;
            let len = settings.max_handshake_message;
            raw.send_bytes(&frame_head(0x82, len as u64)).await;
            zeros(&mut raw, len - 1).await;
            raws.push(raw);
        }
        let figure = settings.max_handshakes * figure::handshake(&settings);
        let peak = watch.peak();
        println!("handshakes: {} of {} KiB", peak / 1024, figure / 1024);
        // Without the tenth that others have: `SECURITY.md` says that they can't have more.
        assert!(peak <= figure, "{peak} of {figure}");
        drop(raws);
        manager.shutdown(Duration::ZERO).await;
    });
}
