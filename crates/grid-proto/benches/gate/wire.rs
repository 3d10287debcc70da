//! Messages to bytes and back, with their checksums.

use std::hint::black_box;

use bytes::Bytes;
use grid_proto::{
    HandlerId, MuxId,
    wire::{Flags, Message, Op, encode_merged, unfold},
};

use crate::{payload, repeat};

fn request(len: usize) -> Message {
    Message {
        handler: HandlerId::new(9),
        deadline_ms: 60_000,
        flags: Flags::CRC | Flags::EOF,
        payload: payload(len),
        ..Message::new(Op::Request, MuxId::new(1_234_567))
    }
}

/// Messages, merged where there are several, into a buffer that is there.
pub(crate) fn encode(count: usize, len: usize, times: u64) {
    let messages = vec![request(len); count];
    let mut out = Vec::new();
    repeat(times, || {
        out.clear();
        put(black_box(&messages), &mut out);
        black_box(&out);
    });
}

/// The same messages from what a websocket message carried.
pub(crate) fn decode(count: usize, len: usize, times: u64) {
    let mut out = Vec::new();
    put(&vec![request(len); count], &mut out);
    let bytes = Bytes::from(out);
    repeat(times, || {
        let mut read = 0;
        for message in unfold(black_box(&bytes).clone()) {
            assert!(black_box(message).is_ok(), "a message can be read");
            read += 1;
        }
        assert_eq!(read, count);
    });
}

/// Appends them as nodes do: one alone is not merged.
pub(crate) fn put(messages: &[Message], out: &mut Vec<u8>) {
    match messages {
        [alone] => alone.encode(out),
        together => encode_merged(together, out),
    }
}
