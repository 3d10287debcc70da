//! Large messages that cost their sender nothing: zeros under a mask of zeros, from one buffer.

use grid_proto::{
    HandlerId,
    wire::{Flags, Op},
};

use crate::raw::Raw;

static ZEROS: [u8; 1 << 20] = [0; 1 << 20];

/// An envelope's bytes before its payload of `len` bytes, without a checksum.
pub(crate) fn envelope(op: Op, handler: HandlerId, mux: u32, seq: u32, len: usize) -> Vec<u8> {
    let flags = match op {
        Op::Request => Flags::EOF,
        _ => Flags::empty(),
    };
    let mut bytes = vec![0x97, 0xce];
    bytes.extend(mux.to_be_bytes());
    bytes.push(0xce);
    bytes.extend(seq.to_be_bytes());
    bytes.extend([0, 0xcc, handler.get(), op.as_u8(), flags.bits(), 0xc6]);
    bytes.extend(u32::try_from(len).unwrap().to_be_bytes());
    bytes
}

/// The outer envelope of a merged message.
pub(crate) fn merged_head(count: u32) -> Vec<u8> {
    let mut bytes = vec![0x97, 0, 0xce];
    bytes.extend(count.to_be_bytes());
    bytes.extend([0, 0, Op::Merged.as_u8(), 0, 0xc4, 0]);
    bytes
}

/// The head of a msgpack bin of that length.
pub(crate) fn bin(len: usize) -> Vec<u8> {
    [&[0xc6][..], &u32::try_from(len).unwrap().to_be_bytes()].concat()
}

/// The head of a websocket frame of a client, masked by zeros.
pub(crate) fn frame_head(first: u8, len: u64) -> Vec<u8> {
    [&[first, 0xff][..], &len.to_be_bytes(), &[0; 4]].concat()
}

/// Sends so many zeros.
pub(crate) async fn zeros(raw: &mut Raw, mut len: usize) {
    while len > 0 {
        let now = len.min(ZEROS.len());
        raw.send_bytes(&ZEROS[..now]).await;
        len -= now;
    }
}

/// Sends one call with a payload of zeros; the whole message has `len` bytes.
pub(crate) async fn large_call(raw: &mut Raw, op: Op, handler: HandlerId, mux: u32, len: usize) {
    let head = envelope(op, handler, mux, 0, 0).len();
    large(raw, envelope(op, handler, mux, 0, len - head), len).await;
}

/// Sends a message of `len` bytes that begins with `envelope`; the rest is zeros.
pub(crate) async fn large(raw: &mut Raw, envelope: Vec<u8>, len: usize) {
    raw.send_bytes(&frame_head(0x82, len as u64)).await;
    let rest = len - envelope.len();
    raw.send_bytes(&envelope).await;
    zeros(raw, rest).await;
}
