//! Compares what was sent with what should have been, mux by mux.

use std::collections::{BTreeMap, BTreeSet};

use grid_proto::wire::{Flags, Frame, Message, Op};

/// A message as it stands on the wire, of which every field counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) mux: u64,
    pub(crate) seq: u32,
    pub(crate) deadline_ms: u32,
    pub(crate) handler: u8,
    pub(crate) op: Op,
    pub(crate) flags: Flags,
    pub(crate) payload: Vec<u8>,
    pub(crate) subroute: Option<[u8; 32]>,
}

impl Line {
    /// A message without payload, deadline, handler and subroute.
    pub(crate) const fn bare(op: Op, mux: u64, seq: u32) -> Self {
        Self {
            mux,
            seq,
            deadline_ms: 0,
            handler: 0,
            op,
            flags: Flags::CRC,
            payload: Vec::new(),
            subroute: None,
        }
    }

    /// A message of the recording.
    pub(crate) fn of_recording(message: &Message) -> Self {
        Self::of_frame(&message.as_frame())
    }

    /// A message of the machine: what a peer reads from its bytes.
    pub(crate) fn of_machine(message: &Message) -> Self {
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        Self::of_frame(&Frame::decode(&bytes).unwrap())
    }

    fn of_frame(frame: &Frame<'_>) -> Self {
        Self {
            mux: frame.mux.get(),
            seq: frame.seq,
            deadline_ms: frame.deadline_ms,
            handler: frame.handler.get(),
            op: frame.op,
            flags: frame.flags,
            payload: frame.payload.to_vec(),
            subroute: frame.subroute.map(|id| *id.as_bytes()),
        }
    }

    fn show(&self) -> String {
        let payload = String::from_utf8_lossy(&self.payload[..self.payload.len().min(60)]);
        format!(
            "{} mux {} seq {} deadline {} handler {} {} {payload:?} ({} bytes)",
            self.op,
            self.mux,
            self.seq,
            self.deadline_ms,
            self.handler,
            self.flags,
            self.payload.len(),
        )
    }
}

/// Whether `sent` is `expected`, but for the order between muxes; if not, where they part.
pub(crate) fn same(expected: &[Line], sent: &[Line]) -> Result<(), String> {
    let (expected, sent) = (by_mux(expected), by_mux(sent));
    let muxes: BTreeSet<u64> = expected.keys().chain(sent.keys()).copied().collect();
    for mux in muxes {
        let none = Vec::new();
        let expected = expected.get(&mux).unwrap_or(&none);
        let sent = sent.get(&mux).unwrap_or(&none);
        let place = (0..expected.len().max(sent.len())).find(|i| expected.get(*i) != sent.get(*i));
        if let Some(i) = place {
            let show = |line: Option<&&Line>| {
                line.map_or_else(|| "nothing".to_owned(), |line| line.show())
            };
            return Err(format!(
                "message {} of mux {mux}\n  expected {}\n  sent     {}",
                i + 1,
                show(expected.get(i)),
                show(sent.get(i)),
            ));
        }
    }
    Ok(())
}

fn by_mux(lines: &[Line]) -> BTreeMap<u64, Vec<&Line>> {
    let mut muxes: BTreeMap<u64, Vec<&Line>> = BTreeMap::new();
    for line in lines {
        muxes.entry(line.mux).or_default().push(line);
    }
    muxes
}
