//! Bytes that nobody meant, through all that reads bytes.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
};

use proptest::prelude::*;

use super::{
    Decoder, Kind, decoder,
    report::{Options, Report},
};

/// Keeps what is written.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a decoder makes of bytes that come in pieces of this length, and whether none is damaged.
fn run(mut decoder: Box<dyn Decoder>, bytes: &[u8], piece: usize, json: bool) -> (String, bool) {
    let kept = Kept::default();
    let options = Options {
        routes: Vec::new(),
        width: 40,
        secrets: false,
        json,
    };
    let mut report = Report::new(options, Box::new(kept.clone()));
    for piece in bytes.chunks(piece.max(1)) {
        decoder.push(piece, &mut report).unwrap();
    }
    decoder.end(&mut report).unwrap();
    let is_whole = report.finish().is_ok();
    let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
    (text, is_whole)
}

const KINDS: [Kind; 5] = [
    Kind::Auto,
    Kind::Messages,
    Kind::Websocket,
    Kind::Hex,
    Kind::Pcap,
];

const REQUEST: &[u8] = b"\x97\x01\x00\xcd\xea\x60\x09\x0e\x03\xc4\x04req0\x4e\x6e\xe9\xc9";
const MERGED: &[u8] =
    b"\x97\x00\x01\x00\x00\x11\x00\xc4\x00\xc4\x13\x97\x01\x00\xcd\xea\x60\x09\x0e\x03\
    \xc4\x04req0\x4e\x6e\xe9\xc9";
const HEAD: &[u8] = b"GET /minio/grid/v1 HTTP/1.1\r\nUpgrade: websocket\r\n\r\n";

/// Pieces that mean something, and some that don't.
fn soup() -> impl Strategy<Value = Vec<u8>> {
    let piece =
        prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..24),
        Just(REQUEST.to_vec()),
        Just(MERGED.to_vec()),
        Just(HEAD.to_vec()),
        Just([&[0x82, 19][..], REQUEST].concat()),
        Just([&[0x02, 19][..], REQUEST].concat()),
        Just([&[0x82, 0x7e, 0, 30][..], MERGED].concat()),
        Just(b"\x80\x00\x82\x97\x97\x97\x97".to_vec()),
        Just(b"\x82\x7f\0\0\0\0\x01\0\0\0\x97\0\0\0\0\x0e\0\xc6\0\xff\xff\xff".to_vec()),
        Just(b"970100\n# x\n".to_vec()),
        Just(b"\n".to_vec()),
        Just(b"\xd4\xc3\xb2\xa1\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\x04\0\x65\0\0\0".to_vec()),
        Just(b"\x0a\x0d\x0d\x0a\x1c\0\0\0\x4d\x3c\x2b\x1a\x01\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\
            \x1c\0\0\0".to_vec()),
        Just(b"\0\0\0\0\0\0\0\0\x30\0\0\0\x30\0\0\0\x45\0\0\x30\0\0\0\0\x40\x06\0\0\x0a\0\0\x01\
            \x0a\0\0\x02".to_vec()),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever comes, it ends, prints whole lines without anything that a terminal obeys, and
    /// finds the same however the bytes come in pieces.
    #[test]
    fn anything_ends_in_lines(bytes in soup(), piece in 1_usize..64, json in any::<bool>()) {
        for kind in KINDS {
            let make = || decoder(kind, &bytes, "test");
            let (Ok(first), Ok(second)) = (make(), make()) else {
                // Only a capture has to begin as one.
                prop_assert!(kind == Kind::Pcap);
                continue;
            };
            let (at_once, is_whole) = run(first, &bytes, usize::MAX, json);
            let (in_pieces, is_whole_too) = run(second, &bytes, piece, json);
            prop_assert_eq!(&at_once, &in_pieces, "{:?}", kind);
            prop_assert_eq!(is_whole, is_whole_too);
            prop_assert!(at_once.is_empty() || at_once.ends_with('\n'));
            prop_assert!(!at_once.contains(|c: char| c.is_control() && c != '\n'));
            if json {
                for line in at_once.lines() {
                    prop_assert!(serde_json::from_str::<serde_json::Value>(line).is_ok());
                }
            }
        }
    }

    /// What is whole is found behind any garbage.
    #[test]
    fn a_message_behind_garbage_is_found(
        garbage in proptest::collection::vec(any::<u8>(), 0..300),
        is_framed in any::<bool>(),
    ) {
        // A frame that the garbage declares may be as long as to hold the message.
        let (kind, begin) = if is_framed {
            // A reserved opcode: what follows is searched.
            (Kind::Websocket, &b"\x83"[..])
        } else {
            (Kind::Messages, &b""[..])
        };
        let garbage: Vec<u8> = garbage.into_iter().filter(|byte| *byte < 0x80).collect();
        let message = if is_framed { [&[0x82, 19][..], REQUEST].concat() } else { REQUEST.to_vec() };
        let bytes = [begin, &garbage, &message].concat();
        let (text, _) = run(decoder(kind, &bytes, "test").unwrap(), &bytes, 7, false);
        prop_assert!(text.ends_with("handler=9 crc=ok payload=\"req0\" (4 bytes)\n"), "{}", text);
        let at = format!("{:>7} Request", begin.len() + garbage.len());
        prop_assert!(text.contains(&at), "{}", text);
    }
}

#[test]
fn what_seems_to_begin_does_not_hide_what_is_behind_it() {
    // The beginning of a frame of 256 bytes with a message that fills it, where frames are searched.
    let begins = b"\x83\x82\x7e\x01\x00\x97\x01\x00\x00\x09\x0e\x00\xc4\xf7";
    let frame = [&[0x82, 19][..], REQUEST].concat();
    let bytes = [&begins[..], &frame].concat();
    let decoder = decoder(Kind::Websocket, &bytes, "test").unwrap();
    let (text, _) = run(decoder, &bytes, 5, false);
    assert!(text.contains("     14 Request"), "{text}");
}

#[test]
fn bytes_made_to_look_like_messages_cost_little() {
    // Each of these claims the next 2 MiB as its payload and a checksum behind it, where none is.
    let payloads = b"\x97\0\0\0\0\x0e\x01\xc6\0\x20\0\x01";
    // Each of these is merged, and has all that follow it in it.
    let merged = b"\xc4\x0d\x97\0\xce\xff\xff\xff\xff\0\0\x11\0\xc4\0";
    for repeated in [&payloads[..], merged] {
        let mut bytes = repeated.repeat((4 << 20) / repeated.len());
        let at = bytes.len() + 1;
        bytes.push(0);
        bytes.extend_from_slice(REQUEST);
        let begun = std::time::Instant::now();
        let decoder = decoder(Kind::Messages, &bytes, "test").unwrap();
        let (text, is_whole) = run(decoder, &bytes, 65_536, false);
        assert!(!is_whole);
        let last = text.lines().last().unwrap_or_default();
        assert!(last.starts_with(&format!("{at:>7} Request")), "{last}");
        // Looking at each of them to its end takes hours.
        let spent = begun.elapsed();
        assert!(spent < std::time::Duration::from_secs(60), "{spent:?}");
    }
}
