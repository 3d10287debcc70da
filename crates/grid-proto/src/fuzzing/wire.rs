//! The wire: decoding never panics, what was decoded is written and read again as the same, and lengths are exact.

use bytes::Bytes;

use crate::wire::{
    ConnectRejection, ConnectRequest, ConnectResponse, DecodeError, Flags, Frame, Inspection,
    Message, MuxConnectError, MuxRejection, Op, Ping, Pong, Text, Timestamp, encode_merged,
    merged_len, unfold,
};
use crate::{HandlerId, MuxId, SubrouteId};

/// Any bytes as one message.
pub fn frame_decode(data: &[u8]) {
    let bytes = Bytes::copy_from_slice(data);
    match (Frame::decode_with_rest(data), Message::decode(bytes)) {
        (Ok((frame, rest)), Ok(message)) => {
            assert_eq!(message.as_frame(), frame);
            assert_eq!(
                frame.subroute.is_some(),
                frame.flags.contains(Flags::SUBROUTE)
            );
            assert!(frame.payload.len() + rest.len() < data.len());
        }
        (Err(frame), Err(message)) => {
            assert_eq!(frame, message);
            assert_placed(frame, data);
        }
        (frame, message) => panic!("{frame:?} but {message:?}"),
    }
    inspect(data);
}

/// What a node takes is intact, and what it refuses is not.
fn inspect(data: &[u8]) {
    let decoded = Frame::decode_with_rest(data);
    match Inspection::of(data) {
        Ok(seen) => {
            assert_eq!(seen.is_intact(), decoded.is_ok());
            if let Ok(decoded) = decoded {
                assert_eq!((seen.frame, seen.rest), decoded);
            }
            assert!(data[seen.rest_at..].starts_with(seen.rest));
            for part in seen.parts() {
                match part {
                    Ok((at, part)) => assert!(data[at..].starts_with(part)),
                    Err(error) => assert_placed(error, data),
                }
            }
        }
        Err(error) => assert_eq!(decoded, Err(error)),
    }
    if let Ok((seen, len)) = Inspection::of_prefix(data) {
        assert_eq!(Inspection::of(&data[..len]), Ok(seen));
        assert!(seen.missing.is_none());
    }
}

/// Any bytes as one message that is written again, and as the fields of one.
pub fn frame_roundtrip(data: &[u8]) {
    let mut bytes = data.to_vec();
    if let Err(DecodeError::WrongChecksum {
        offset, computed, ..
    }) = Frame::decode(&bytes)
    {
        bytes[offset..offset + 4].copy_from_slice(&computed.to_le_bytes());
    }
    if let Ok(frame) = Frame::decode(&bytes) {
        assert_roundtrip(&frame);
    }
    let frame = frame_of(data);
    let mut encoded = assert_roundtrip(&frame);
    if frame.flags.contains(Flags::CRC) {
        // A flip before the flags may hide that there is a checksum; one that leaves it there is found.
        let at = usize::from(data.first().copied().unwrap_or_default()) % encoded.len();
        encoded[at] ^= 1;
        let is_found =
            Frame::decode(&encoded).map_or(true, |flipped| !flipped.flags.contains(Flags::CRC));
        assert!(is_found, "a flipped bit was not found");
    }
}

/// Any bytes as a merged message, and cut into the messages of one.
pub fn merged(data: &[u8]) {
    let (messages, error) = take_apart(data.to_vec().into());
    if let Some(error) = error {
        assert_placed(error, data);
    }
    assert_remerged(&messages);
    let parts: Vec<_> = data
        .split(|byte| *byte == 0xff)
        .take(64)
        .map(|part| Message::decode(encode(&frame_of(part)).into()).unwrap())
        .collect();
    assert_remerged(&parts);
}

/// Any bytes as every structure, and as the texts that mean something.
pub fn structures(data: &[u8]) {
    let bytes = Bytes::copy_from_slice(data);
    if let Ok(value) = ConnectRequest::decode(&bytes) {
        let again = written(value.encoded_len(), |out| value.encode(out));
        assert_eq!(ConnectRequest::decode(&again), Ok(value));
    }
    if let Ok(value) = ConnectResponse::decode(&bytes) {
        let again = written(value.encoded_len(), |out| value.encode(out));
        assert_eq!(ConnectResponse::decode(&again), Ok(value));
    }
    if let Ok(value) = MuxConnectError::decode(&bytes) {
        let again = written(value.encoded_len(), |out| value.encode(out));
        assert_eq!(MuxConnectError::decode(&again), Ok(value));
    }
    if let Ok(value) = Pong::decode(&bytes) {
        let again = written(value.encoded_len(), |out| value.encode(out));
        assert_eq!(Pong::decode(&again), Ok(value));
    }
    match Ping::decode_prefix(data) {
        Ok((value, len)) => {
            assert!(len <= data.len());
            assert_time(value.time);
            let again = written(value.encoded_len(), |out| value.encode(out));
            assert_eq!(Ping::decode(&again), Ok(value));
        }
        Err(error) => assert_placed(error, data),
    }
    assert_eq!(ConnectRejection::from_text(data).to_text().as_bytes(), data);
    assert_eq!(MuxRejection::from_text(data).to_text().as_bytes(), data);
    let text = Text::from(bytes);
    assert_eq!(text.to_string(), text.to_string_lossy());
}

fn assert_placed(error: DecodeError, data: &[u8]) {
    assert!(error.offset() <= data.len(), "{error}");
    assert!(!error.to_string().is_empty());
}

fn assert_roundtrip(frame: &Frame<'_>) -> Vec<u8> {
    let encoded = encode(frame);
    assert_eq!(encoded.len(), frame.encoded_len());
    let (again, rest) = Frame::decode_with_rest(&encoded).unwrap();
    assert_eq!(again, *frame);
    assert!(rest.is_empty());
    encoded
}

fn assert_remerged(messages: &[Message]) {
    let mut out = Vec::new();
    encode_merged(messages, &mut out);
    assert_eq!(
        out.len(),
        merged_len(messages.iter().map(Message::encoded_len))
    );
    assert_eq!(take_apart(out.into()), (messages.to_vec(), None));
}

fn assert_time(time: Timestamp) {
    assert!(time.nanos < 1_000_000_000);
    assert_eq!(Timestamp::from_unix_nanos(time.unix_nanos()), time);
    if let Some(system) = time.to_system_time() {
        assert_eq!(Timestamp::from(system), time);
    }
}

fn take_apart(bytes: Bytes) -> (Vec<Message>, Option<DecodeError>) {
    let mut messages = Vec::new();
    // A part takes two bytes at least, so a declared count can't make more messages than this.
    let limit = bytes.len();
    for result in unfold(bytes) {
        match result {
            Ok(message) => messages.push(message),
            Err(error) => return (messages, Some(error)),
        }
        assert!(messages.len() <= limit.max(1));
    }
    (messages, None)
}

fn encode(frame: &Frame<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    frame.encode(&mut out);
    out
}

fn written(len: usize, encode: impl FnOnce(&mut Vec<u8>)) -> Bytes {
    let mut out = Vec::new();
    encode(&mut out);
    assert_eq!(out.len(), len);
    out.into()
}

/// The message whose fields `data` spells, one after the other.
fn frame_of(data: &[u8]) -> Frame<'_> {
    let (head, payload) = data.split_at(data.len().min(20));
    let mut bytes = [0; 20];
    bytes[..head.len()].copy_from_slice(head);
    let word = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
    let mut flags = Flags::from_bits_retain(bytes[18]);
    flags.set(Flags::SUBROUTE, bytes[19] & 1 == 1);
    Frame {
        mux: MuxId::new(u64::from(word(0)) << (bytes[19] >> 3)),
        seq: word(4),
        deadline_ms: word(8) >> (bytes[19] & 7),
        handler: HandlerId::new(bytes[16]),
        op: Op::from_u8(bytes[17]),
        flags,
        payload,
        subroute: flags
            .contains(Flags::SUBROUTE)
            .then(|| SubrouteId::from_bytes([bytes[12]; 32])),
    }
}
