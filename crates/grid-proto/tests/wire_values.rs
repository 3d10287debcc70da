//! The small values of the wire, at their limits.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use grid_proto::wire::{
    DecodeError, Field, Flags, Frame, Message, Op, Ping, Text, Timestamp, encode_merged,
    merged_len, stream_text,
};
use grid_proto::{HandlerId, InstanceId, MuxId, Payload, Route, SubrouteId};

#[test]
fn every_op_keeps_its_number() {
    for number in 0..=u8::MAX {
        let op = Op::from_u8(number);
        assert_eq!(op.as_u8(), number);
        let is_known = (1..=17).contains(&number);
        assert_eq!(op.name().is_some(), is_known, "{op}");
        assert_eq!(matches!(op, Op::Unknown(_)), !is_known, "{op}");
        assert_eq!(Op::ALL.contains(&op), is_known, "{op}");
    }
    assert_eq!(Op::Unknown(200).to_string(), "Op(200)");
}

#[test]
fn every_flag_travels_as_it_is() {
    for bits in 0..=u8::MAX {
        let flags = Flags::from_bits_retain(bits);
        let message = Message {
            flags,
            ..Message::new(Op::AckMux, MuxId::new(1))
        };
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        // There is no subroute id to go with the flag, so the flag doesn't travel either.
        assert_eq!(
            Frame::decode(&bytes).unwrap().flags,
            flags - Flags::SUBROUTE
        );
    }
    let subroute = Some(SubrouteId::zero(HandlerId::new(1)));
    let message = Message {
        subroute,
        ..Message::new(Op::Request, MuxId::new(1))
    };
    let mut bytes = Vec::new();
    message.encode(&mut bytes);
    let frame = Frame::decode(&bytes).unwrap();
    assert_eq!((frame.flags, frame.subroute), (Flags::SUBROUTE, subroute));
}

#[test]
fn payloads_are_absent_or_present() {
    assert_eq!(Payload::default(), Payload::Absent);
    assert!(Payload::Absent.is_empty() && Payload::Absent.is_absent());
    let empty = Payload::from("");
    assert!(empty.is_empty() && !empty.is_absent());
    assert_eq!(Payload::Absent.into_bytes(), empty.into_bytes());
    assert_eq!(
        format!("{:?}", Payload::from(b"secret")),
        "Present(6 bytes)"
    );
    let message = Message::new(Op::Request, MuxId::new(1)).with_content("secret".into());
    assert!(!format!("{message:?}").contains("secret"));
    // A flag from an earlier content doesn't stay.
    let message = message.with_content("".into()).with_content("x".into());
    assert_eq!(message.flags, Flags::empty());
}

/// Type −1 in each of its three lengths, and in longer heads than needed.
#[test]
fn standard_times_are_read_in_every_form() {
    let read = |time: &[u8]| {
        Ping::decode(&[b"\x81\xa1t", time].concat()).map(|ping| (ping.time.secs, ping.time.nanos))
    };
    assert_eq!(read(b"\xd6\xff\xff\xff\xff\xff"), Ok((0xffff_ffff, 0)));
    assert_eq!(read(b"\xc7\x04\xff\0\0\0\x01"), Ok((1, 0)));
    assert_eq!(
        read(b"\xd7\xff\xee\x6b\x27\xff\xff\xff\xff\xff"),
        Ok((0x3_ffff_ffff, 999_999_999))
    );
    assert_eq!(read(b"\xc9\0\0\0\x08\xff\0\0\0\x04\0\0\0\x02"), Ok((2, 1)));
    assert_eq!(
        read(b"\xc8\0\x0c\xff\x3b\x9a\xc9\xff\x80\0\0\0\0\0\0\0"),
        Ok((i64::MIN, 999_999_999))
    );
    let invalid: [&[u8]; 5] = [
        b"\xc7\x0c\xff\x3b\x9a\xca\0\0\0\0\0\0\0\0\0",
        b"\xd7\xff\xee\x6b\x28\0\0\0\0\0",
        b"\xd5\xff\0\0",
        b"\xd8\xff\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
        // The carried second has no room.
        b"\xc7\x0c\x05\x7f\xff\xff\xff\xff\xff\xff\xff\x7f\xff\xff\xff",
    ];
    for time in invalid {
        let error = read(time).unwrap_err();
        assert_eq!(
            error,
            DecodeError::InvalidTime {
                field: Field::Time,
                offset: 3
            },
            "{time:02x?}"
        );
    }
    assert_eq!(
        read(b"\xd4\x06\0").unwrap_err(),
        DecodeError::WrongExtension {
            field: Field::Time,
            offset: 3,
            found: 6
        }
    );
}

#[test]
fn times_meet_the_system_clock() {
    for (time, secs, nanos) in [
        (UNIX_EPOCH, 0, 0),
        (
            UNIX_EPOCH + Duration::from_nanos(1_500_000_000),
            1,
            500_000_000,
        ),
        (UNIX_EPOCH - Duration::from_nanos(1), -1, 999_999_999),
        (UNIX_EPOCH - Duration::from_nanos(2_000_000_000), -2, 0),
    ] {
        let timestamp = Timestamp::from(time);
        assert_eq!((timestamp.secs, timestamp.nanos), (secs, nanos));
        assert_eq!(timestamp.to_system_time(), Some(time));
    }
    let now = SystemTime::now();
    assert_eq!(Timestamp::from(now).to_system_time(), Some(now));
    assert!(Timestamp::default().is_zero());
}

#[test]
fn times_don_t_overflow() {
    let first = Timestamp {
        secs: i64::MIN,
        nanos: 0,
    };
    let last = Timestamp {
        secs: i64::MAX,
        nanos: 999_999_999,
    };
    assert_eq!(first.abs_diff(last), Duration::new(u64::MAX, 999_999_999));
    assert_eq!(first.nanos_since(last), -last.nanos_since(first));
    assert_eq!(last.saturating_add(Duration::from_nanos(1)), last);
    assert_eq!(first.saturating_add(Duration::MAX), last);
    assert_eq!(Timestamp::from_unix_nanos(i128::MIN), first);
    assert_eq!(Timestamp::from_unix_nanos(i128::MAX), last);
}

#[test]
fn errors_read_as_sentences() {
    let cases: [(&[u8], &str); 7] = [
        (b"", "envelope at byte 0 is cut short"),
        (b"\x96", "envelope at byte 0 has length 6, not 7"),
        (b"\x97\xc0", "mux id at byte 1 is nil, not an integer"),
        (
            b"\x97\x01\x02\x03\xcd\x01\x00",
            "handler id at byte 4 is out of range",
        ),
        (
            b"\x97\x01\x02\x03\x04\x05\x01\xc4\x01",
            "payload at byte 7 is cut short",
        ),
        (
            b"\x97\x01\x02\x03\x04\x05\x01\xc4\0ab",
            "checksum at byte 9 is missing: 2 of 4 bytes are there",
        ),
        (
            b"\x97\x01\x02\x03\x04\x05\x20\xc4\0",
            "subroute id at byte 9 is missing: 0 of 32 bytes are there",
        ),
    ];
    for (bytes, text) in cases {
        assert_eq!(Frame::decode(bytes).unwrap_err().to_string(), text);
    }
}

#[test]
fn ids_and_texts_are_shown_for_people() {
    let id = InstanceId::new(*b"\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\xff");
    assert_eq!(id.to_string(), "000102030405060708090a0b0c0d0eff");
    assert_eq!(MuxId::new(7).to_string(), "7");
    assert!(!HandlerId::new(0).is_valid() && HandlerId::new(255).is_valid());
    assert_eq!(Route::from("a").join("").join("b").to_string(), "a//b");
    let zero = SubrouteId::zero(HandlerId::new(0x4e));
    assert!(zero.to_string().starts_with("4e00") && zero.to_string().len() == 64);
    assert_eq!(
        format!("{:?}", Text::from(b"a\xffb".to_vec())),
        "\"a\u{fffd}b\""
    );
    assert_eq!(
        stream_text::sequence_mismatch(1, u32::MAX),
        "receive sequence number mismatch. want 1, got 4294967295"
    );
}

/// A text that outlives its message can be kept without keeping the message's buffer.
#[test]
fn detached_texts_have_a_buffer_of_their_own() {
    let text = Text::from("kept");
    let copy = text.detached();
    assert_eq!(text, copy);
    assert_ne!(text.as_bytes().as_ptr(), copy.as_bytes().as_ptr());
}

/// The promised length is all the room that encoding needs.
#[test]
fn encoding_into_reserved_room_moves_nothing() {
    let message = Message {
        flags: Flags::CRC,
        subroute: Some(SubrouteId::zero(HandlerId::new(9))),
        ..Message::new(Op::Request, MuxId::new(u64::MAX))
    }
    .with_content(vec![1; 70_000].into());
    let mut out = Vec::with_capacity(message.encoded_len());
    let (place, capacity) = (out.as_ptr(), out.capacity());
    message.encode(&mut out);
    assert_eq!((out.as_ptr(), out.capacity()), (place, capacity));

    let messages = vec![message; 20];
    let mut out = Vec::with_capacity(merged_len(messages.iter().map(Message::encoded_len)));
    let (place, capacity) = (out.as_ptr(), out.capacity());
    encode_merged(&messages, &mut out);
    assert_eq!((out.as_ptr(), out.capacity()), (place, capacity));
}
