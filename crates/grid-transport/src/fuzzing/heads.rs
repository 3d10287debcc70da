//! Heads of HTTP: what they say does not depend on the pieces that they come in.

use bytes::BytesMut;

use super::{feed::Feed, run};
use crate::{
    io::BoxIo,
    ws::{RequestHead, checked_answer},
};

/// The longest head, so short that inputs reach it.
const MOST: usize = 600;

/// A request in pieces and at once, or the answer to one.
pub fn http_heads(data: &[u8]) {
    let [mode, piece, rest @ ..] = data else {
        return;
    };
    if mode & 1 == 0 {
        request(rest, usize::from(*piece));
    } else {
        answer(rest);
    }
}

fn read(bytes: &[u8], piece: usize) -> Option<(RequestHead, BytesMut)> {
    let mut io: BoxIo = Box::new(Feed::new(bytes, piece));
    run(RequestHead::read(&mut io, MOST)).ok()
}

fn request(bytes: &[u8], piece: usize) {
    match (read(bytes, usize::MAX), read(bytes, piece)) {
        (Some((one, ahead)), Some((other, less_ahead))) => {
            assert_eq!(one.path, other.path);
            assert_eq!(one.bearer, other.bearer);
            assert_eq!(one.time, other.time);
            assert_eq!(one.switching(), other.switching());
            assert!(!one.path.contains('?'));
            assert!(ahead.starts_with(&less_ahead), "the head has two ends");
        }
        (None, None) => {}
        (Some(_), None) => panic!("a head that is right only at once"),
        (None, Some(_)) => panic!("a head that is right only in pieces"),
    }
}

fn answer(bytes: &[u8]) {
    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
    let whole = checked_answer(bytes, KEY);
    if let Ok(Some(len)) = whole {
        assert!(len <= bytes.len());
        for less in 0..len {
            let part = bytes.get(..less).unwrap_or_default();
            assert!(
                matches!(checked_answer(part, KEY), Ok(None)),
                "granted by {less} of {len} bytes"
            );
        }
        let head = bytes.get(..len).unwrap_or_default();
        assert_eq!(checked_answer(head, KEY).ok(), Some(Some(len)));
    }
}
