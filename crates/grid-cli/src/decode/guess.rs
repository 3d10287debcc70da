//! What bytes are, by their looks.

use grid_proto::wire::Inspection;

use super::{
    Kind,
    capture::Capture,
    head, messages,
    search::{self, Allowance, Verdict},
};

/// What an input is that begins so; messages, where it looks like nothing.
pub(super) fn kind(begin: &[u8]) -> Kind {
    if Capture::new(begin).is_some() {
        return Kind::Pcap;
    }
    let mut allowance = Allowance::new();
    let mut frame = |bytes| search::frame(bytes, &mut allowance);
    if head::begins(begin) != Verdict::No || (!begin.is_empty() && frame(begin) != Verdict::No) {
        return Kind::Websocket;
    }
    if Inspection::of_prefix(begin).is_ok() {
        return Kind::Messages;
    }
    if is_hex_text(begin) {
        return Kind::Hex;
    }
    // Damaged at its beginning: what can be read further on decides. A message inside a frame
    // without mask begins behind the frame's header.
    for at in 0..begin.len() {
        let here = begin.get(at..).unwrap_or_default();
        if frame(here) == Verdict::Yes {
            return Kind::Websocket;
        }
        if messages::is_whole(here) {
            return Kind::Messages;
        }
    }
    Kind::Messages
}

/// Whether the first line that is neither empty nor a comment has digits only.
fn is_hex_text(begin: &[u8]) -> bool {
    let mut lines = begin
        .split(|byte| *byte == b'\n')
        .map(<[u8]>::trim_ascii)
        .filter(|line| !line.is_empty());
    let is_text = |line: &&[u8]| std::str::from_utf8(line).is_ok();
    match lines.find(|line| !line.starts_with(b"#") || !is_text(line)) {
        Some(line) => line
            .split(|byte| *byte == b'#')
            .next()
            .unwrap_or_default()
            .iter()
            .all(|byte| byte.is_ascii_hexdigit() || byte.is_ascii_whitespace()),
        None => begin.trim_ascii_start().starts_with(b"#"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: [u8; 19] = [
        0x97, 0x01, 0x00, 0xcd, 0xea, 0x60, 0x09, 0x0e, 0x03, 0xc4, 0x04, 0x72, 0x65, 0x71, 0x30,
        0x4e, 0x6e, 0xe9, 0xc9,
    ];

    #[test]
    fn by_the_looks() {
        let framed = [&[0x82, 19][..], &REQUEST].concat();
        for (begin, wanted) in [
            (&REQUEST[..], Kind::Messages),
            (&framed, Kind::Websocket),
            (b"GET /minio/grid/v1 HTTP/1.1\r\n", Kind::Websocket),
            (b"HTTP/1.1 101 Switching Protocols\r\n", Kind::Websocket),
            (b"# recorded\n\n 97 01 00\n", Kind::Hex),
            (b"9701", Kind::Hex),
            (b"# nothing", Kind::Hex),
            (b"\xd4\xc3\xb2\xa1", Kind::Pcap),
            (b"\x0a\x0d\x0d\x0a", Kind::Pcap),
            (b"", Kind::Messages),
            (b"what is this?", Kind::Messages),
        ] {
            assert_eq!(kind(begin), wanted, "{begin:?}");
        }
        assert_eq!(kind(&[&[0xff; 7], &framed[..]].concat()), Kind::Websocket);
        assert_eq!(kind(&[&[0xff; 7], &REQUEST[..]].concat()), Kind::Messages);
    }
}
