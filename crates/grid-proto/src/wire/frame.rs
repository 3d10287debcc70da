//! One message, borrowed.

use std::fmt;

use super::checksum::checksum;
use super::error::{DecodeError, Field};
use super::flags::Flags;
use super::op::Op;
use super::prefix::Prefix;
use super::quick;
use super::reader::Reader;
use super::writer::{bin_len, uint_len};
use crate::{HandlerId, MuxId, SubrouteId};

/// The head of an array of 7, the one form in which it is written.
const ENVELOPE_HEAD: u8 = 0x97;
const ENVELOPE_FIELDS: u32 = 7;
pub(super) const CHECKSUM_LEN: usize = 4;

/// One message: an envelope and its trailers (protocol section 3). It borrows the payload; [`Message`] owns it.
///
/// On the wire:
///
/// ```text
/// msgpack array of 7   [mux_id, seq, deadline_ms, handler, op, flags, payload]
/// 32 bytes             subroute id,   only with SUBROUTE
/// 4 bytes              checksum,      only with CRC
/// ```
///
/// [`Message`]: super::Message
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Frame<'a> {
    /// The request or stream.
    pub mux: MuxId,
    /// The number of the message in its mux and direction; for [`Op::Merged`] the number of messages inside.
    pub seq: u32,
    /// The time that the caller has left, in milliseconds; 0 = no deadline.
    pub deadline_ms: u32,
    /// The handler that is called.
    pub handler: HandlerId,
    /// What the message is for.
    pub op: Op,
    /// What else is to know. [`encode`](Self::encode) takes [`Flags::SUBROUTE`] from `subroute` instead.
    pub flags: Flags,
    /// The payload; empty where there is none.
    pub payload: &'a [u8],
    /// The subroute that is called.
    pub subroute: Option<SubrouteId>,
}

impl<'a> Frame<'a> {
    /// A message without payload, flags and all else.
    #[must_use]
    pub fn new(op: Op, mux: MuxId) -> Self {
        Self {
            op,
            mux,
            ..Self::default()
        }
    }

    /// The message that `bytes` hold.
    ///
    /// Bytes between the array and the trailers are ignored; those of a merged message are its content.
    ///
    /// # Errors
    ///
    /// When the array isn't one of 7 with fields that fit, when a trailer is missing that the flags promise, and when
    /// the checksum is wrong.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        Self::decode_with_rest(bytes).map(|(frame, _)| frame)
    }

    /// The message that `bytes` hold, and the bytes between its array and its trailers.
    ///
    /// # Errors
    ///
    /// As [`decode`](Self::decode).
    pub fn decode_with_rest(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), DecodeError> {
        Self::decode_parts(bytes).map(|(frame, _, rest)| (frame, rest))
    }

    /// The message, where its array ends, and the bytes between there and its trailers.
    pub(super) fn decode_parts(bytes: &'a [u8]) -> Result<(Self, usize, &'a [u8]), DecodeError> {
        let (mut frame, end) = match quick::read(bytes) {
            Some(read) => read,
            None => {
                let mut reader = Reader::new(bytes);
                (Self::read_array(&mut reader)?, reader.position())
            }
        };
        let mut rest = bytes.get(end..).unwrap_or_default();
        if frame.flags.contains(Flags::CRC) {
            rest = check(bytes, rest, end)?;
        }
        if frame.flags.contains(Flags::SUBROUTE) {
            let (stray, id) = split_trailer(rest, end, Field::Subroute)?;
            frame.subroute = Some(SubrouteId::from_bytes(*id));
            rest = stray;
        }
        Ok((frame, end, rest))
    }

    /// The array alone, without the trailers that its flags promise.
    pub(super) fn read_array(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let offset = reader.position();
        let fields = reader.array_len(Field::Envelope)?;
        if fields != ENVELOPE_FIELDS {
            return Err(DecodeError::WrongLength {
                field: Field::Envelope,
                offset,
                found: fields,
                wanted: ENVELOPE_FIELDS,
            });
        }
        Ok(Self {
            mux: MuxId::new(reader.u64(Field::MuxId)?),
            seq: reader.u32(Field::Seq)?,
            deadline_ms: reader.u32(Field::DeadlineMs)?,
            handler: HandlerId::new(reader.u8(Field::Handler)?),
            op: Op::from_u8(reader.u8(Field::Op)?),
            flags: Flags::from_bits_retain(reader.u8(Field::Flags)?),
            payload: reader.bin(Field::Payload)?,
            subroute: None,
        })
    }

    /// The number of bytes that [`encode`](Self::encode) appends.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        let mut len = 1
            + uint_len(self.mux.get())
            + uint_len(self.seq.into())
            + uint_len(self.deadline_ms.into())
            + uint_len(self.handler.get().into())
            + uint_len(self.op.as_u8().into())
            + uint_len(self.wire_flags().bits().into())
            + bin_len(self.payload.len());
        if self.subroute.is_some() {
            len += SubrouteId::LEN;
        }
        if self.flags.contains(Flags::CRC) {
            len += CHECKSUM_LEN;
        }
        len
    }

    /// Appends the message: integers in their smallest form, the subroute id where there is one, and the checksum where
    /// the flags have [`Flags::CRC`].
    ///
    /// [`Flags::SUBROUTE`] goes out exactly where there is a subroute id, whatever `flags` say of it; every other flag
    /// as given.
    ///
    /// # Panics
    ///
    /// When the payload has 4 GiB or more, for which the wire has no form.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.reserve(self.encoded_len());
        self.write(Prefix::new(), out);
    }

    /// As [`encode`](Self::encode), behind what stands in `prefix`, and for a caller that knows that there is room.
    #[inline]
    pub(super) fn write(&self, mut prefix: Prefix, out: &mut Vec<u8>) {
        let start = out.len() + prefix.len();
        prefix.byte(ENVELOPE_HEAD);
        prefix.uint(self.mux.get());
        prefix.uint(self.seq.into());
        prefix.uint(self.deadline_ms.into());
        prefix.uint(self.handler.get().into());
        prefix.uint(self.op.as_u8().into());
        prefix.uint(self.wire_flags().bits().into());
        prefix.bin_head(self.payload.len());
        out.extend_from_slice(prefix.as_slice());
        out.extend_from_slice(self.payload);
        if let Some(subroute) = &self.subroute {
            out.extend_from_slice(subroute.as_bytes());
        }
        if self.flags.contains(Flags::CRC) {
            let sum = checksum(out.get(start..).unwrap_or_default());
            out.extend_from_slice(&sum.to_le_bytes());
        }
    }

    fn wire_flags(&self) -> Flags {
        let mut flags = self.flags;
        flags.set(Flags::SUBROUTE, self.subroute.is_some());
        flags
    }
}

/// Shows the payload's length and never its bytes.
impl fmt::Debug for Frame<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frame")
            .field("op", &self.op)
            .field("mux", &self.mux.get())
            .field("seq", &self.seq)
            .field("deadline_ms", &self.deadline_ms)
            .field("handler", &self.handler.get())
            .field("flags", &self.flags)
            .field("payload_len", &self.payload.len())
            .field("subroute", &self.subroute)
            .finish()
    }
}

/// Compares the checksum that ends `bytes`, whose array ends at `offset`; gives back `rest` without it.
fn check<'a>(bytes: &[u8], rest: &'a [u8], offset: usize) -> Result<&'a [u8], DecodeError> {
    let (rest, given) = split_trailer::<CHECKSUM_LEN>(rest, offset, Field::Checksum)?;
    let body = bytes.get(..offset + rest.len()).unwrap_or_default();
    let (given, computed) = (u32::from_le_bytes(*given), checksum(body));
    if given == computed {
        Ok(rest)
    } else {
        Err(DecodeError::WrongChecksum {
            offset: body.len(),
            given,
            computed,
        })
    }
}

pub(super) fn split_trailer<const N: usize>(
    rest: &[u8],
    offset: usize,
    field: Field,
) -> Result<(&[u8], &[u8; N]), DecodeError> {
    rest.split_last_chunk::<N>()
        .ok_or_else(|| DecodeError::MissingTrailer {
            field,
            offset,
            found: u32::try_from(rest.len()).unwrap_or(u32::MAX),
            wanted: u32::try_from(N).unwrap_or(u32::MAX),
        })
}
