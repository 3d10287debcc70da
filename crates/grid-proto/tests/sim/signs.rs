//! Signs of life of a peer that owes nobody an answer: for how long a stream may wait for one.

use std::collections::VecDeque;

use grid_proto::{
    MuxId,
    wire::{Message, Op, Ping, Pong, Timestamp},
};

use crate::world::{Call, Outcome, World};

/// Periods without a sign of a stream after which it ends, and where pings of the link are not answered either.
const SILENT: u64 = 2;
const SILENT_AT_MOST: u64 = 16;

/// What has been sent and answered of the pings of a link, on one connection.
#[derive(Debug, Default)]
pub(crate) struct Signs {
    /// When each left that is not answered, and what its pong repeats.
    awaited: VecDeque<(u64, Timestamp)>,
    /// When each left that was the newest to be answered, and when its pong came.
    answered: Vec<(u64, u64)>,
}

impl World {
    /// An end has sent this to such a peer.
    pub(crate) fn asks_for_sign(&mut self, end: usize, message: &Message) {
        let now = self.now;
        let this = &mut self.ends[end];
        if message.mux == MuxId::CONNECTION {
            if message.op == Op::Ping {
                let ping = Ping::decode(&message.payload).expect("a ping of ours");
                this.signs.awaited.push_back((now, ping.time));
            }
            return;
        }
        let Some(nonce) = this.by_mux.get(&message.mux.get()) else {
            return;
        };
        let call = &mut self.calls[*nonce as usize];
        match message.op {
            Op::ConnectMux => (call.heard, call.pinged) = (now, None),
            Op::Ping => _ = call.pinged.get_or_insert(now),
            _ => {}
        }
    }

    /// An end has got this from such a peer.
    pub(crate) fn hears_sign(&mut self, end: usize, message: &Message) {
        let now = self.now;
        let this = &mut self.ends[end];
        match message.op {
            Op::Pong if message.mux == MuxId::CONNECTION => {
                let time = Pong::decode(&message.payload).ok().map(|pong| pong.time);
                let time = time.filter(|time| !time.is_zero());
                let signs = &mut this.signs;
                let is_of = |sent: &(u64, Timestamp)| time.is_none_or(|time| time == sent.1);
                if let Some(newest) = signs.awaited.iter().position(is_of) {
                    let sent = signs.awaited.drain(..=newest).next_back();
                    signs.answered.extend(sent.map(|(left, _)| (left, now)));
                }
            }
            Op::Pong | Op::MuxServerMsg | Op::UnblockClMux => {
                if let Some(nonce) = this.by_mux.get(&message.mux.get()) {
                    let call = &mut self.calls[*nonce as usize];
                    (call.heard, call.pinged) = (now, None);
                }
            }
            _ => {}
        }
    }

    /// Its silence ends a stream that pings it. The deadlines of calls are checked as everywhere, and those of what it
    /// has asked for in `hostile.rs`.
    pub(crate) fn check_waits_for_hostile(&self, call: &Call) -> Outcome {
        let period = self.style.stream_ping.as_micros() as u64;
        let long = call.plan.deadline.is_none_or(|after| after > period);
        if call.open && call.plan.stream && long && self.now > self.silent_until(call, period) {
            return Err(format!(
                "stream {} doesn't notice that its peer gives no sign since {} us",
                call.plan.nonce,
                self.now - call.heard
            ));
        }
        Ok(())
    }

    /// When a stream ends that hears nothing more.
    fn silent_until(&self, call: &Call, period: u64) -> u64 {
        let (two, most) = (
            call.heard + SILENT * period,
            call.heard + SILENT_AT_MOST * period,
        );
        let Some(pinged) = call.pinged else {
            return two;
        };
        // It may have had to wait for the writer.
        let two = two.max(pinged + period).min(most);
        let signs = &self.ends[call.plan.end].signs;
        let first = signs.answered.iter().find(|(left, _)| *left >= pinged);
        if let Some((_, came)) = first {
            // It may have passed the stream's own, and is looked at when that is pinged again.
            let moment = self.style.ping.as_micros() as u64 / 4;
            return two.max(came + moment + period).min(most);
        }
        let waits = signs.awaited.iter().any(|(left, _)| *left >= pinged);
        if waits { most } else { two }
    }
}
