//! A model of credits and sequence numbers that reads along on the wire, at one end of one connection.

use std::collections::HashMap;

use grid_proto::{
    conn::Capacity,
    wire::{Flags, Message, Op},
};

use crate::{rng::Fast, world::Outcome};

/// What is known of one stream.
#[derive(Debug, Default)]
struct Stream {
    /// The number of the next message from here.
    seq: u32,
    /// What may be sent at the most, and what may be sent now.
    capacity: u32,
    credit: u32,
    eof: bool,
}

/// The streams that this end opened and those that it serves, by their number.
#[derive(Debug, Default)]
pub(crate) struct Monitor {
    calls: HashMap<u64, Stream, Fast>,
    served: HashMap<u64, Stream, Fast>,
    /// The peer has said that it understands counted credit.
    counts: bool,
}

impl Monitor {
    pub(crate) fn new(counts: bool) -> Self {
        Self {
            counts,
            ..Self::default()
        }
    }

    /// A message leaves. `capacity` is what the caller of its stream takes it for.
    pub(crate) fn sent(&mut self, message: &Message, capacity: Option<Capacity>) -> Outcome {
        let (mux, op) = (message.mux.get(), message.op);
        let eof = message.flags.contains(Flags::EOF);
        let stream = match op {
            Op::Ping if mux == 0 => return Ok(()),
            Op::ConnectMux => {
                let Some(capacity) = capacity else {
                    return Err(format!("{mux} is opened for nobody"));
                };
                let stream = Stream {
                    capacity: capacity.input,
                    ..Stream::default()
                };
                self.calls.insert(mux, stream);
                self.calls.get_mut(&mux)
            }
            Op::MuxClientMsg | Op::UnblockSrvMux | Op::Ping => self.calls.get_mut(&mux),
            Op::AckMux | Op::UnblockClMux | Op::MuxServerMsg => self.served.get_mut(&mux),
            _ => return Ok(()),
        };
        let Some(stream) = stream else {
            return Err(format!("{op} is sent on {mux}, which was never opened"));
        };
        if message.seq != stream.seq {
            let (got, want) = (message.seq, stream.seq);
            return Err(format!("{op} is sent on {mux} with seq {got}, not {want}"));
        }
        stream.seq = stream.seq.wrapping_add(1);
        let counted = matches!(op, Op::UnblockSrvMux | Op::UnblockClMux) && message.deadline_ms > 0;
        if counted && !self.counts {
            return Err(format!(
                "credit on {mux} is counted for a peer that doesn't know it"
            ));
        }
        match op {
            Op::MuxClientMsg if stream.eof => {
                return Err(format!("an item is sent on {mux} after EOF"));
            }
            Op::MuxClientMsg if eof => {
                stream.eof = true;
                return Ok(());
            }
            Op::AckMux | Op::UnblockClMux | Op::MuxServerMsg if stream.eof => {
                return Err(format!("{op} is sent on {mux} after its EOF"));
            }
            Op::MuxServerMsg
                if !eof
                    && message.payload.is_empty()
                    && !message
                        .flags
                        .intersects(Flags::PAYLOAD_IS_ZERO | Flags::PAYLOAD_IS_ERR) =>
            {
                return Err(format!("an absent item is sent on {mux}"));
            }
            Op::MuxServerMsg => stream.eof = eof,
            Op::MuxClientMsg => {}
            _ => return Ok(()),
        }
        match stream.credit.checked_sub(1) {
            Some(left) => stream.credit = left,
            None => return Err(format!("an item is sent on {mux} without a credit")),
        }
        Ok(())
    }

    /// A message arrives. `served` is the capacity of the handler that a stream is opened for.
    pub(crate) fn received(&mut self, message: &Message, served: Option<Capacity>) -> Outcome {
        let mux = message.mux.get();
        let stream = match message.op {
            Op::ConnectMux => {
                let Some(capacity) = served else {
                    return Ok(());
                };
                self.served.entry(mux).or_insert(Stream {
                    seq: message.seq,
                    capacity: capacity.output,
                    credit: capacity.output,
                    eof: false,
                });
                return Ok(());
            }
            Op::UnblockSrvMux => self.served.get_mut(&mux),
            Op::AckMux | Op::UnblockClMux => self.calls.get_mut(&mux),
            _ => return Ok(()),
        };
        let Some(stream) = stream else {
            return Ok(());
        };
        match message.op {
            Op::AckMux => stream.credit = stream.capacity,
            // Counted, or one alone, where nothing is said.
            _ => stream.credit = stream.credit.saturating_add(message.deadline_ms.max(1)),
        }
        if stream.credit > stream.capacity {
            return Err(format!(
                "more credit than capacity comes for {mux}: {stream:?}"
            ));
        }
        Ok(())
    }
}
