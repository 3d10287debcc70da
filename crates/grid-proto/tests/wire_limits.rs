//! Input that is made to cost more than its own bytes: declared lengths, depth, and values that are skipped.

use bytes::Bytes;
use grid_proto::MuxId;
use grid_proto::wire::{
    ConnectRequest, DecodeError, Extra, Field, Kind, Message, Op, Ping, encode_merged, unfold,
};

/// A ping with `value` under a key that nobody knows, before its time.
fn ping_with(value: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x82, 0xa1, b'u'];
    bytes.extend_from_slice(value);
    bytes.extend_from_slice(&[0xa1, b't', 0xd6, 0xff, 0, 0, 0, 7]);
    bytes
}

#[test]
fn unknown_values_of_every_type_are_skipped() {
    let values: [&[u8]; 34] = [
        &[0xc0],
        &[0xc2],
        &[0xc3],
        &[0x00],
        &[0x7f],
        &[0xe0],
        &[0xff],
        &[0xcc, 1],
        &[0xcd, 1, 2],
        &[0xce, 1, 2, 3, 4],
        &[0xcf, 1, 2, 3, 4, 5, 6, 7, 8],
        &[0xd0, 1],
        &[0xd1, 1, 2],
        &[0xd2, 1, 2, 3, 4],
        &[0xd3, 1, 2, 3, 4, 5, 6, 7, 8],
        &[0xca, 1, 2, 3, 4],
        &[0xcb, 1, 2, 3, 4, 5, 6, 7, 8],
        &[0xa0],
        &[0xa1, b'x'],
        &[0xd9, 1, b'x'],
        &[0xda, 0, 1, b'x'],
        &[0xdb, 0, 0, 0, 1, b'x'],
        &[0xc4, 1, 9],
        &[0xc5, 0, 1, 9],
        &[0xc6, 0, 0, 0, 1, 9],
        &[0xd4, 1, 9],
        &[0xd5, 1, 9, 9],
        &[0xc7, 1, 5, 9],
        &[0xc8, 0, 1, 5, 9],
        &[0xc9, 0, 0, 0, 1, 5, 9],
        &[0x92, 0x01, 0x91, 0xc0],
        &[0xdc, 0, 2, 0x01, 0x90],
        &[0x81, 0xa1, b'k', 0x92, 0x01, 0x80],
        &[0xdf, 0, 0, 0, 1, 0x01, 0xdd, 0, 0, 0, 0],
    ];
    for value in values {
        let ping =
            Ping::decode(&ping_with(value)).unwrap_or_else(|error| panic!("{value:02x?}: {error}"));
        assert_eq!(ping.time.secs, 7, "{value:02x?}");
        // Cut anywhere, it is an error, wherever the skipped value ends.
        let whole = ping_with(value);
        for end in 0..whole.len() {
            assert!(
                Ping::decode(&whole[..end]).is_err(),
                "{value:02x?} cut at {end}"
            );
        }
    }
}

#[test]
fn the_reserved_byte_is_an_error() {
    let error = Ping::decode(&ping_with(&[0xc1])).unwrap_err();
    assert!(matches!(
        error,
        DecodeError::WrongType {
            field: Field::Unknown,
            found: Kind::Reserved,
            ..
        }
    ));
}

/// A million arrays in one another: a reader that recursed would run out of stack.
#[test]
fn depth_costs_nothing() {
    for head in [&[0x91][..], &[0x81, 0xc0]] {
        let mut value = head.repeat(1_000_000);
        assert!(Ping::decode(&ping_with(&value)).is_err());
        value.push(0xc0);
        assert_eq!(Ping::decode(&ping_with(&value)).unwrap().time.secs, 7);
    }
}

/// Lengths up to 2³² are declared and nothing is there. Were anything reserved by them, or counted through, this test
/// would not end.
#[test]
fn declared_lengths_cost_nothing() {
    let lengths: [&[u8]; 7] = [
        &[0xdd, 0xff, 0xff, 0xff, 0xff],
        &[0xdf, 0xff, 0xff, 0xff, 0xff],
        &[0xdb, 0xff, 0xff, 0xff, 0xff],
        &[0xc6, 0xff, 0xff, 0xff, 0xff],
        &[0xc9, 0xff, 0xff, 0xff, 0xff, 5],
        &[0xdc, 0xff, 0xff],
        &[0xde, 0xff, 0xff],
    ];
    for value in lengths {
        assert!(Ping::decode(&ping_with(value)).is_err(), "{value:02x?}");
    }
    // Arrays of 2³² arrays of 2³² …: the number of values to come stays a number.
    let nested = [0xdd, 0xff, 0xff, 0xff, 0xff].repeat(1_000);
    assert!(Ping::decode(&ping_with(&nested)).is_err());
    // As the head of a structure, and as the count of a merged message.
    assert!(Ping::decode(&[0xdf, 0xff, 0xff, 0xff, 0xff]).is_err());
    let merged = [0x97, 0, 0xce, 0xff, 0xff, 0xff, 0xff, 0, 0, 17, 0, 0xc4, 0];
    assert_eq!(unfold(Bytes::copy_from_slice(&merged)).count(), 1);
}

/// The key `X` switches extras on and never refuses a connection: what isn't understood there is as good as absent.
#[test]
fn an_extra_of_another_form_is_none() {
    let request_with = |extra: &[u8]| {
        let mut bytes = vec![0x81, 0xa1, b'X'];
        bytes.extend_from_slice(extra);
        ConnectRequest::decode(&bytes.into()).map(|request| request.extra)
    };
    let version = |extra: &[u8]| request_with(extra).unwrap().map(|extra| extra.version);
    assert_eq!(version(&[0x80]), Some(0));
    assert_eq!(version(b"\x81\xa7version\x02"), Some(2));
    assert_eq!(version(b"\x82\xa5later\x91\xc0\xa7version\x02"), Some(2));
    for other in [
        &b"\xc0"[..],
        b"\x01",
        b"\xa1x",
        b"\x81\xa7version\xa1x",
        b"\x81\xa7version\xff",
        b"\x81\x01\x02",
    ] {
        assert_eq!(request_with(other), Ok(None), "{other:02x?}");
    }
    // Not well formed at all: where it ends can't be known.
    assert!(request_with(b"\x81\xa7version").is_err());
    assert_eq!(
        request_with(b"\x82\xa7version\x01\xaccapabilities\xce\x80\0\0\0"),
        Ok(Some(Extra {
            version: 1,
            capabilities: 1 << 31
        }))
    );
}

/// Nobody who prints a connect request prints its token.
#[test]
fn the_token_is_not_shown() {
    let request = ConnectRequest {
        token: "s3cret".into(),
        host: "http://a".into(),
        ..ConnectRequest::default()
    };
    let shown = format!("{request:?} {request:#?}");
    assert!(shown.contains("http://a"));
    assert!(!shown.contains("s3cret"));
}

/// A payload that is kept apart keeps nothing of what it came in, alone or among others.
#[test]
fn a_payload_apart_keeps_nothing_else() {
    let message = |len: usize| Message {
        payload: vec![7; len].into(),
        ..Message::new(Op::Response, MuxId::new(1))
    };
    let mut alone = Vec::new();
    message(9).encode(&mut alone);
    let mut merged = Vec::new();
    encode_merged(&[message(9), message(9)], &mut merged);
    for bytes in [alone, merged] {
        let whole = Bytes::from(bytes);
        let range = whole.as_ptr_range();
        let kept = |apart: bool| {
            let read = unfold(whole.clone()).next_apart(|len| apart && len == 9);
            let payload = read.expect("one").expect("readable").payload;
            assert_eq!(payload, [7; 9][..]);
            range.contains(&payload.as_ptr())
        };
        assert_eq!((kept(true), kept(false)), (false, true));
    }
}
