//! Where frames begin again, in bytes whose framing is lost.

use std::io::Cursor;

use grid_proto::wire::{DecodeError, Field, Flags, Inspection, Op};
use tungstenite::protocol::frame::{
    FrameHeader,
    coding::{Data, OpCode},
};

use super::LARGEST;

/// The array of a message with the longest forms of all numbers, up to the payload's bytes.
const LONGEST_ARRAY_HEAD: usize = 5 + 6 * 9 + 5;

/// The longest trailers of a message.
const LONGEST_TRAILERS: usize = 36;

/// Whether something begins here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Yes,
    No,
    /// It may, and more bytes will tell.
    Wait,
}

/// Whether a whole binary websocket frame begins here with a whole message in it, one that a node
/// would take.
///
/// That is much to ask for, so that no other bytes look like it: the lengths of the frame and of
/// the payload have to agree. A frame that `allowance` doesn't allow to look at is none.
pub(super) fn frame(bytes: &[u8], allowance: &mut Allowance) -> Verdict {
    match bytes.first() {
        None => return Verdict::Wait,
        Some(0x82) => {}
        Some(_) => return Verdict::No,
    }
    let mut cursor = Cursor::new(bytes);
    let (header, len) = match FrameHeader::parse(&mut cursor) {
        Ok(Some(parsed)) => parsed,
        Ok(None) => return Verdict::Wait,
        Err(_) => return Verdict::No,
    };
    let Some(len) = usize::try_from(len).ok().filter(|len| *len <= LARGEST) else {
        return Verdict::No;
    };
    let header_len = usize::try_from(cursor.position()).unwrap_or(usize::MAX);
    // Nobody writes a length longer than it must be.
    let is_minimal = header_len == header.len(u64::try_from(len).unwrap_or(u64::MAX));
    if header.opcode != OpCode::Data(Data::Binary) || !is_minimal {
        return Verdict::No;
    }
    let there = bytes.get(header_len..).unwrap_or_default();
    let begin = there.get(..len.min(LONGEST_ARRAY_HEAD)).unwrap_or(there);
    let is_plausible = plausible(&unmasked(begin, header.mask), len);
    if is_plausible == Verdict::No {
        return Verdict::No;
    }
    match there.get(..len) {
        Some(whole) if allowance.spend(len) && is_taken(&unmasked(whole, header.mask)) => {
            Verdict::Yes
        }
        Some(_) => Verdict::No,
        None => Verdict::Wait,
    }
}

/// The bytes without their mask.
pub(super) fn unmasked(bytes: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if let Some(mask) = mask {
        for (byte, key) in bytes.iter_mut().zip(mask.iter().cycle()) {
            *byte ^= key;
        }
    }
    bytes
}

/// Whether a message of `len` bytes can begin so.
fn plausible(begin: &[u8], len: usize) -> Verdict {
    let is_whole = begin.len() >= len.min(LONGEST_ARRAY_HEAD);
    match Inspection::of(begin) {
        Ok(seen) if seen.frame.op == Op::Merged => Verdict::Wait,
        Ok(seen) => fits(seen.rest_at, len),
        Err(DecodeError::Truncated {
            field: Field::Payload,
            offset,
        }) => match begin.get(offset..) {
            Some([0xc4, len8, ..]) => fits(offset + 2 + usize::from(*len8), len),
            Some([0xc5, a, b, ..]) => {
                fits(offset + 3 + usize::from(u16::from_be_bytes([*a, *b])), len)
            }
            Some([0xc6, a, b, c, d, ..]) => {
                let declared = u32::from_be_bytes([*a, *b, *c, *d]);
                let declared = usize::try_from(declared).unwrap_or(usize::MAX);
                fits(declared.saturating_add(offset + 5), len)
            }
            _ if is_whole => Verdict::No,
            _ => Verdict::Wait,
        },
        Err(DecodeError::Truncated { .. }) if !is_whole => Verdict::Wait,
        Err(_) => Verdict::No,
    }
}

/// Whether an array of this length fills a message but for the trailers.
fn fits(array: usize, len: usize) -> Verdict {
    if (array..=array.saturating_add(LONGEST_TRAILERS)).contains(&len) {
        Verdict::Wait
    } else {
        Verdict::No
    }
}

/// Whether these bytes are a message that a node would take, and one without stray bytes.
fn is_taken(bytes: &[u8]) -> bool {
    let Ok(seen) = Inspection::of(bytes) else {
        return false;
    };
    let is_known = |seen: &Inspection<'_>| seen.is_intact() && seen.frame.op.name().is_some();
    if !is_known(&seen) {
        return false;
    }
    if seen.frame.op != Op::Merged {
        return seen.rest.is_empty();
    }
    seen.frame.seq > 0
        && seen.parts().all(|part| {
            part.is_ok_and(|(_, part)| Inspection::of(part).is_ok_and(|inner| is_known(&inner)))
        })
}

/// Whether a message without checksum is likely to be one.
pub(super) fn is_likely(seen: &Inspection<'_>) -> bool {
    let frame = &seen.frame;
    let unnamed = frame.flags.bits() & !0x3f;
    seen.is_intact()
        && frame.op.name().is_some()
        && (frame.flags.contains(Flags::CRC) || unnamed == 0)
}

/// How many bytes may be looked at in vain, so that bytes made to look like messages can't hold up
/// the rest: as many as a few of the largest messages, and more with every byte that comes.
#[derive(Debug)]
pub(super) struct Allowance(u64);

impl Allowance {
    const FIRST: u64 = 256 << 20;
    const PER_BYTE: u64 = 64;
    /// Small messages are found whatever was before them.
    const ALWAYS: usize = 1024;

    pub(super) fn new() -> Self {
        Self(Self::FIRST)
    }

    pub(super) fn earn(&mut self, bytes: usize) {
        let earned = u64::try_from(bytes)
            .unwrap_or(u64::MAX)
            .saturating_mul(Self::PER_BYTE);
        self.0 = self.0.saturating_add(earned).min(Self::FIRST);
    }

    /// How many bytes may be looked at now.
    pub(super) fn window(&self) -> usize {
        usize::try_from(self.0)
            .unwrap_or(usize::MAX)
            .max(Self::ALWAYS)
    }

    /// So many bytes are looked at; false where that is more than is allowed.
    pub(super) fn spend(&mut self, bytes: usize) -> bool {
        let is_allowed = bytes <= self.window();
        self.0 = self
            .0
            .saturating_sub(u64::try_from(bytes).unwrap_or(u64::MAX));
        is_allowed
    }
}
