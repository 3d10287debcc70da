//! Reads and writes frames, with no runtime in sight.

use grid_proto::wire::{Flags, Frame, Op};
use grid_proto::{HandlerId, MuxId};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let sent = Frame {
        mux: MuxId::new(7),
        seq: 0,
        deadline_ms: 5_000,
        handler: HandlerId::new(9),
        op: Op::Request,
        flags: Flags::CRC | Flags::EOF,
        payload: b"hello",
        subroute: None,
    };
    let mut bytes = Vec::with_capacity(sent.encoded_len());
    sent.encode(&mut bytes);
    let received = Frame::decode(&bytes)?;
    assert_eq!(received.mux, sent.mux);
    assert_eq!(received.payload, b"hello");

    // One flipped bit, and the checksum says so.
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    assert!(Frame::decode(&bytes).is_err());

    println!("grid-proto from outside: a frame of {} bytes went round", bytes.len());
    Ok(())
}
