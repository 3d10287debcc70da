//! H13: what means nothing is held by nobody, as much of it as there may be.

use std::time::Duration;

use grid_proto::{
    MuxId,
    wire::{Message, Op},
};
use grid_transport::{LinkCause, Settings};

use super::{MIB, serve, taken};
use crate::{
    alone, figure,
    hostile::{let_in, merged, numbered},
    node::{self, A},
    watch::Watch,
};

/// Of a ping, and of what is for nobody: each flood is tens of MiB.
const LARGE: &[u8] = &[b'x'; 4_096];
const SMALL: &[u8] = &[b'x'; 384];
/// What may be held of it: one frame as it is read and taken apart, and the answers that nobody reads.
const MOST: usize = 9 * MIB;

/// What is sent, how much of it is no abuse yet, and what the abuse is called.
type Flood = (&'static str, fn(u32) -> Message, u32);

const FLOODS: [Flood; 3] = [
    (
        "pings",
        |_| Message {
            payload: LARGE.into(),
            ..Message::new(Op::Ping, MuxId::CONNECTION)
        },
        10_000,
    ),
    (
        "streams that are not open",
        |seq| numbered(Op::MuxClientMsg, (1 << 40) + u64::from(seq), seq, SMALL),
        75_536,
    ),
    (
        "calls that are not open",
        |seq| numbered(Op::MuxServerMsg, (1 << 40) + u64::from(seq), seq, SMALL),
        75_536,
    ),
];

/// By a peer that reads nothing: neither what came nor what was answered adds up.
#[test]
fn h13_floods_of_pings_and_of_data_for_unknown_muxes_hold_next_to_nothing() {
    alone(async {
        // As many answers may wait as by default, so that it is the flood that ends the link.
        let settings = figure::settings().max_control(Settings::new().max_control);
        let (address, manager) = serve(&settings, &[A.to_owned()]).await;
        let link = manager.connection(A).unwrap();
        for (what, message, allowed) in FLOODS {
            let watch = Watch::begin();
            let mut sent = 0;
            let mut raw = let_in(address, A).await;
            node::connected(&link).await;
            let before = link.stats().messages_in;
            for start in (0..allowed).step_by(100) {
                let part: Vec<Message> = (start..allowed.min(start + 100)).map(message).collect();
                let frame = merged(&part);
                sent += frame.payload.len();
                raw.send_frame(&frame).await;
            }
            taken(&manager, A).await;
            assert!(link.state().is_connected(), "{what}: {}", link.state());
            assert_eq!(link.stats().messages_in, before + u64::from(allowed));
            raw.send_message(&message(allowed)).await;
            node::down_because(&link, |cause| match cause {
                LinkCause::Abuse(told) => told.contains(what).then_some(()),
                _ => None,
            })
            .await;
            let peak = watch.peak();
            println!(
                "H13: {} KiB at the most for {} KiB of {what}",
                peak / 1024,
                sent / 1024
            );
            assert!(sent > 3 * MOST, "{sent} bytes show nothing");
            assert!(peak < MOST, "{what}: {peak} bytes held");
        }
        manager.shutdown(Duration::ZERO).await;
    });
}
