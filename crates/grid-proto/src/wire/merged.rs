//! Several messages in one (protocol section 4).

use bytes::Bytes;

use super::error::{DecodeError, Field};
use super::frame::Frame;
use super::message::Message;
use super::op::Op;
use super::prefix::Prefix;
use super::quick;
use super::reader::Reader;
use super::writer::{bin_len, uint_len};
use crate::MuxId;

/// All messages of one websocket message, in order: the one it is, or those that were merged into it.
///
/// Each message is decoded when its turn comes, so those before a damaged one are there to be handled. What comes after
/// an error isn't looked at, nor are bytes after the last message. A merged message inside a merged one is yielded as the
/// message it is, and not taken apart.
///
/// ```
/// use bytes::Bytes;
/// use grid_proto::MuxId;
/// use grid_proto::wire::{Message, Op, encode_merged, unfold};
///
/// let messages = [Message::new(Op::AckMux, MuxId::new(1)), Message::new(Op::UnblockClMux, MuxId::new(2))];
/// let mut bytes = Vec::new();
/// encode_merged(&messages, &mut bytes);
///
/// let inside: Vec<_> = unfold(Bytes::from(bytes)).collect::<Result<_, _>>()?;
/// assert_eq!(inside, messages);
/// # Ok::<(), grid_proto::wire::DecodeError>(())
/// ```
pub fn unfold(bytes: Bytes) -> Unfold {
    match Frame::decode_parts(&bytes) {
        Ok((frame, at, rest)) if frame.op == Op::Merged => Unfold(Next::Inside {
            left: frame.seq,
            end: at + rest.len(),
            at,
            bytes,
        }),
        Ok((frame, end, _)) => {
            let (message, len) = (Message::without_payload(&frame), frame.payload.len());
            Unfold(Next::Single(message.with_tail(bytes, end, len)))
        }
        Err(error) => Unfold(Next::Damaged(error, bytes)),
    }
}

/// The messages of one websocket message. Made by [`unfold`].
#[derive(Debug)]
#[must_use]
pub struct Unfold(Next);

#[derive(Debug)]
enum Next {
    /// The whole is one message.
    Single(Message),
    /// The whole is a merged message, of which this is still to come.
    Inside {
        bytes: Bytes,
        left: u32,
        /// Where the next message begins.
        at: usize,
        /// Where the trailers begin.
        end: usize,
    },
    Damaged(DecodeError, Bytes),
    /// It is over, because this is no message.
    Spoilt(Bytes),
    Nothing,
}

impl Unfold {
    /// The bytes that are no message, once the error about them was given: for a report of what they may have been.
    #[must_use]
    pub fn spoilt(&self) -> Option<&[u8]> {
        match &self.0 {
            Next::Spoilt(bytes) => Some(bytes),
            _ => None,
        }
    }
}

impl Unfold {
    /// As [`next`](Iterator::next); a payload of whose length `apart` says so gets memory of its own, and is no slice of the
    /// whole: for those who keep it, and not the rest.
    ///
    /// ```
    /// use bytes::Bytes;
    /// use grid_proto::MuxId;
    /// use grid_proto::wire::{Message, Op, encode_merged, unfold};
    ///
    /// let kept = Message { payload: Bytes::from_static(b"kept"), ..Message::new(Op::Response, MuxId::new(1)) };
    /// let mut whole = Vec::new();
    /// encode_merged(&[kept.clone(), kept.clone()], &mut whole);
    ///
    /// let mut inside = unfold(Bytes::from(whole));
    /// let apart = inside.next_apart(|len| len < 100).transpose()?.unwrap_or_default();
    /// let slice = inside.next().transpose()?.unwrap_or_default();
    /// assert_eq!((&apart, &slice), (&kept, &kept));
    /// assert!(apart.payload.is_unique() && !slice.payload.is_unique());
    /// # Ok::<(), grid_proto::wire::DecodeError>(())
    /// ```
    pub fn next_apart(
        &mut self,
        apart: impl Fn(usize) -> bool,
    ) -> Option<Result<Message, DecodeError>> {
        if let Next::Inside {
            bytes,
            left,
            at,
            end,
        } = &mut self.0
        {
            *left = left.checked_sub(1)?;
            let message = next_inside(bytes, at, *end, apart);
            if message.is_err() {
                let rest = bytes.slice(*at..*end);
                let part = Reader::new(&rest)
                    .bin(Field::MergedPart)
                    .map(|part| rest.slice_ref(part));
                self.0 = Next::Spoilt(part.unwrap_or_default());
            }
            return Some(message);
        }
        match std::mem::replace(&mut self.0, Next::Nothing) {
            Next::Single(mut message) => {
                if apart(message.payload.len()) {
                    message.payload = Bytes::copy_from_slice(&message.payload);
                }
                Some(Ok(message))
            }
            Next::Damaged(error, bytes) => {
                self.0 = Next::Spoilt(bytes);
                Some(Err(error))
            }
            Next::Spoilt(bytes) => {
                self.0 = Next::Spoilt(bytes);
                None
            }
            Next::Inside { .. } | Next::Nothing => None,
        }
    }
}

impl Iterator for Unfold {
    type Item = Result<Message, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_apart(|_| false)
    }
}

impl std::iter::FusedIterator for Unfold {}

/// The message that stands in `bytes` between `at` and at most `end`; moves `at` behind it.
fn next_inside(
    bytes: &Bytes,
    at: &mut usize,
    end: usize,
    apart: impl Fn(usize) -> bool,
) -> Result<Message, DecodeError> {
    let rest = bytes.get(*at..end).unwrap_or_default();
    let mut after = rest;
    let (part, taken) = match quick::bin(&mut after) {
        Some(part) => (part, rest.len() - after.len()),
        None => {
            let mut reader = Reader::new(rest);
            let part = reader.bin(Field::MergedPart);
            (part.map_err(|error| error.inside(*at))?, reader.position())
        }
    };
    let part_end = *at + taken;
    let frame =
        Frame::decode(part).map_err(|error| error.inside(part_end.saturating_sub(part.len())))?;
    *at = part_end;
    let payload = if apart(frame.payload.len()) {
        Bytes::copy_from_slice(frame.payload)
    } else {
        bytes.slice_ref(frame.payload)
    };
    Ok(Message {
        payload,
        ..Message::without_payload(&frame)
    })
}

/// The number of bytes of a merged message whose messages have these [encoded lengths](Message::encoded_len).
#[must_use]
pub fn merged_len(lens: impl Iterator<Item = usize>) -> usize {
    let mut merged = MergedLen::default();
    lens.for_each(|len| merged.add(len));
    merged.total()
}

/// The number of bytes of a merged message that grows, to tell when it is full.
#[derive(Debug, Clone, Copy, Default)]
pub struct MergedLen {
    count: u32,
    parts: usize,
}

impl MergedLen {
    /// Counts a message of this [encoded length](Message::encoded_len).
    pub fn add(&mut self, len: usize) {
        self.count = self.count.saturating_add(1);
        self.parts = self.parts.saturating_add(bin_len(len));
    }

    /// What [`encode_merged`] appends for all of them.
    #[must_use]
    pub fn total(&self) -> usize {
        EMPTY_HEAD + uint_len(self.count.into()) + self.parts
    }
}

/// Appends one merged message that holds `messages`, in order.
///
/// # Panics
///
/// When a message has 4 GiB or more, or when there are 2³² of them.
pub fn encode_merged(messages: &[Message], out: &mut Vec<u8>) {
    // tidy: expect: the count is of our own messages, of which memory does not hold as many
    let count = u32::try_from(messages.len()).expect("a merged message counts in 32 bits");
    out.reserve(merged_len(messages.iter().map(Message::encoded_len)));
    encode_merged_head(count, out);
    for message in messages {
        encode_merged_part(&message.as_frame(), message.encoded_len(), out);
    }
}

/// Appends the head of a merged message. [`encode_merged_part`] must follow `count` times.
pub fn encode_merged_head(count: u32, out: &mut Vec<u8>) {
    head(count).encode(out);
}

/// Appends one message inside a merged one. `len` is its [encoded length](Message::encoded_len), which whoever puts a
/// merged message together knows already.
///
/// # Panics
///
/// When the message has 4 GiB or more.
pub fn encode_merged_part(frame: &Frame<'_>, len: usize, out: &mut Vec<u8>) {
    debug_assert_eq!(len, frame.encoded_len(), "it stands before the message");
    out.reserve(bin_len(len));
    let mut prefix = Prefix::new();
    prefix.bin_head(len);
    frame.write(prefix, out);
}

/// The encoded length of [`head`] without that of its count.
const EMPTY_HEAD: usize = 8;

fn head(count: u32) -> Frame<'static> {
    Frame {
        seq: count,
        ..Frame::new(Op::Merged, MuxId::CONNECTION)
    }
}
