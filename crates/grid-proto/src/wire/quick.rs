//! Reading an envelope in the forms that senders use, without keeping account of what may be wrong with it.

use super::{flags::Flags, frame::Frame, op::Op};
use crate::{HandlerId, MuxId};

/// The envelope at the beginning of `bytes`, and where it ends. `None` where it is damaged or of a rarer form:
/// [`Frame::read_array`] reads that, or says what is wrong and where.
pub(super) fn read(bytes: &[u8]) -> Option<(Frame<'_>, usize)> {
    let mut rest = bytes.strip_prefix(&[0x97])?;
    let frame = Frame {
        mux: MuxId::new(uint(&mut rest)?),
        seq: u32::try_from(uint(&mut rest)?).ok()?,
        deadline_ms: u32::try_from(uint(&mut rest)?).ok()?,
        handler: HandlerId::new(u8::try_from(uint(&mut rest)?).ok()?),
        op: Op::from_u8(u8::try_from(uint(&mut rest)?).ok()?),
        flags: Flags::from_bits_retain(u8::try_from(uint(&mut rest)?).ok()?),
        payload: bin(&mut rest)?,
        subroute: None,
    };
    Some((frame, bytes.len() - rest.len()))
}

#[inline]
fn uint(rest: &mut &[u8]) -> Option<u64> {
    let (first, tail) = rest.split_first()?;
    *rest = tail;
    match first {
        0..=0x7f => Some(u64::from(*first)),
        0xcc => array(rest).map(u8::from_be_bytes).map(u64::from),
        0xcd => array(rest).map(u16::from_be_bytes).map(u64::from),
        0xce => array(rest).map(u32::from_be_bytes).map(u64::from),
        0xcf => array(rest).map(u64::from_be_bytes),
        _ => None,
    }
}

/// A bin at the beginning of `rest`, which is moved behind it; where there is none `rest` is of no use any more.
#[inline]
pub(super) fn bin<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (first, tail) = rest.split_first()?;
    *rest = tail;
    let len = match first {
        0xc4 => usize::from(u8::from_be_bytes(array(rest)?)),
        0xc5 => usize::from(u16::from_be_bytes(array(rest)?)),
        0xc6 => usize::try_from(u32::from_be_bytes(array(rest)?)).ok()?,
        _ => return None,
    };
    let (bytes, tail) = rest.split_at_checked(len)?;
    *rest = tail;
    Some(bytes)
}

#[inline]
fn array<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (bytes, tail) = rest.split_first_chunk()?;
    *rest = tail;
    Some(*bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::reader::Reader;

    /// What is read quickly is read the same thoroughly; says whether it was.
    fn agrees(bytes: &[u8]) -> bool {
        let mut reader = Reader::new(bytes);
        let thorough = Frame::read_array(&mut reader).map(|frame| (frame, reader.position()));
        let quick = read(bytes);
        if quick.is_some() {
            assert_eq!(quick, thorough.ok(), "{bytes:x?}");
        }
        quick.is_some()
    }

    #[test]
    fn what_is_written_is_read_quickly_and_any_byte_that_is_wrong_thoroughly() {
        let wide = [
            0,
            1,
            0x7f,
            0x80,
            0xff,
            0x100,
            0xffff,
            0x1_0000,
            u32::MAX.into(),
            1 << 32,
            u64::MAX,
        ];
        let small: Vec<u32> = wide
            .iter()
            .filter_map(|wide| u32::try_from(*wide).ok())
            .collect();
        let payload = vec![0xc6; 70_000];
        let mut damaged = 0;
        for (index, mux) in wide.into_iter().enumerate() {
            for (length, seq) in [0, 1, 255, 256, 65_535, 65_536]
                .into_iter()
                .zip(small.iter().cycle().skip(index))
            {
                let frame = Frame {
                    mux: MuxId::new(mux),
                    seq: *seq,
                    deadline_ms: seq / 3,
                    handler: HandlerId::new(seq.to_le_bytes()[0]),
                    flags: Flags::EOF,
                    payload: &payload[..length],
                    ..Frame::new(Op::Request, MuxId::new(1))
                };
                let mut bytes = Vec::new();
                frame.encode(&mut bytes);
                assert!(agrees(&bytes));
                let head = bytes.len() - length;
                for at in 0..head {
                    assert!(!agrees(&bytes[..at]));
                    for wrong in 0..=u8::MAX {
                        let right = std::mem::replace(&mut bytes[at], wrong);
                        damaged += usize::from(!agrees(&bytes));
                        bytes[at] = right;
                    }
                }
            }
        }
        assert!(damaged > 10_000, "{damaged}");
    }
}
