//! A frame: length of the payload, id, kind, payload.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

const HEAD: usize = 9;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Request,
    Answer,
    /// Opens a stream; the payload is what is asked for.
    Open,
    Item,
    /// The other side has taken an item.
    Credit,
    End,
}

impl Kind {
    fn of(byte: u8) -> Option<Self> {
        let all = [
            Self::Request,
            Self::Answer,
            Self::Open,
            Self::Item,
            Self::Credit,
            Self::End,
        ];
        all.get(usize::from(byte)).copied()
    }
}

/// Takes the first whole frame from what was read.
pub(crate) fn split(read: &mut BytesMut) -> Option<(u32, Kind, Bytes)> {
    if read.len() < HEAD {
        return None;
    }
    let mut head = &read[..HEAD];
    let (len, id, kind) = (head.get_u32_le(), head.get_u32_le(), head.get_u8());
    let len = HEAD + len as usize;
    if read.len() < len {
        return None;
    }
    let mut frame = read.split_to(len).freeze();
    frame.advance(HEAD);
    Some((id, Kind::of(kind)?, frame))
}

pub(crate) fn put(out: &mut Vec<u8>, id: u32, kind: Kind, payload: &[u8]) {
    out.put_u32_le(payload.len() as u32);
    out.put_u32_le(id);
    out.put_u8(kind as u8);
    out.put_slice(payload);
}
