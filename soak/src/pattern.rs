//! Content that both ends can work out, so that each byte of it is checked.

use bytes::{BufMut, Bytes, BytesMut};

use crate::rng::Rng;

/// Number, order, length and a word that checks them, before the bytes that follow from them.
const HEAD: usize = 24;

/// What a payload says about itself: a number, and how many bytes follow from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// What the bytes follow from.
    pub number: u64,
    /// What the receiver should do; its meaning is that of the handler.
    pub order: u32,
    /// How many bytes follow.
    pub len: u32,
}

/// A payload of a number, an order and so many bytes.
#[must_use]
pub fn make(head: Head) -> Bytes {
    let mut bytes = BytesMut::with_capacity(HEAD + head.len as usize);
    bytes.put_u64(head.number);
    bytes.put_u32(head.order);
    bytes.put_u32(head.len);
    let mut rng = Rng::new(head.number, &[u64::from(head.order), u64::from(head.len)]);
    bytes.put_u64(rng.draw());
    let mut left = head.len as usize;
    while left > 0 {
        let word = rng.draw().to_be_bytes();
        let part = left.min(word.len());
        bytes.put_slice(&word[..part]);
        left -= part;
    }
    bytes.freeze()
}

/// What a payload says, if every byte of it is right.
#[must_use]
pub fn read(bytes: &[u8]) -> Option<Head> {
    let (head, _) = bytes.split_first_chunk::<HEAD>()?;
    let head = Head {
        number: u64::from_be_bytes(*head.first_chunk()?),
        order: u32::from_be_bytes(*head[8..].first_chunk()?),
        len: u32::from_be_bytes(*head[12..].first_chunk()?),
    };
    // The length is looked at first: a wrong one must not make us build gigabytes.
    (bytes.len() == HEAD + head.len as usize && make(head) == bytes).then_some(head)
}

/// The number of an answer or item, which follows from that of the call and what made it.
#[must_use]
pub fn derived(number: u64, by: u64) -> u64 {
    Rng::new(number, &[by]).draw()
}

/// The item of this place in a stream: mostly small, sometimes empty, seldom large.
#[must_use]
pub fn item(stream: u64, place: u32) -> Bytes {
    let mut rng = Rng::new(stream, &[u64::from(place)]);
    let number = rng.draw();
    let len = match rng.range(0..100) {
        0..10 => return Bytes::new(),
        10..90 => rng.range(0..300),
        90..99 => rng.range(300..8_000),
        _ => rng.range(8_000..100_000),
    };
    make(Head {
        number,
        order: place,
        len: len as u32,
    })
}

/// A word that only the answer to this call has.
#[must_use]
pub fn word(number: u64, what: &str) -> String {
    format!("{what} {:016x}", derived(number, what.len() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bit_is_checked() {
        for len in [0, 1, 7, 8, 9, 100] {
            let head = Head {
                number: 77,
                order: 3,
                len,
            };
            let bytes = make(head);
            assert_eq!(read(&bytes), Some(head));
            assert_eq!(read(&bytes[..bytes.len() - 1]), None);
            for bit in 0..bytes.len() * 8 {
                let mut wrong = bytes.to_vec();
                wrong[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(read(&wrong), None, "bit {bit} of {len}");
            }
        }
    }
}
