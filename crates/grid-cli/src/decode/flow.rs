//! One direction of a TCP connection, put in order.

use std::collections::BTreeMap;

use super::{packet::Segment, piece::Found, stream::Stream};

/// So many bytes wait for others before them; then those count as lost.
const MOST_WAITING: usize = 16 << 20;

/// What a segment that waits costs beside its bytes.
const SEGMENT_COST: usize = 64;

/// A hole whose bytes the receiver has acknowledged is filled by none of the next packets: it was
/// not captured. Only so many are awaited, as packets may be captured in another order.
const PATIENCE: u32 = 16;

/// Puts a direction's segments in order, drops what comes again and tells what is missing.
#[derive(Debug)]
pub(super) struct Flow {
    /// The number of the first byte of the connection, where its SYN was seen.
    isn: Option<u32>,
    /// The number of the next byte; none before the first segment.
    next: Option<u32>,
    /// How many bytes there were before it.
    done: u64,
    /// Segments that came too early, by where they begin.
    waiting: BTreeMap<u64, Early>,
    held: usize,
    /// Up to where the receiver has acknowledged.
    acked: u64,
    /// Packets since the hole before the waiting segments was acknowledged.
    waited: u32,
    fin: Option<u64>,
    is_ended: bool,
    pub(super) stream: Stream,
}

#[derive(Debug)]
struct Early {
    bytes: Vec<u8>,
    /// How many bytes were sent; the capture may have cut them.
    len: u64,
}

impl Flow {
    pub(super) fn new() -> Self {
        Self {
            isn: None,
            next: None,
            done: 0,
            waiting: BTreeMap::new(),
            held: 0,
            acked: 0,
            waited: 0,
            fin: None,
            is_ended: false,
            stream: Stream::unknown(),
        }
    }

    /// Whether this SYN has been seen before.
    pub(super) fn is_known_syn(&self, seq: u32) -> bool {
        self.isn == Some(seq)
    }

    /// Whether anything has been seen.
    pub(super) fn is_begun(&self) -> bool {
        self.next.is_some()
    }

    /// Whether all was seen up to its FIN.
    pub(super) fn is_ended(&self) -> bool {
        self.is_ended
    }

    /// Takes a segment of this direction.
    pub(super) fn segment(&mut self, segment: &Segment<'_>, found: &mut Vec<Found>) {
        if self.is_ended {
            return;
        }
        let mut seq = segment.seq;
        if segment.syn {
            self.isn = Some(seq);
            seq = seq.wrapping_add(1);
            self.next.get_or_insert(seq);
        }
        if segment.len == 0 && !segment.fin {
            return;
        }
        let next = *self.next.get_or_insert(seq);
        let len = u64::try_from(segment.len).unwrap_or(u64::MAX);
        // What lies before the start of the capture is of no use, like what came before.
        let ahead = i64::from(seq.wrapping_sub(next).cast_signed());
        let skipped = u64::try_from(-ahead.min(0)).unwrap_or_default();
        let at = self.done.saturating_add_signed(ahead.max(0));
        if segment.fin {
            self.fin = Some(at.saturating_add(len.saturating_sub(skipped)));
        }
        if len > skipped {
            let skipped = usize::try_from(skipped).unwrap_or(usize::MAX);
            let bytes = segment.payload.get(skipped..).unwrap_or_default();
            let len = len.saturating_sub(u64::try_from(skipped).unwrap_or(u64::MAX));
            if at == self.done {
                self.deliver(bytes, len, found);
            } else {
                self.keep(at, bytes, len, found);
            }
            self.drain(found);
        }
        self.end_at_fin(found);
    }

    /// The receiver has all bytes before this number.
    pub(super) fn acknowledged(&mut self, ack: u32) {
        if let Some(next) = self.next {
            let ahead = i64::from(ack.wrapping_sub(next).cast_signed());
            self.acked = self
                .acked
                .max(self.done.saturating_add_signed(ahead.max(0)));
        }
    }

    /// One more packet of the connection, in whichever direction, has been handled.
    pub(super) fn tick(&mut self, found: &mut Vec<Found>) {
        let is_acked = |(at, _): (&u64, _)| *at <= self.acked;
        if !self.waiting.first_key_value().is_some_and(is_acked) {
            self.waited = 0;
            return;
        }
        self.waited += 1;
        if self.waited >= PATIENCE {
            self.waited = 0;
            self.give_up(found);
            self.end_at_fin(found);
        }
    }

    /// Nothing more comes.
    pub(super) fn end(&mut self, found: &mut Vec<Found>) {
        while !self.waiting.is_empty() {
            self.give_up(found);
        }
        if !self.is_ended {
            self.is_ended = true;
            self.stream.end(found);
        }
    }

    fn keep(&mut self, at: u64, bytes: &[u8], len: u64, found: &mut Vec<Found>) {
        if self.waiting.get(&at).is_some_and(|early| early.len >= len) {
            return;
        }
        let bytes = bytes.to_vec();
        self.held += bytes.len() + SEGMENT_COST;
        if let Some(shorter) = self.waiting.insert(at, Early { bytes, len }) {
            self.held = self.held.saturating_sub(shorter.bytes.len() + SEGMENT_COST);
        }
        while self.held > MOST_WAITING {
            self.give_up(found);
        }
    }

    /// Takes what waited for what has come.
    fn drain(&mut self, found: &mut Vec<Found>) {
        while let Some(entry) = self.waiting.first_entry()
            && *entry.key() <= self.done
        {
            let (at, early) = entry.remove_entry();
            self.held = self.held.saturating_sub(early.bytes.len() + SEGMENT_COST);
            let skipped = self.done - at;
            if let Some(len) = early.len.checked_sub(skipped).filter(|len| *len > 0) {
                let skipped = usize::try_from(skipped).unwrap_or(usize::MAX);
                self.deliver(early.bytes.get(skipped..).unwrap_or_default(), len, found);
            }
        }
    }

    /// The bytes before those that wait will not come.
    fn give_up(&mut self, found: &mut Vec<Found>) {
        if let Some((at, _)) = self.waiting.first_key_value() {
            let missing = at.saturating_sub(self.done);
            self.advance(missing);
            self.stream.lose(missing, found);
        }
        self.drain(found);
    }

    /// Takes `len` bytes in order, of which `bytes` were captured.
    fn deliver(&mut self, bytes: &[u8], len: u64, found: &mut Vec<Found>) {
        self.advance(len);
        self.stream.push(bytes, found);
        let missing = len.saturating_sub(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        if missing > 0 {
            self.stream.lose(missing, found);
        }
    }

    fn advance(&mut self, len: u64) {
        self.done = self.done.saturating_add(len);
        // Numbers go round at 2³².
        let step = u32::try_from(len & u64::from(u32::MAX)).unwrap_or_default();
        self.next = self.next.map(|next| next.wrapping_add(step));
    }

    fn end_at_fin(&mut self, found: &mut Vec<Found>) {
        if self.fin.is_some_and(|fin| fin <= self.done) {
            self.end(found);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::decode::piece::Piece;

    const FIRST: &[u8] = b"GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n";

    fn segment(seq: u32, payload: &[u8]) -> Segment<'_> {
        let end = SocketAddr::from(([10, 0, 0, 1], 1));
        Segment {
            from: end,
            to: end,
            seq,
            ack: None,
            syn: false,
            fin: false,
            rst: false,
            payload,
            len: payload.len(),
        }
    }

    fn len(bytes: &[u8]) -> u32 {
        u32::try_from(bytes.len()).unwrap()
    }

    /// A direction that has been seen to be websocket, and the number of its next byte.
    fn begun(found: &mut Vec<Found>) -> (Flow, u32) {
        let mut flow = Flow::new();
        let isn = u32::MAX - 10;
        flow.segment(
            &Segment {
                syn: true,
                ..segment(isn, b"")
            },
            found,
        );
        let next = isn.wrapping_add(1);
        flow.segment(&segment(next, FIRST), found);
        assert_eq!(found.len(), 1);
        found.clear();
        (flow, next.wrapping_add(len(FIRST)))
    }

    const PING: &[u8] = b"\x89\x02hi";
    /// A message that can be found wherever it stands.
    const ACK: &[u8] = b"\x82\x09\x97\x01\0\0\0\x0d\0\xc4\0";

    #[test]
    fn a_hole_is_awaited_until_it_is_surely_lost() {
        let mut found = Vec::new();
        let (mut flow, next) = begun(&mut found);
        let behind = next.wrapping_add(len(PING));
        flow.segment(&segment(behind, ACK), &mut found);
        for _ in 0..100 {
            flow.tick(&mut found);
        }
        assert_eq!(found, [], "not acknowledged, so it may still come");
        flow.acknowledged(behind.wrapping_add(len(ACK)));
        for _ in 1..PATIENCE {
            flow.tick(&mut found);
        }
        assert_eq!(found, []);
        flow.tick(&mut found);
        assert!(
            matches!(found[0].what, Piece::Damage { skipped: 4, .. }),
            "{found:?}"
        );
        assert!(
            matches!(found[1].what, Piece::Message { lost: 0, .. }),
            "{found:?}"
        );
        // Too late.
        flow.segment(&segment(next, PING), &mut found);
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn what_comes_twice_is_taken_once() {
        let mut found = Vec::new();
        let (mut flow, next) = begun(&mut found);
        let both = [PING, ACK].concat();
        // The second half waits, and the first comes with a part of it; then all of it once more.
        flow.segment(&segment(next.wrapping_add(len(PING)), ACK), &mut found);
        flow.segment(&segment(next, &both[..7]), &mut found);
        flow.segment(&segment(next, &both), &mut found);
        flow.segment(&segment(next.wrapping_add(len(&both)), PING), &mut found);
        let kinds: Vec<_> = found.iter().map(|it| (it.at, &it.what)).collect();
        let at = u64::from(len(FIRST));
        assert!(
            matches!(
                kinds[..],
                [
                    (a, Piece::Ping(_)),
                    (b, Piece::Message { lost: 0, .. }),
                    (c, Piece::Ping(_))
                ] if (a, b, c) == (at, at + 4, at + 15)
            ),
            "{found:?}"
        );
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut found = Vec::new();
        let (mut flow, next) = begun(&mut found);
        let chunk = vec![0; 1 << 20];
        for index in 0..40 {
            flow.segment(
                &segment(next.wrapping_add(1 + (index << 20)), &chunk),
                &mut found,
            );
            assert!(flow.held <= MOST_WAITING + SEGMENT_COST + chunk.len());
        }
        assert!(flow.waiting.is_empty());
    }

    #[test]
    fn a_fin_before_the_end_waits_for_it() {
        let mut found = Vec::new();
        let (mut flow, next) = begun(&mut found);
        let fin = Segment {
            fin: true,
            ..segment(next.wrapping_add(len(PING)), ACK)
        };
        flow.segment(&fin, &mut found);
        assert!(!flow.is_ended());
        flow.segment(&segment(next, PING), &mut found);
        assert!(flow.is_ended());
        assert_eq!(found.len(), 2, "{found:?}");
    }
}
