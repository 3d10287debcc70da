//! What a call is meant to do, on both of its sides, and what it carries: every payload says whose it is.

use bytes::Bytes;
use grid_proto::{HandlerId, Payload, SubrouteId, conn::Capacity};

use crate::{
    rng::{Rng, mix},
    style::Style,
};

/// The handler of single requests.
pub(crate) const SINGLE: u8 = 1;
/// A handler that no node has.
pub(crate) const UNKNOWN: u8 = 2;
/// Stream handlers: this one and those after it, one for each of [`CAPACITIES`].
pub(crate) const STREAM: u8 = 10;
/// The capacities of the stream handlers, IN and OUT.
pub(crate) const CAPACITIES: [(u32, u32); 9] = [
    (0, 1),
    (0, 4),
    (0, 64),
    (1, 1),
    (2, 3),
    (5, 1),
    (1, 9),
    (16, 16),
    (3, 2),
];

/// What a payload is, in its stamp.
pub(crate) const REQUEST: u8 = 1;
pub(crate) const ANSWER: u8 = 2;
pub(crate) const INPUT: u8 = 3;
pub(crate) const OUTPUT: u8 = 4;

const MS: u64 = 1_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Carry {
    Absent,
    Empty,
    Full,
}

/// Who is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    Known,
    UnknownHandler,
    InvalidHandler,
    UnknownSubroute,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Ok,
    Error,
    Never,
    Refuse,
}

/// Times are in microseconds.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) nonce: u32,
    pub(crate) end: usize,
    pub(crate) stream: bool,
    /// The call, and the answer of a single request.
    pub(crate) urgent: bool,
    pub(crate) target: Target,
    pub(crate) carry: Carry,
    pub(crate) subroute: bool,
    pub(crate) deadline: Option<u64>,
    pub(crate) cancel_after: Option<u64>,
    pub(crate) answer: Answer,
    pub(crate) reply: Carry,
    /// How long the handler works before its first step.
    pub(crate) work: u64,
    pub(crate) handler: u8,
    /// What the caller takes the capacities for.
    pub(crate) caller_capacity: Capacity,
    pub(crate) capacity: Capacity,
    pub(crate) items_in: u32,
    pub(crate) items_out: u32,
    pub(crate) gap_in: u64,
    pub(crate) gap_out: u64,
    pub(crate) read_in: u64,
    pub(crate) read_out: u64,
    /// Readers take all that is there at once, and not one item after the other.
    pub(crate) gulp: bool,
    pub(crate) reads_input: bool,
    /// The consumer stops before this item for this long.
    pub(crate) stuck: Option<(u32, u64)>,
    pub(crate) fails: bool,
    /// The handler never returns of itself.
    pub(crate) hangs: bool,
    /// The handler goes on after it was cancelled.
    pub(crate) detached: bool,
}

impl Plan {
    pub(crate) fn request(rng: &mut Rng, nonce: u32, end: usize, style: &Style) -> Self {
        let target = match rng.below(40) {
            0 => Target::UnknownHandler,
            1 => Target::InvalidHandler,
            2 => Target::UnknownSubroute,
            _ => Target::Known,
        };
        let carry = rng.pick(&[
            Carry::Full,
            Carry::Full,
            Carry::Full,
            Carry::Empty,
            Carry::Absent,
        ]);
        let answer = match rng.below(24) {
            0 => Answer::Never,
            1 => Answer::Refuse,
            2..=4 => Answer::Error,
            _ => Answer::Ok,
        };
        let deadline = match rng.below(12) {
            0 => Some(rng.below(1_500)),
            1 => Some(rng.range(1, 40) * MS),
            2..=4 => Some(rng.range(100, 6_000) * MS + rng.below(MS)),
            _ => None,
        };
        let work = match rng.below(10) {
            0..=4 => 0,
            5..=7 => rng.range(1, 30) * MS,
            8 => rng.range(30, 400) * MS,
            _ => rng.range(400, style.longest_work / MS) * MS,
        };
        Self {
            target,
            carry,
            subroute: carry != Carry::Full || target == Target::UnknownSubroute || rng.percent(25),
            deadline,
            cancel_after: rng.percent(10).then(|| rng.below(60 * MS)),
            answer,
            reply: rng.pick(&[Carry::Full, Carry::Full, Carry::Empty, Carry::Absent]),
            work,
            handler: match target {
                Target::UnknownHandler => UNKNOWN,
                Target::InvalidHandler => 0,
                _ => SINGLE,
            },
            ..Self::blank(nonce, end)
        }
    }

    pub(crate) fn stream(rng: &mut Rng, nonce: u32, end: usize, style: &Style) -> Self {
        let base = Self::request(rng, nonce, end, style);
        let (input, output) = rng.pick(&CAPACITIES);
        let index = CAPACITIES
            .iter()
            .position(|known| *known == (input, output));
        let capacity = Capacity::new(input, output);
        let mut caller_capacity = capacity;
        match rng.below(30) {
            0 => caller_capacity.output = (output / 2).max(1),
            1 if input > 0 => caller_capacity.input += 3,
            _ => {}
        }
        let gap = |rng: &mut Rng| match rng.below(6) {
            0..=3 => 0,
            4 => rng.range(1, 3) * MS,
            _ => rng.range(1, 20) * MS,
        };
        let count = |rng: &mut Rng| match rng.below(8) {
            0 => 0,
            1 => 1,
            7 => rng.range(12, 40) as u32,
            _ => rng.range(2, 12) as u32,
        };
        let cancel_after = rng.percent(15).then(|| rng.below(style.longest_use));
        let deadline = base.deadline.filter(|_| rng.percent(70));
        let handler = match base.target {
            Target::Known | Target::UnknownSubroute => STREAM + index.unwrap_or(0) as u8,
            _ => base.handler,
        };
        Self {
            stream: true,
            handler,
            caller_capacity,
            capacity,
            items_in: if input > 0 { count(rng) } else { 0 },
            items_out: count(rng),
            gap_in: gap(rng),
            gap_out: gap(rng),
            read_in: gap(rng),
            read_out: gap(rng),
            gulp: rng.percent(40),
            reads_input: rng.percent(85),
            stuck: rng
                .percent(12)
                .then(|| (rng.below(8) as u32, stuck_for(rng))),
            fails: rng.percent(25),
            hangs: (cancel_after.is_some() || deadline.is_some()) && rng.percent(40),
            detached: rng.percent(35),
            cancel_after,
            deadline,
            ..base
        }
    }

    pub(crate) fn blank(nonce: u32, end: usize) -> Self {
        let capacity = Capacity::new(0, 1);
        Self {
            nonce,
            end,
            stream: false,
            urgent: nonce % 3 == 1,
            target: Target::Known,
            carry: Carry::Full,
            subroute: false,
            deadline: None,
            cancel_after: None,
            answer: Answer::Ok,
            reply: Carry::Full,
            work: 0,
            handler: SINGLE,
            caller_capacity: capacity,
            capacity,
            items_in: 0,
            items_out: 0,
            gap_in: 0,
            gap_out: 0,
            read_in: 0,
            read_out: 0,
            gulp: false,
            reads_input: true,
            stuck: None,
            fails: false,
            hangs: false,
            detached: false,
        }
    }

    /// Whether nothing but the deadline ends the call.
    pub(crate) fn waits_for_deadline(&self) -> bool {
        if self.stream {
            self.hangs
        } else {
            self.answer == Answer::Never
        }
    }

    pub(crate) fn subroute_id(&self) -> Option<SubrouteId> {
        self.subroute.then(|| {
            let mut bytes = [0; SubrouteId::LEN];
            bytes[0] = self.handler;
            bytes[2..6].copy_from_slice(&self.nonce.to_le_bytes());
            bytes[31] = u8::from(self.target == Target::UnknownSubroute);
            SubrouteId::from_bytes(bytes)
        })
    }

    pub(crate) fn handler_id(&self) -> HandlerId {
        HandlerId::new(self.handler)
    }

    /// What the call starts with.
    pub(crate) fn initial(&self) -> Payload {
        carried(self.carry, self.nonce, REQUEST)
    }

    /// What the handler gets of it: an empty request arrives as absent.
    pub(crate) fn arrives(&self) -> Payload {
        match self.carry {
            Carry::Empty if !self.stream => Payload::Absent,
            _ => self.initial(),
        }
    }

    pub(crate) fn reply(&self) -> Payload {
        carried(self.reply, self.nonce, ANSWER)
    }

    pub(crate) fn error_text(&self) -> String {
        if self.nonce.is_multiple_of(7) {
            return String::new();
        }
        format!("no luck with {}", self.nonce)
    }
}

/// Now and then for so long that all else has ended when the consumer goes on.
fn stuck_for(rng: &mut Rng) -> u64 {
    let (least, most) = rng.pick(&[(20, 700), (20, 700), (20, 700), (2_000, 8_000)]);
    rng.range(least, most) * MS
}

fn carried(carry: Carry, nonce: u32, kind: u8) -> Payload {
    match carry {
        Carry::Absent => Payload::Absent,
        Carry::Empty => Payload::from(""),
        Carry::Full => {
            let hash = mix(u64::from(nonce), u64::from(kind), 0);
            let extra = if hash.is_multiple_of(16) { 4_000 } else { 60 };
            Payload::from(stamp(nonce, kind, 0, 9 + (hash >> 8) as usize % extra))
        }
    }
}

/// Item number `index` of a stream.
pub(crate) fn item(nonce: u32, kind: u8, index: u32) -> Bytes {
    let hash = mix(u64::from(nonce), u64::from(kind), u64::from(index));
    let extra = (hash >> 16) as usize;
    match hash % 256 {
        0..16 => Bytes::new(),
        16..24 => stamp(nonce, kind, index, 9 + extra % 3_000),
        24 => stamp(nonce, kind, index, 9 + extra % 50_000),
        _ => stamp(nonce, kind, index, 9 + extra % 40),
    }
}

fn stamp(nonce: u32, kind: u8, index: u32, len: usize) -> Bytes {
    let mut bytes = Vec::with_capacity(len.max(9));
    bytes.extend_from_slice(&nonce.to_le_bytes());
    bytes.push(kind);
    bytes.extend_from_slice(&index.to_le_bytes());
    bytes.resize(len.max(9), kind ^ index as u8);
    bytes.into()
}

/// What a payload says that it is.
pub(crate) fn describe(bytes: &[u8]) -> String {
    match nonce_of(bytes) {
        Some(nonce) => {
            let index = u32::from_le_bytes([bytes[5], bytes[6], bytes[7], bytes[8]]);
            let kind = ["?", "request", "answer", "input", "output"][usize::from(bytes[4]).min(4)];
            format!("{kind} {index} of call {nonce} ({} bytes)", bytes.len())
        }
        None => format!("{} bytes without a stamp", bytes.len()),
    }
}

pub(crate) fn nonce_of(bytes: &[u8]) -> Option<u32> {
    (bytes.len() >= 9).then(|| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
}
