//! Messages that are not whole yet: no more is kept for them than twice what has come, nor than they may have.

use bytes::{Bytes, BytesMut};

/// A large payload, read to where it will stay: behind the fragments before it, so that no message is held twice.
pub(super) struct Large {
    pub(super) bytes: Vec<u8>,
    /// Where the payload of this frame begins.
    pub(super) start: usize,
    /// Where it ends.
    pub(super) end: usize,
}

/// The fragments of a message so far.
pub(super) struct Partial {
    pub(super) text: bool,
    pub(super) bytes: Vec<u8>,
}

impl Partial {
    /// The whole message.
    pub(super) fn finish(mut self) -> Bytes {
        // Whoever keeps the message would keep the room that it grew into.
        if self.bytes.capacity() - self.bytes.len() > self.bytes.len() / 16 {
            self.bytes.shrink_to_fit();
        }
        self.bytes.into()
    }
}

/// Makes room for `more` bytes: twice what is there, but not beyond `most`.
pub(super) fn grow(bytes: &mut Vec<u8>, more: usize, most: usize) {
    let needed = bytes.len() + more;
    if bytes.capacity() < needed {
        let wanted = (2 * bytes.len()).min(most).max(needed);
        bytes.reserve_exact(wanted - bytes.len());
    }
}

/// Makes room in the buffer of a connection; `allocated` is the most that it was asked for since it was a new one.
pub(super) fn make_room(buffer: &mut BytesMut, allocated: &mut usize, wanted: usize) {
    if buffer.is_empty() && wanted < *allocated {
        // To reserve would be to use the large one again, for as long as the connection lives.
        *buffer = BytesMut::with_capacity(wanted);
        *allocated = wanted;
    } else {
        buffer.reserve(wanted);
        *allocated = (*allocated).max(wanted);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_twice_what_came_and_never_more_than_a_message() {
        let mut bytes = Vec::new();
        for _ in 0..1_000 {
            grow(&mut bytes, 10, 10_000);
            bytes.extend_from_slice(&[7; 10]);
            assert!(bytes.capacity() <= (2 * bytes.len()).min(10_000));
        }
        let partial = Partial {
            text: false,
            bytes: Vec::with_capacity(1_000),
        };
        assert!(partial.finish().is_empty());
    }
}
