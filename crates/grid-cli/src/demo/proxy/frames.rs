//! Where in the websocket traffic a direction stands: on the seam of two frames, or inside one.

/// Follows one direction of a connection: the HTTP head, then websocket frames (RFC 6455 section
/// 5.2). It keeps no bytes but those of the header that it is reading.
#[derive(Debug)]
pub(super) struct FrameTracker {
    at: At,
    frames: u64,
}

#[derive(Debug)]
enum At {
    /// In the HTTP head, of whose closing `\r\n\r\n` so many bytes have come.
    Head { matched: u8 },
    /// In a frame's header.
    Header {
        bytes: [u8; MAX_HEADER],
        have: usize,
    },
    /// In a frame's payload.
    Payload { left: u64 },
}

/// Two bytes, eight of length, four of mask.
const MAX_HEADER: usize = 14;
const HEAD_END: [u8; 4] = *b"\r\n\r\n";

impl FrameTracker {
    pub(super) fn new() -> Self {
        Self {
            at: At::Head { matched: 0 },
            frames: 0,
        }
    }

    /// Takes note of bytes that were passed on.
    pub(super) fn advance(&mut self, mut bytes: &[u8]) {
        while let Some((&first, rest)) = bytes.split_first() {
            match &mut self.at {
                At::Head { matched } => {
                    *matched = next_match(*matched, first);
                    if usize::from(*matched) == HEAD_END.len() {
                        self.at = At::Header {
                            bytes: [0; MAX_HEADER],
                            have: 0,
                        };
                    }
                    bytes = rest;
                }
                At::Header {
                    bytes: header,
                    have,
                } => {
                    if let Some(slot) = header.get_mut(*have) {
                        *slot = first;
                    }
                    *have += 1;
                    bytes = rest;
                    if let Some(payload) = payload_len(header, *have) {
                        self.enter_payload(payload);
                    }
                }
                At::Payload { left } => {
                    let here = usize::try_from(*left)
                        .unwrap_or(usize::MAX)
                        .min(bytes.len());
                    let left = *left - here as u64;
                    bytes = bytes.get(here..).unwrap_or_default();
                    self.enter_payload(left);
                }
            }
        }
    }

    /// Whether a frame has begun and not ended.
    pub(super) fn is_inside(&self) -> bool {
        match self.at {
            At::Head { .. } => false,
            At::Header { have, .. } => have > 0,
            At::Payload { .. } => true,
        }
    }

    /// Frames that were passed on whole.
    pub(super) fn frames(&self) -> u64 {
        self.frames
    }

    fn enter_payload(&mut self, left: u64) {
        if left == 0 {
            self.frames += 1;
            self.at = At::Header {
                bytes: [0; MAX_HEADER],
                have: 0,
            };
        } else {
            self.at = At::Payload { left };
        }
    }
}

/// How much of the end of the head has come after one more byte.
fn next_match(matched: u8, byte: u8) -> u8 {
    match HEAD_END.get(usize::from(matched)) {
        Some(&want) if want == byte => matched + 1,
        _ => u8::from(byte == b'\r'),
    }
}

/// The length of the payload, once the whole header is there.
fn payload_len(header: &[u8; MAX_HEADER], have: usize) -> Option<u64> {
    if have < 2 {
        return None;
    }
    let [_, second, rest @ ..] = header;
    let mask = if second & 0x80 == 0 { 0 } else { 4 };
    let (extended, length) = match second & 0x7f {
        126 => (
            2,
            rest.iter()
                .take(2)
                .fold(0, |sum, &byte| sum << 8 | u64::from(byte)),
        ),
        127 => (
            8,
            rest.iter()
                .take(8)
                .fold(0, |sum, &byte| sum << 8 | u64::from(byte)),
        ),
        short => (0, u64::from(short)),
    };
    (have == 2 + extended + mask).then_some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\r\n\r\n\r\n";

    fn frame(len: usize, masked: bool) -> Vec<u8> {
        let mask_bit = if masked { 0x80 } else { 0 };
        let mut bytes = vec![0x82];
        match len {
            0..=125 => bytes.push(mask_bit | len as u8),
            126..=65_535 => {
                bytes.push(mask_bit | 126);
                bytes.extend((len as u16).to_be_bytes());
            }
            _ => {
                bytes.push(mask_bit | 127);
                bytes.extend((len as u64).to_be_bytes());
            }
        }
        bytes.extend(vec![7; if masked { 4 } else { 0 } + len]);
        bytes
    }

    fn head_end() -> usize {
        HEAD.windows(4)
            .position(|window| window == b"\r\n\r\n")
            .unwrap()
            + 4
    }

    #[test]
    fn frames_of_every_length_are_counted_however_they_are_cut() {
        let mut traffic = HEAD.get(..head_end()).unwrap().to_vec();
        let lengths = [0, 1, 125, 126, 127, 65_535, 65_536, 70_000];
        for len in lengths {
            traffic.extend(frame(len, len % 2 == 0));
        }
        for chunk in [1, 2, 3, 7, 4096, traffic.len()] {
            let mut tracker = FrameTracker::new();
            for part in traffic.chunks(chunk) {
                tracker.advance(part);
            }
            assert_eq!(tracker.frames(), lengths.len() as u64, "chunks of {chunk}");
            assert!(!tracker.is_inside());
        }
    }

    #[test]
    fn every_byte_but_the_last_of_a_frame_is_inside() {
        for len in [0, 5, 200, 66_000] {
            let bytes = frame(len, true);
            let mut tracker = FrameTracker::new();
            tracker.advance(b"x\r\n\r\n");
            assert!(!tracker.is_inside());
            for (at, byte) in bytes.iter().enumerate() {
                tracker.advance(&[*byte]);
                assert_eq!(
                    tracker.is_inside(),
                    at + 1 < bytes.len(),
                    "byte {at} of {len}"
                );
            }
        }
    }

    #[test]
    fn the_head_is_no_frame() {
        let mut tracker = FrameTracker::new();
        tracker.advance(b"HTTP/1.1 101 Switching Protocols\r\n\r");
        assert!(!tracker.is_inside());
        assert_eq!(tracker.frames(), 0);
    }
}
