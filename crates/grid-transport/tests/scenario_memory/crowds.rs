//! All that one peer can do at once, and what 64 of them can, and strangers.

use std::time::Duration;

use grid_proto::wire::Op;
use grid_transport::Settings;
use tokio::task::JoinSet;

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
#[test]
fn all_of_it_at_once() {
    let range = |of: &Settings| {
        let least = of.max_inbound + of.max_queued + 3 * of.max_message;
        least..figure::link(of)
    };
    shape("all at once", range, async |raw, settings| {
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
    });
}

#[test]
fn sixty_four_peers_at_once() {
    let count = scaled("memory", "peers", 16, 64);
    alone(async {
        let settings = figure::settings();
        let names = dialers(count);
        let (address, manager) = serve(&settings, &names).await;
        let watch = Watch::begin();
        let mut peers = JoinSet::new();
        for name in names {
            let (settings, manager) = (settings.clone(), manager.clone());
            peers.spawn(async move {
                let (mut raw, response) = Raw::connect(address, &request(&name, "debug")).await;
                assert!(response.accepted);
                everything(&mut raw, &settings).await;
                taken(&manager, &name).await;
                raw
            });
        }
        let peers = peers.join_all().await;
        let (peak, figure) = (watch.peak(), figure::node(&settings, count, 2));
        println!(
            "{count} peers: {} MiB at the most, {} at the end; the figure is {} MiB",
            peak / MIB,
            watch.now() / MIB,
            figure / MIB
        );
        assert!(peak <= figure + figure / 10, "{peak} of {figure}");
        assert!(peak >= settings.max_inbound_node, "{peak}");
        // This attack has next to no requests and streams.
        let most = settings.max_inbound_node
            + settings.max_queued_node
            + (2 * count + 8) * settings.max_message;
        assert!(peak <= most + most / 10, "{peak} of {most}");
        drop(peers);
        manager.shutdown(Duration::ZERO).await;
    });
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
        assert!(peak <= figure + figure / 10, "{peak} of {figure}");
        drop(raws);
        manager.shutdown(Duration::ZERO).await;
    });
}
