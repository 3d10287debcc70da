//! What a hostile peer sends: messages that are almost right, and bytes that are none.

use bytes::Bytes;
use grid_proto::{
    HandlerId, MuxId, SubrouteId,
    wire::{Flags, Message, Op, Ping, Pong, encode_merged},
};

use super::Hostile;
use crate::{
    history::MS,
    link::Carried,
    plan::{CAPACITIES, SINGLE, STREAM, UNKNOWN},
    world::{Action, Outcome, World},
};

impl World {
    pub(crate) fn hostile_hears(&mut self, end: usize, message: &Message) {
        if let Some(hostile) = &mut self.ends[end].hostile {
            hostile.heard.push_back(message.mux.get());
            if hostile.heard.len() > 16 {
                hostile.heard.pop_front();
            }
        }
    }

    /// Sends some messages, and comes back.
    pub(crate) fn attacks(&mut self, end: usize, socket: u32) -> Outcome {
        if self.over || self.ends[end].socket != socket || !self.ends[end].is_up() {
            return Ok(());
        }
        self.victim_works(end ^ 1);
        let this = &mut self.ends[end];
        this.dirty = true;
        let Some(hostile) = &mut this.hostile else {
            return Ok(());
        };
        let count = match hostile.rng.below(60) {
            0 => hostile.rng.range(50, 400),
            _ => hostile.rng.below(10),
        };
        for _ in 0..count {
            let message = hostile.message();
            hostile.out.push_back(message);
        }
        let unread = hostile.rng.below(30) == 0;
        if unread && hostile.rng.below(4) == 0 {
            // More refusals than anybody should have to keep.
            hostile.flood(UNKNOWN, 1_800, 0);
        } else if hostile.rng.below(60) == 0 {
            // More to hold than is allowed.
            hostile.flood(SINGLE, 60, 6_000);
        }
        let raw = (hostile.rng.below(40) == 0).then(|| hostile.bytes());
        hostile.hurry = hostile.hurry.saturating_sub(1);
        let pause = match hostile.rng.below(8) {
            _ if hostile.hurry == 0 => 3_000 * MS,
            0 => 300 * MS,
            _ => hostile.rng.range(1, 60) * MS,
        };
        self.seen.saw("hostile: attacks");
        if let Some(raw) = raw {
            self.seen.saw("hostile: bytes that are no message");
            self.send(end, Carried::Frame(raw));
        }
        if unread {
            self.seen.saw("hostile: doesn't read");
            let until = self.now + 4_000 * MS;
            self.ends[end ^ 1].writer_ready = until;
            self.ends[end ^ 1].dirty = true;
        }
        self.arm(pause, Action::Attacks(end, socket));
        Ok(())
    }
}

impl Hostile {
    fn flood(&mut self, handler: u8, count: u64, len: usize) {
        let payload = Bytes::from(vec![7; len]);
        for _ in 0..count {
            let mut request = Message::new(Op::Request, MuxId::new(self.rng.next()));
            (request.handler, request.flags) = (HandlerId::new(handler), Flags::CRC);
            request.payload = payload.clone();
            self.out.push_back(request);
        }
    }

    fn mux(&mut self) -> u64 {
        match self.rng.below(12) {
            0 => self.rng.next(),
            1 => 0,
            2..=5 if !self.heard.is_empty() => self.heard[self.rng.index(self.heard.len())],
            _ => self.rng.range(1, 24),
        }
    }

    fn message(&mut self) -> Message {
        let op = match self.rng.below(30) {
            0 => self.rng.below(256) as u8,
            1..=5 => Op::Request.as_u8(),
            6..=10 => Op::ConnectMux.as_u8(),
            11..=14 => Op::MuxClientMsg.as_u8(),
            15..=17 => Op::MuxServerMsg.as_u8(),
            _ => self.rng.range(3, 17) as u8,
        };
        let mut message = Message::new(Op::from_u8(op), MuxId::new(self.mux()));
        message.flags = Flags::CRC;
        if self.rng.percent(10) {
            message.flags = Flags::from_bits_retain(self.rng.next() as u8) - Flags::SUBROUTE;
        } else if self.rng.percent(20) {
            message.flags |= self.rng.pick(&[
                Flags::EOF,
                Flags::PAYLOAD_IS_ERR | Flags::EOF,
                Flags::PAYLOAD_IS_ZERO,
                Flags::STATELESS,
            ]);
        }
        message.handler = HandlerId::new(match self.rng.below(8) {
            0 => self.rng.next() as u8,
            _ if message.op == Op::Request => SINGLE,
            _ => STREAM + self.rng.below(CAPACITIES.len() as u64) as u8,
        });
        if self.rng.percent(10) {
            message.flags |= Flags::SUBROUTE;
            message.subroute = Some(SubrouteId::from_bytes([self.rng.next() as u8; 32]));
        }
        message.deadline_ms = match self.rng.below(4) {
            0 => self.rng.below(100) as u32,
            1 => self.rng.next() as u32,
            _ => 0,
        };
        message.payload = self.payload(message.op);
        message.seq = self.seq(&message);
        message
    }

    fn payload(&mut self, op: Op) -> Bytes {
        let mut bytes = Vec::new();
        match op {
            Op::Ping if self.rng.percent(80) => Ping::default().encode(&mut bytes),
            Op::Pong if self.rng.percent(80) => Pong::default().encode(&mut bytes),
            _ => {
                let len = match self.rng.below(40) {
                    0 => self.rng.below(9_000),
                    _ => self.rng.below(40),
                };
                bytes.resize(len as usize, self.rng.next() as u8);
            }
        }
        bytes.into()
    }

    /// The seq that is due, most of the time.
    fn seq(&mut self, message: &Message) -> u32 {
        let as_handler = matches!(message.op, Op::AckMux | Op::MuxServerMsg | Op::UnblockClMux);
        let counted = matches!(message.op, Op::MuxClientMsg | Op::UnblockSrvMux | Op::Ping);
        if self.numbers[0].len() > 200 {
            self.numbers[0].clear();
        }
        let wrong = self.rng.percent(8).then(|| self.rng.next() as u32);
        let entry = self.numbers[usize::from(as_handler)].entry(message.mux.get());
        let number = entry.or_default();
        if message.op == Op::ConnectMux {
            *number = 1;
            return 0;
        }
        if !as_handler && !counted {
            return wrong.unwrap_or(0);
        }
        let seq = *number;
        *number = seq.wrapping_add(1);
        wrong.unwrap_or(seq)
    }

    /// Bytes that are no message: noise, a message with something flipped, merged ones that lie about their number.
    fn bytes(&mut self) -> Bytes {
        let message = self.message();
        let mut bytes = Vec::new();
        match self.rng.below(4) {
            0 => (0..self.rng.below(200)).for_each(|_| bytes.push(self.rng.next() as u8)),
            1 => {
                message.encode(&mut bytes);
                let at = self.rng.index(bytes.len());
                bytes[at] ^= 1 << self.rng.below(8);
            }
            2 => {
                encode_merged(&[message.clone(), message], &mut bytes);
                let end = self.rng.index(bytes.len());
                bytes.truncate(end);
            }
            _ => {
                let mut lie = Message::new(Op::Merged, MuxId::CONNECTION);
                lie.seq = 4_000_000_000;
                lie.encode(&mut bytes);
            }
        }
        bytes.into()
    }
}
