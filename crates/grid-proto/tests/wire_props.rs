//! What holds for every message, structure and run of bytes.

use bytes::Bytes;
use grid_proto::wire::{
    ConnectRejection, ConnectRequest, ConnectResponse, Extra, Flags, Frame, Message,
    MuxConnectError, MuxRejection, Op, Ping, Pong, Text, Timestamp, encode_merged, merged_len,
    unfold,
};
use grid_proto::{HandlerId, InstanceId, MuxId, Payload, SubrouteId, local_dials};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

/// Numbers of every width on the wire, not only large ones.
fn any_width() -> impl Strategy<Value = u64> {
    (any::<u64>(), 0_u32..64).prop_map(|(number, shift)| number >> shift)
}

fn narrow() -> impl Strategy<Value = u32> {
    (any::<u32>(), 0_u32..32).prop_map(|(number, shift)| number >> shift)
}

fn text() -> impl Strategy<Value = Text> {
    let sizes = prop_oneof![
        0..40_usize,
        Just(255),
        Just(256),
        Just(65_535),
        Just(65_536)
    ];
    sizes
        .prop_flat_map(|len| vec(any::<u8>(), len))
        .prop_map(Text::from)
}

prop_compose! {
    fn message_with(payload: BoxedStrategy<Vec<u8>>)(
        mux in any_width(),
        seq in narrow(),
        deadline_ms in narrow(),
        handler in any::<u8>(),
        op in any::<u8>(),
        flags in any::<u8>(),
        payload in payload,
        subroute in option::of(any::<[u8; 32]>()),
    ) -> Message {
        let subroute = subroute.map(SubrouteId::from_bytes);
        let mut flags = Flags::from_bits_retain(flags);
        flags.set(Flags::SUBROUTE, subroute.is_some());
        Message {
            mux: MuxId::new(mux),
            seq,
            deadline_ms,
            handler: HandlerId::new(handler),
            op: Op::from_u8(op),
            flags,
            payload: payload.into(),
            subroute,
        }
    }
}

fn message() -> impl Strategy<Value = Message> {
    message_with(prop_oneof![vec(any::<u8>(), 0..300), vec(any::<u8>(), 65_530..65_540)].boxed())
}

fn small_message() -> impl Strategy<Value = Message> {
    message_with(vec(any::<u8>(), 0..40).boxed())
}

fn timestamp() -> impl Strategy<Value = Timestamp> {
    (any::<i64>(), 0_u32..1_000_000_000).prop_map(|(secs, nanos)| Timestamp { secs, nanos })
}

fn extra() -> impl Strategy<Value = Option<Extra>> {
    option::of(
        (narrow(), any_width()).prop_map(|(version, capabilities)| Extra {
            version,
            capabilities,
        }),
    )
}

fn encode(message: &Message) -> Vec<u8> {
    let mut out = Vec::new();
    message.encode(&mut out);
    out
}

/// Writes a value behind other bytes and checks the promised length.
fn written(len: usize, encode: impl FnOnce(&mut Vec<u8>)) -> Bytes {
    let mut out = vec![0xee; 3];
    encode(&mut out);
    assert_eq!(out.len(), 3 + len);
    assert_eq!(out[..3], [0xee; 3]);
    Bytes::from(out).slice(3..)
}

proptest! {
    #[test]
    fn a_message_is_read_as_it_was_written(message in message()) {
        let bytes = written(message.encoded_len(), |out| message.encode(out));
        let (frame, rest) = Frame::decode_with_rest(&bytes).unwrap();
        prop_assert_eq!(frame, message.as_frame());
        prop_assert!(rest.is_empty());
        prop_assert_eq!(Message::decode(bytes).unwrap(), message);
    }

    #[test]
    fn a_cut_message_is_an_error(message in small_message()) {
        // Without a trailer nothing stands behind the array, with one every cut hits it.
        let bytes = encode(&message);
        for end in 0..bytes.len() {
            let error = Frame::decode(&bytes[..end]).unwrap_err();
            prop_assert!(error.offset() <= end, "{}", error);
        }
    }

    #[test]
    fn a_flipped_bit_is_found(message in small_message()) {
        let message = Message { flags: message.flags | Flags::CRC, ..message };
        let bytes = encode(&message);
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            if let Ok(frame) = Frame::decode(&flipped) {
                // Only a message that no longer says that it has a checksum gets through.
                prop_assert!(!frame.flags.contains(Flags::CRC), "bit {}", bit);
            }
        }
    }

    #[test]
    fn stray_bytes_before_the_trailers_are_ignored(message in small_message(), stray in vec(any::<u8>(), 1..50)) {
        let plain = Message { flags: message.flags - Flags::CRC - Flags::SUBROUTE, subroute: None, ..message };
        let mut bytes = encode(&plain);
        bytes.extend_from_slice(&stray);
        let (frame, rest) = Frame::decode_with_rest(&bytes).unwrap();
        prop_assert_eq!(frame, plain.as_frame());
        prop_assert_eq!(rest, stray);
    }

    #[test]
    fn any_bytes_are_a_message_or_an_error(bytes in vec(any::<u8>(), 0..200)) {
        let mut headed = vec![0x97];
        headed.extend_from_slice(&bytes);
        for bytes in [bytes, headed] {
            let count = unfold(Bytes::from(bytes.clone())).count();
            prop_assert!(count <= bytes.len() + 1);
            if let Err(error) = Frame::decode(&bytes) {
                prop_assert!(error.offset() <= bytes.len());
            }
        }
    }

    #[test]
    fn merged_messages_come_out_in_order(messages in vec(small_message(), 0..60)) {
        let len = merged_len(messages.iter().map(Message::encoded_len));
        let bytes = written(len, |out| encode_merged(&messages, out));
        let inside: Vec<_> = unfold(bytes).collect::<Result<_, _>>().unwrap();
        prop_assert_eq!(inside, messages);
    }

    #[test]
    fn a_cut_merged_message_yields_what_is_whole(messages in vec(small_message(), 1..6), cut in any::<prop::sample::Index>()) {
        let mut bytes = Vec::new();
        encode_merged(&messages, &mut bytes);
        bytes.truncate(cut.index(bytes.len()));
        let results: Vec<_> = unfold(bytes.into()).collect();
        let (last, whole) = results.split_last().unwrap();
        prop_assert!(last.is_err());
        for (result, message) in whole.iter().zip(&messages) {
            prop_assert_eq!(result.as_ref().unwrap(), message);
        }
        prop_assert!(whole.len() < messages.len());
    }

    #[test]
    fn content_is_absent_empty_or_bytes(message in message(), content in option::of(vec(any::<u8>(), 0..3))) {
        let content = content.map_or(Payload::Absent, Payload::from);
        let message = message.with_content(content.clone());
        let zero = content == Payload::Present(Bytes::new());
        prop_assert_eq!(message.content(), content);
        prop_assert_eq!(message.flags.contains(Flags::PAYLOAD_IS_ZERO), zero);
    }

    #[test]
    fn connect_structures_are_read_as_written(
        id in any::<[u8; 16]>(), host in text(), time in timestamp(), token in text(),
        accepted in any::<bool>(), extra in extra(),
    ) {
        let request = ConnectRequest { id: InstanceId::new(id), host, time, token, extra };
        let bytes = written(request.encoded_len(), |out| request.encode(out));
        prop_assert_eq!(ConnectRequest::decode_prefix(&bytes).unwrap(), (request.clone(), bytes.len()));
        let response = ConnectResponse { id: request.id, accepted, rejected_reason: request.host, extra };
        let bytes = written(response.encoded_len(), |out| response.encode(out));
        prop_assert_eq!(ConnectResponse::decode_prefix(&bytes).unwrap(), (response, bytes.len()));
    }

    #[test]
    fn call_structures_are_read_as_written(not_found in any::<bool>(), error in option::of(text()), time in timestamp()) {
        let ping = Ping { time };
        let bytes = written(ping.encoded_len(), |out| ping.encode(out));
        prop_assert_eq!(Ping::decode_prefix(&bytes).unwrap(), (ping, bytes.len()));
        let mux_error = MuxConnectError { error: error.clone().unwrap_or_default() };
        let bytes = written(mux_error.encoded_len(), |out| mux_error.encode(out));
        prop_assert_eq!(MuxConnectError::decode_prefix(&bytes).unwrap(), (mux_error, bytes.len()));
        let pong = Pong { not_found, error, time };
        let bytes = written(pong.encoded_len(), |out| pong.encode(out));
        prop_assert_eq!(Pong::decode_prefix(&bytes).unwrap(), (pong, bytes.len()));
    }

    #[test]
    fn a_cut_structure_is_an_error(host in vec(any::<u8>(), 0..40), extra in extra()) {
        let request = ConnectRequest { host: host.into(), extra, ..ConnectRequest::default() };
        let bytes = written(request.encoded_len(), |out| request.encode(out));
        for end in 0..bytes.len() {
            prop_assert!(ConnectRequest::decode(&bytes.slice(..end)).is_err());
        }
    }

    #[test]
    fn any_text_is_a_rejection_that_prints_the_same(known in 0..12_usize, rest in vec(any::<u8>(), 0..40)) {
        let heads = [
            "reading connect: ", "error parsing grid connect: ", "unexpected connect op: ", "error parsing connectReq: ",
            "unknown incoming host: ", "time difference too large between servers: ", "auth token: ", "expected remote '",
            "grid: expected to be client side, not server side", "Invalid Handler", "Invalid Handler for type: ", "",
        ];
        let text = [heads[known].as_bytes(), &rest].concat();
        let (connect, mux) = (ConnectRejection::from_text(&text).to_text(), MuxRejection::from_text(&text).to_text());
        prop_assert_eq!(connect.as_bytes(), &*text);
        prop_assert_eq!(mux.as_bytes(), &*text);
        let shown = String::from_utf8_lossy(&text).into_owned();
        prop_assert_eq!(Text::from(text).to_string(), shown);
    }

    #[test]
    fn every_skew_and_subroute_is_recognised(nanos in 0..i64::MAX.unsigned_abs(), shift in 0..63_u32, id in any::<[u8; 32]>()) {
        let rejection = ConnectRejection::ClockSkew(std::time::Duration::from_nanos(nanos >> shift));
        prop_assert_eq!(ConnectRejection::from_text(rejection.to_text().as_bytes()), rejection);
        let rejection = MuxRejection::UnknownSubroute(SubrouteId::from_bytes(id));
        prop_assert_eq!(MuxRejection::from_text(rejection.to_text().as_bytes()), rejection);
    }

    #[test]
    fn one_of_two_nodes_dials(a in "[a-z:/.0-9]{0,30}", b in "[a-z:/.0-9]{0,30}") {
        prop_assert_eq!(local_dials(&a, &b) ^ local_dials(&b, &a), a != b);
    }

    #[test]
    fn times_convert_and_subtract(a in timestamp(), b in timestamp()) {
        prop_assert_eq!(Timestamp::from_unix_nanos(a.unix_nanos()), a);
        prop_assert_eq!(a.nanos_since(b), -b.nanos_since(a));
        prop_assert_eq!(a.abs_diff(b), b.abs_diff(a));
        prop_assert_eq!(a.nanos_since(b) > 0, a > b);
        let (earlier, later) = (a.min(b), a.max(b));
        prop_assert_eq!(earlier.saturating_add(a.abs_diff(b)), later);
        if let Some(system) = a.to_system_time() {
            prop_assert_eq!(Timestamp::from(system), a);
        }
    }
}
