//! What can be read of a message, for tools that show messages to people.

use super::checksum::checksum;
use super::error::{DecodeError, Field};
use super::flags::Flags;
use super::frame::{CHECKSUM_LEN, Frame, split_trailer};
use super::op::Op;
use super::reader::Reader;
use crate::SubrouteId;

/// A message as it stands there, right or wrong (protocol section 3).
///
/// [`Frame::decode`] refuses a message whose checksum is wrong or whose trailers are cut off, as a node must. This is for
/// those who look at a recording and want to know what was in it all the same.
///
/// ```
/// use grid_proto::MuxId;
/// use grid_proto::wire::{ChecksumState, Flags, Frame, Inspection, Op};
///
/// let frame = Frame { flags: Flags::CRC, ..Frame::new(Op::AckMux, MuxId::new(7)) };
/// let mut bytes = Vec::new();
/// frame.encode(&mut bytes);
/// assert!(Inspection::of(&bytes)?.is_intact());
///
/// bytes[1] ^= 1;
/// assert!(Frame::decode(&bytes).is_err());
/// let seen = Inspection::of(&bytes)?;
/// assert_eq!(seen.frame.mux, MuxId::new(6));
/// assert!(matches!(seen.checksum, ChecksumState::Wrong { .. }));
/// # Ok::<(), grid_proto::wire::DecodeError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Inspection<'a> {
    /// The message. Its subroute is none where the bytes for it are missing.
    pub frame: Frame<'a>,
    /// What became of the checksum.
    pub checksum: ChecksumState,
    /// The trailer that the flags promise and that isn't there.
    pub missing: Option<DecodeError>,
    /// What stands between the array and the trailers: the messages of a merged one, stray bytes of any other.
    pub rest: &'a [u8],
    /// Where `rest` begins.
    pub rest_at: usize,
}

/// What became of the checksum of a message.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ChecksumState {
    /// The flags promise none.
    Absent,
    /// It is that of the bytes.
    Right,
    /// It differs from that of the bytes.
    Wrong {
        /// The checksum that was sent.
        given: u32,
        /// The checksum of the bytes.
        computed: u32,
    },
    /// The flags promise one and the bytes end before it.
    Missing,
}

impl<'a> Inspection<'a> {
    /// The message that `bytes` hold, as [`Frame::decode`] sees it: the trailers stand at the end, and what is between the
    /// array and them belongs to neither.
    ///
    /// # Errors
    ///
    /// When the array isn't one of 7 with fields that fit.
    pub fn of(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let mut frame = Frame::read_array(&mut reader)?;
        let rest_at = reader.position();
        let mut rest = reader.rest();
        let mut missing = None;
        let mut state = ChecksumState::Absent;
        if frame.flags.contains(Flags::CRC) {
            match split_trailer::<CHECKSUM_LEN>(rest, rest_at, Field::Checksum) {
                Ok((before, given)) => {
                    let body = bytes.get(..rest_at + before.len()).unwrap_or_default();
                    let (given, computed) = (u32::from_le_bytes(*given), checksum(body));
                    state = if given == computed {
                        ChecksumState::Right
                    } else {
                        ChecksumState::Wrong { given, computed }
                    };
                    rest = before;
                }
                Err(error) => {
                    missing = Some(error);
                    state = ChecksumState::Missing;
                }
            }
        }
        if missing.is_none() && frame.flags.contains(Flags::SUBROUTE) {
            match split_trailer::<{ SubrouteId::LEN }>(rest, rest_at, Field::Subroute) {
                Ok((before, id)) => {
                    frame.subroute = Some(SubrouteId::from_bytes(*id));
                    rest = before;
                }
                Err(error) => missing = Some(error),
            }
        }
        Ok(Self {
            frame,
            checksum: state,
            missing,
            rest,
            rest_at,
        })
    }

    /// The message that `bytes` begin with, and [how many bytes it has](Self::prefix_len).
    ///
    /// # Errors
    ///
    /// As [`prefix_len`](Self::prefix_len).
    pub fn of_prefix(bytes: &'a [u8]) -> Result<(Self, usize), DecodeError> {
        let len = Self::prefix_len(bytes)?;
        let whole = bytes.get(..len).unwrap_or(bytes);
        Self::of(whole).map(|seen| (seen, len))
    }

    /// How many bytes the message has that `bytes` begin with, where messages stand one behind the other without a frame
    /// around them. Such a message has no stray bytes. Its checksum is not looked at.
    ///
    /// # Errors
    ///
    /// As [`of`](Self::of), and when the bytes end before the message does: the error is then a
    /// [`Truncated`](DecodeError::Truncated) or a [`MissingTrailer`](DecodeError::MissingTrailer).
    pub fn prefix_len(bytes: &[u8]) -> Result<usize, DecodeError> {
        let mut reader = Reader::new(bytes);
        let frame = Frame::read_array(&mut reader)?;
        if frame.op == Op::Merged {
            for _ in 0..frame.seq {
                reader.bin(Field::MergedPart)?;
            }
        }
        let mut len = reader.position();
        for (flag, field, trailer) in [
            (Flags::SUBROUTE, Field::Subroute, SubrouteId::LEN),
            (Flags::CRC, Field::Checksum, CHECKSUM_LEN),
        ] {
            if frame.flags.contains(flag) {
                let found = bytes.len().saturating_sub(len);
                if found < trailer {
                    return Err(DecodeError::MissingTrailer {
                        field,
                        offset: len,
                        found: u32::try_from(found).unwrap_or(u32::MAX),
                        wanted: u32::try_from(trailer).unwrap_or(u32::MAX),
                    });
                }
                len += trailer;
            }
        }
        Ok(len)
    }

    /// Whether a node would take it: all trailers are there, and the checksum isn't wrong. The messages inside a merged
    /// one are not looked at.
    #[must_use]
    pub const fn is_intact(&self) -> bool {
        self.missing.is_none()
            && matches!(self.checksum, ChecksumState::Absent | ChecksumState::Right)
    }

    /// The messages inside a merged one, in order; none where it is no merged one.
    pub const fn parts(&self) -> Parts<'a> {
        Parts {
            rest: self.rest,
            at: self.rest_at,
            left: if matches!(self.frame.op, Op::Merged) {
                self.frame.seq
            } else {
                0
            },
        }
    }
}

/// The bytes of each message inside a merged one, and where they begin. Made by [`Inspection::parts`].
///
/// Ends behind the first bin that can't be read, since nobody knows where the next one begins. A bin that can be read is
/// given whatever is in it.
#[derive(Clone, Debug)]
#[must_use]
pub struct Parts<'a> {
    rest: &'a [u8],
    /// Where `rest` begins.
    at: usize,
    left: u32,
}

impl<'a> Iterator for Parts<'a> {
    type Item = Result<(usize, &'a [u8]), DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let mut reader = Reader::new(self.rest);
        match reader.bin(Field::MergedPart) {
            Ok(part) => {
                self.at += reader.position();
                self.rest = reader.rest();
                Some(Ok((self.at - part.len(), part)))
            }
            Err(error) => {
                self.left = 0;
                Some(Err(error.inside(self.at)))
            }
        }
    }
}

impl std::iter::FusedIterator for Parts<'_> {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Message, encode_merged};
    use crate::{HandlerId, MuxId};

    fn request() -> Frame<'static> {
        Frame {
            handler: HandlerId::new(9),
            flags: Flags::CRC | Flags::SUBROUTE,
            payload: b"hello",
            subroute: Some(SubrouteId::new(HandlerId::new(9), "a")),
            ..Frame::new(Op::Request, MuxId::new(300))
        }
    }

    fn encoded(frame: &Frame<'_>) -> Vec<u8> {
        let mut bytes = Vec::new();
        frame.encode(&mut bytes);
        bytes
    }

    #[test]
    fn what_decodes_is_intact_and_the_same() {
        let bytes = encoded(&request());
        let seen = Inspection::of(&bytes).unwrap();
        assert!(seen.is_intact());
        assert_eq!(seen.checksum, ChecksumState::Right);
        assert_eq!(Ok(seen.frame), Frame::decode(&bytes));
        let mut followed = bytes.clone();
        followed.extend_from_slice(&bytes);
        assert_eq!(Inspection::of_prefix(&followed), Ok((seen, bytes.len())));
    }

    #[test]
    fn a_wrong_checksum_hides_nothing() {
        let mut bytes = encoded(&request());
        let last = bytes.len() - 1;
        bytes[last] ^= 0x80;
        let seen = Inspection::of(&bytes).unwrap();
        assert!(!seen.is_intact());
        assert_eq!(seen.frame, request());
        let ChecksumState::Wrong { given, computed } = seen.checksum else {
            panic!("{seen:?}")
        };
        assert_eq!(given, computed ^ 0x8000_0000);
    }

    #[test]
    fn every_cut_is_told() {
        let bytes = encoded(&request());
        for len in 0..bytes.len() {
            let cut = &bytes[..len];
            assert!(matches!(
                Inspection::of_prefix(cut),
                Err(DecodeError::Truncated { .. } | DecodeError::MissingTrailer { .. })
            ));
            if let Ok(seen) = Inspection::of(cut) {
                assert!(!seen.is_intact(), "{len}");
                assert_eq!(seen.frame.payload, b"hello");
            }
        }
    }

    #[test]
    fn parts_go_on_behind_a_damaged_one() {
        let messages = [1, 2, 3].map(|mux| Message {
            flags: Flags::CRC,
            ..Message::new(Op::AckMux, MuxId::new(mux))
        });
        let mut bytes = Vec::new();
        encode_merged(&messages, &mut bytes);
        let (seen, len) = Inspection::of_prefix(&bytes).unwrap();
        assert_eq!(len, bytes.len());
        let parts: Vec<_> = seen.parts().map(Result::unwrap).collect();
        assert_eq!(parts.len(), 3);
        for (at, part) in &parts {
            assert_eq!(&bytes[*at..at + part.len()], *part);
        }
        let (second, _) = parts[1];
        let (third, _) = parts[2];
        bytes[second] = 0xc0;
        let seen = Inspection::of(&bytes).unwrap();
        let read: Vec<_> = seen
            .parts()
            .map(|part| Inspection::of(part.unwrap().1))
            .collect();
        assert!(read[0].is_ok() && read[1].is_err() && read[2].is_ok());
        // Where the length is gone, so is what follows.
        bytes[third - 2] = 0xc0;
        let seen = Inspection::of(&bytes).unwrap();
        let read: Vec<_> = seen.parts().collect();
        assert_eq!(read.len(), 3);
        assert_eq!(read[2].as_ref().unwrap_err().offset(), third - 2);
    }

    #[test]
    fn a_count_beyond_the_content_ends() {
        let head = Frame {
            seq: u32::MAX,
            ..Frame::new(Op::Merged, MuxId::CONNECTION)
        };
        let bytes = encoded(&head);
        assert_eq!(Inspection::of(&bytes).unwrap().parts().count(), 1);
        assert!(Inspection::of_prefix(&bytes).is_err());
    }
}
