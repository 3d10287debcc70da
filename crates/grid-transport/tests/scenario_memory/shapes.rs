//! One peer with a valid token, by shape of attack: never above the documented figure and a tenth.

mod answers;
mod bombs;
mod dialed;
mod floods;

use std::{ops::Range, time::Duration};

use grid_proto::{
    HandlerId,
    wire::{Message, Op},
};
use grid_transport::{Capacity, Manager, Settings};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    alone,
    bulk::{envelope, frame_head, large, large_call, zeros},
    figure,
    hostile::{
        ECHO, NEVER_READS, NO_INPUT, STUCK, UNKNOWN, call, handlers, keep, let_in, merged, numbered,
    },
    node::{self, A, B},
    raw::Raw,
    scale::in_full,
    watch::Watch,
};

/// A stream with room for very many items, that reads none.
const WIDE: HandlerId = HandlerId::new(66);
/// Answers without a payload.
const EMPTY: HandlerId = HandlerId::new(67);
/// Waits for as long as the gate is shut, and answers with 100 KiB.
const GATED: HandlerId = HandlerId::new(68);
/// Opens the gate.
const OPEN: HandlerId = HandlerId::new(69);

const LARGE_ANSWER: usize = 100 * 1024;

pub(crate) const MIB: usize = 1024 * 1024;

pub(crate) async fn serve(
    settings: &Settings,
    names: &[String],
) -> (std::net::SocketAddr, Manager) {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let gate = CancellationToken::new();
    let opened = gate.clone();
    let manager = handlers(node::builder(B, &names))
        .stream(WIDE, Capacity::new(1 << 30, 1), keep)
        .single(EMPTY, |_request| async {
            Ok(grid_transport::Payload::Absent)
        })
        .single(GATED, move |_request| {
            let gate = gate.clone();
            async move {
                gate.cancelled().await;
                Ok(vec![b'a'; LARGE_ANSWER].into())
            }
        })
        .single(OPEN, move |request| {
            opened.cancel();
            async move { Ok(request.into_payload()) }
        })
        .settings(settings.clone())
        .build()
        .unwrap();
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = manager.serve(socket).unwrap().local_addr().unwrap();
    (address, manager)
}

/// Waits until the node has taken all that it takes of what was sent, or has closed the link.
pub(crate) async fn taken(manager: &Manager, name: &str) {
    let link = manager.connection(name).unwrap();
    let (mut before, mut quiet) = ((0, 0), 0);
    while quiet < 10 {
        let stats = link.stats();
        let now = (stats.bytes_in, stats.messages_in);
        quiet = if now == before { quiet + 1 } else { 0 };
        before = now;
        // tidy: sleep: that no more is taken shows only in that no more is taken
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Runs an attack by one peer: what is held at the most has to be in the range that is given, and within the link's
/// figure and a tenth. What is sent would be far more, were it kept.
pub(crate) fn shape<F>(name: &str, range: impl Fn(&Settings) -> Range<usize>, attack: F)
where
    F: AsyncFn(&mut Raw, &Settings),
{
    alone(async {
        let settings = figure::settings();
        let (address, manager) = serve(&settings, &[A.to_owned()]).await;
        let watch = Watch::begin();
        let mut raw = let_in(address, A).await;
        attack(&mut raw, &settings).await;
        taken(&manager, A).await;
        let (peak, figure, range) = (watch.peak(), figure::link(&settings), range(&settings));
        println!(
            "{name}: {} MiB at the most, {} at the end, of {} for this; the link's figure is {} MiB",
            peak / MIB,
            watch.now() / MIB,
            range.end / MIB,
            figure / MIB
        );
        assert!(peak <= figure + figure / 10, "{peak} of {figure}");
        assert!(range.contains(&peak), "{peak} is not in {range:?}");
        drop(raw);
        manager.shutdown(Duration::ZERO).await;
    });
}

/// The limit on what is held, one message above it, one that arrives, and something for the connection.
fn inbound(settings: &Settings) -> Range<usize> {
    let (held, message) = (settings.max_inbound, settings.max_message);
    held..held + 2 * message + held / 8 + MIB
}

/// The same with small messages.
fn inbound_by_small_ones(settings: &Settings) -> Range<usize> {
    let held = settings.max_inbound;
    held..held + held / 8 + MIB
}

/// One message.
fn one_message(settings: &Settings) -> Range<usize> {
    let message = settings.max_message;
    message * 9 / 10..message + message / 10 + MIB / 2
}

/// As many as would take more than the figure, were all kept; in full fewer, which still are far beyond the limits.
fn many(settings: &Settings, each: usize, full: u64) -> u64 {
    match in_full() {
        true => full,
        false => (3 * figure::link(settings) / (2 * each)) as u64,
    }
}

#[test]
fn big_requests_to_a_stuck_handler() {
    shape(
        "big requests, stuck handler",
        inbound,
        async |raw, settings| {
            for mux in 1..=20 {
                large_call(raw, Op::Request, STUCK, mux, settings.max_message * 3 / 4).await;
            }
        },
    );
}

#[test]
fn big_requests_with_half_a_payload_and_stray_bytes() {
    shape(
        "half payloads, stray bytes",
        inbound,
        async |raw, settings| {
            let len = settings.max_message;
            for mux in 1..=20 {
                let head = envelope(Op::Request, STUCK, mux, 0, len / 2);
                large(raw, head, len).await;
            }
        },
    );
}

#[test]
fn requests_of_a_read_chunk_to_a_stuck_handler() {
    shape(
        "requests of 33 KiB",
        inbound_by_small_ones,
        async |raw, settings| {
            let len = 33 * 1024;
            for mux in 1..=many(settings, len, 8_000) as u32 {
                large_call(raw, Op::Request, STUCK, mux, len).await;
            }
        },
    );
}

#[test]
fn tiny_requests_to_a_stuck_handler() {
    shape(
        "tiny requests",
        |of| of.max_requests * 512..of.max_requests * 2_048 + MIB,
        async |raw, settings| {
            let count = settings.max_requests as u64;
            tiny_calls(raw, Op::Request, STUCK, 1..=count + count / 2).await;
        },
    );
}

pub(crate) async fn tiny_calls(
    raw: &mut Raw,
    op: Op,
    handler: HandlerId,
    muxes: impl Iterator<Item = u64>,
) {
    let mut part = Vec::with_capacity(1_000);
    for mux in muxes {
        part.push(call(op, handler, mux, &b"x"[..]));
        if part.len() == 1_000 {
            raw.send_frame(&merged(&part)).await;
            part.clear();
        }
    }
    raw.send_frame(&merged(&part)).await;
}

#[test]
fn reconnects_around_a_stuck_handler() {
    alone(async {
        let settings = figure::settings();
        let (address, manager) = serve(&settings, &[A.to_owned()]).await;
        let watch = Watch::begin();
        for round in 0..6 {
            let mut raw = let_in(address, A).await;
            for mux in 1..=3 {
                large_call(&mut raw, Op::Request, STUCK, mux, settings.max_message).await;
            }
            taken(&manager, A).await;
            let (peak, figure) = (watch.peak(), figure::link(&settings));
            println!("reconnect {round}: {} of {} MiB", peak / MIB, figure / MIB);
            assert!(peak <= figure + figure / 10, "{peak} of {figure}");
        }
        assert!(watch.now() < settings.max_inbound + settings.max_message + 8 * MIB);
        manager.shutdown(Duration::ZERO).await;
    });
}

#[test]
fn unread_items_of_streams() {
    shape("unread items", inbound, async |raw, settings| {
        for mux in 1..=16 {
            raw.send_message(&call(Op::ConnectMux, NEVER_READS, mux.into(), "s"))
                .await;
            for seq in 1..=4 {
                let len = settings.max_message / 8;
                let head = envelope(Op::MuxClientMsg, HandlerId::new(0), mux, seq, len - 32);
                large(raw, head, len).await;
            }
        }
    });
}

#[test]
fn empty_items_of_a_stream_that_takes_very_many() {
    shape(
        "empty items",
        |of| of.max_inbound / 4..of.max_inbound + 4 * MIB,
        async |raw, settings| {
            for mux in 1..=2 {
                raw.send_message(&call(Op::ConnectMux, WIDE, mux, "s"))
                    .await;
                let count = many(settings, 2 * 96, 1_000_000) as u32;
                let mut seq = 0;
                while seq < count {
                    let part: Vec<Message> = (0..5_000)
                        .map(|n| numbered(Op::MuxClientMsg, mux, seq + n + 1, ""))
                        .collect();
                    seq += 5_000;
                    raw.send_frame(&merged(&part)).await;
                }
            }
        },
    );
}

#[test]
fn answers_that_nobody_reads() {
    shape(
        "unread answers",
        |of| {
            let least = of.max_queued + of.max_inbound / 2;
            least..of.max_queued + of.max_inbound + 2 * of.max_message + MIB
        },
        async |raw, settings| {
            let len = settings.max_message / 16;
            for mux in 1..=many(settings, len, 300) as u32 {
                large_call(raw, Op::Request, ECHO, mux, len).await;
            }
        },
    );
}

/// The requests take next to nothing and are all let in; it is their answers that would be several times the figure.
#[test]
fn large_answers_to_small_requests_that_nobody_reads() {
    shape(
        "unread large answers",
        |of| {
            let least = of.max_queued + of.max_inbound / 2;
            least..of.max_queued + of.max_inbound + 2 * of.max_message + MIB
        },
        async |raw, settings| {
            let count = settings.max_requests as u64 - 1;
            tiny_calls(raw, Op::Request, GATED, 1..=count).await;
            raw.send_message(&call(Op::Request, OPEN, count + 1, "x"))
                .await;
        },
    );
}

#[test]
fn empty_answers_that_nobody_reads() {
    shape(
        "unread empty answers",
        |of| of.max_queued / 2..2 * of.max_queued + 4 * of.max_message,
        async |raw, settings| {
            // The socket is full first, so that all of the rest stays with the node.
            for mux in 1..=4 {
                large_call(raw, Op::Request, ECHO, mux, settings.max_message / 2).await;
            }
            let count = many(settings, 120, 1_500_000);
            tiny_calls(raw, Op::Request, EMPTY, 10..count).await;
        },
    );
}

#[test]
fn refusals_that_nobody_reads() {
    shape(
        "unread refusals",
        |of| of.max_control..16 * of.max_control + of.max_message + MIB,
        async |raw, settings| {
            large_call(raw, Op::Request, ECHO, 1, settings.max_message / 2).await;
            let count = many(settings, 250, 500_000);
            tiny_calls(raw, Op::Request, UNKNOWN, 10..count).await;
        },
    );
}

#[test]
fn a_message_of_many_small_fragments() {
    shape("small fragments", one_message, async |raw, settings| {
        let (part, mut sent) = (60_000, 0);
        let mut first = 0x02;
        while sent + part < settings.max_message {
            raw.send_bytes(&frame_head(first, part as u64)).await;
            zeros(raw, part).await;
            (first, sent) = (0, sent + part);
        }
    });
}

#[test]
fn a_message_of_two_fragments_that_does_not_end() {
    shape("two fragments", one_message, async |raw, settings| {
        let first = settings.max_message / 2 + 1;
        raw.send_bytes(&frame_head(0x02, first as u64)).await;
        zeros(raw, first).await;
        let second = settings.max_message - first;
        raw.send_bytes(&frame_head(0, second as u64)).await;
        zeros(raw, second - 1).await;
    });
}

#[test]
fn many_open_streams() {
    shape(
        "open streams",
        |of| of.max_streams * 512..of.max_streams * 4_096 + MIB,
        async |raw, settings| {
            let count = settings.max_streams as u64;
            tiny_calls(raw, Op::ConnectMux, NO_INPUT, 1..=count + count / 2).await;
        },
    );
}
