//! A model of credits and sequence numbers that reads along on the wire.

use std::collections::BTreeMap;

use grid_proto::{
    conn::Capacity,
    wire::{Flags, Message, Op},
};

use crate::world::Outcome;

/// What is known of one stream of one connection.
#[derive(Debug, Default)]
struct Stream {
    caller_seq: u32,
    handler_seq: u32,
    input_capacity: u32,
    output_capacity: u32,
    /// What the caller may still send, and what the handler may.
    input: u32,
    output: u32,
    caller_eof: bool,
    handler_eof: bool,
}

/// Streams by the node that opened them and their number.
#[derive(Debug, Default)]
pub(crate) struct Monitor {
    streams: BTreeMap<(usize, u64), Stream>,
}

impl Monitor {
    pub(crate) fn reset(&mut self) {
        self.streams.clear();
    }

    /// A message leaves `node`. `capacity` is what the caller and what the handler hold its stream's for.
    pub(crate) fn sent(
        &mut self,
        node: usize,
        message: &Message,
        capacity: Option<(Capacity, Capacity)>,
    ) -> Outcome {
        let mux = message.mux.get();
        let eof = message.flags.contains(Flags::EOF);
        let (caller, from_caller) = match message.op {
            Op::Ping if mux == 0 => return Ok(()),
            Op::ConnectMux => {
                let Some((callers, handlers)) = capacity else {
                    return Err(format!("node {node} opens {mux} for nobody"));
                };
                let stream = Stream {
                    input_capacity: callers.input,
                    output_capacity: handlers.output,
                    ..Stream::default()
                };
                self.streams.insert((node, mux), stream);
                (node, true)
            }
            Op::MuxClientMsg | Op::UnblockSrvMux | Op::Ping => (node, true),
            Op::AckMux | Op::UnblockClMux | Op::MuxServerMsg => (1 - node, false),
            _ => return Ok(()),
        };
        let Some(stream) = self.streams.get_mut(&(caller, mux)) else {
            return Err(format!(
                "node {node} sends {} on {mux}, which was never opened",
                message.op
            ));
        };
        let seq = if from_caller {
            &mut stream.caller_seq
        } else {
            &mut stream.handler_seq
        };
        if message.seq != *seq {
            return Err(format!(
                "node {node} sends {} on {mux} with seq {}, not {seq}",
                message.op, message.seq
            ));
        }
        *seq += 1;
        if !from_caller && stream.handler_eof {
            return Err(format!(
                "node {node} sends {} on {mux} after its EOF",
                message.op
            ));
        }
        let credit = match message.op {
            Op::MuxClientMsg if stream.caller_eof => {
                return Err(format!("node {node} sends an item on {mux} after EOF"));
            }
            Op::MuxClientMsg if eof => {
                stream.caller_eof = true;
                return Ok(());
            }
            Op::MuxClientMsg => &mut stream.input,
            Op::MuxServerMsg => {
                stream.handler_eof = eof;
                &mut stream.output
            }
            _ => return Ok(()),
        };
        match credit.checked_sub(1) {
            Some(left) => *credit = left,
            None => return Err(format!("node {node} sends on {mux} without a credit")),
        }
        Ok(())
    }

    /// A message arrives at `node`.
    pub(crate) fn received(&mut self, node: usize, message: &Message) -> Outcome {
        let mux = message.mux.get();
        let caller = match message.op {
            Op::ConnectMux | Op::UnblockSrvMux => 1 - node,
            Op::AckMux | Op::UnblockClMux => node,
            _ => return Ok(()),
        };
        let Some(stream) = self.streams.get_mut(&(caller, mux)) else {
            return Ok(());
        };
        match message.op {
            Op::ConnectMux => stream.output = stream.output_capacity,
            Op::AckMux => stream.input = stream.input_capacity,
            Op::UnblockClMux => stream.input += 1,
            _ => stream.output += 1,
        }
        if stream.input > stream.input_capacity || stream.output > stream.output_capacity {
            return Err(format!(
                "more credit than capacity on {mux} of node {caller}: {stream:?}"
            ));
        }
        Ok(())
    }
}
