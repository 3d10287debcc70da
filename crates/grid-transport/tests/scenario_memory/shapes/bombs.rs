//! Merged messages that hold as much as they can.

use grid_proto::{
    MuxId,
    wire::{Message, Op},
};

use super::{inbound, shape};
use crate::{
    bulk::{bin, envelope, frame_head, merged_head, zeros},
    hostile::STUCK,
};

#[test]
fn merged_bombs() {
    shape("merged bombs", inbound, async |raw, settings| {
        let len = settings.max_message;
        // Two halves, each kept by a handler that is stuck.
        for mux in (1..=12).step_by(2) {
            let part = (len - 64) / 2;
            raw.send_bytes(&frame_head(0x82, len as u64)).await;
            raw.send_bytes(&merged_head(2)).await;
            let mut sent = merged_head(2).len();
            for mux in [mux, mux + 1] {
                let head = envelope(Op::Request, STUCK, mux, 0, part - 22);
                raw.send_bytes(&bin(part)).await;
                raw.send_bytes(&head).await;
                zeros(raw, part - head.len()).await;
                sent += part + 5;
            }
            zeros(raw, len - sent).await;
        }
        // As many as go into one, each of them as small as can be.
        let mut tiny = Vec::new();
        Message::new(Op::Response, MuxId::new(1)).encode(&mut tiny);
        let mut bomb = Vec::new();
        for _ in 0..10_000 {
            bomb.push(0xc4);
            bomb.push(u8::try_from(tiny.len()).unwrap());
            bomb.extend(&tiny);
        }
        let times = len / bomb.len() - 1;
        let head = merged_head(10_000 * times as u32);
        let whole = head.len() + times * bomb.len();
        raw.send_bytes(&frame_head(0x82, whole as u64)).await;
        raw.send_bytes(&head).await;
        for _ in 0..times {
            raw.send_bytes(&bomb).await;
        }
    });
}
