//! The connections in a capture, and which of them are of a grid.

use std::{collections::HashMap, net::SocketAddr};

use super::{flow::Flow, packet::Segment, piece::Found, record::Place, report::Report, websocket};
use crate::failure::Failure;

/// More connections are not followed at once; those that were silent for longest are given up.
const MOST: usize = 16_384;

/// Everything that is being followed.
#[derive(Debug)]
pub(super) struct Conversations {
    all: HashMap<(SocketAddr, SocketAddr), Conversation>,
    /// The time of the newest packet, and how many there were.
    now: i64,
    packets: u64,
    found: Vec<Found>,
    /// Connections that carried something and were no grid.
    others: u64,
}

#[derive(Debug)]
struct Conversation {
    /// What the lower address sends, and what the higher one does.
    flows: [Flow; 2],
    is_grid: bool,
    has_content: bool,
    /// Whether nothing more is expected before another SYN.
    is_closed: bool,
    last: u64,
}

impl Conversations {
    pub(super) fn new() -> Self {
        Self {
            all: HashMap::new(),
            now: 0,
            packets: 0,
            found: Vec::new(),
            others: 0,
        }
    }

    /// Takes a segment that was captured at this time.
    pub(super) fn packet(
        &mut self,
        micros: i64,
        segment: &Segment<'_>,
        report: &mut Report,
    ) -> Result<(), Failure> {
        self.now = micros;
        self.packets += 1;
        let (key, is_lower) = if segment.from <= segment.to {
            ((segment.from, segment.to), true)
        } else {
            ((segment.to, segment.from), false)
        };
        if segment.syn
            && self
                .all
                .get(&key)
                .is_some_and(|old| old.is_renewed(segment, is_lower))
        {
            self.remove(key, report)?;
        }
        if self.all.len() >= MOST && !self.all.contains_key(&key) {
            self.shrink(report)?;
        }
        let conversation = self.all.entry(key).or_insert_with(Conversation::new);
        conversation.last = self.packets;
        if conversation.is_closed {
            return Ok(());
        }
        conversation.has_content |= segment.len > 0;
        let [lower, higher] = &mut conversation.flows;
        let (here, there) = if is_lower {
            (lower, higher)
        } else {
            (higher, lower)
        };
        here.segment(segment, &mut self.found);
        if let Some(ack) = segment.ack {
            there.acknowledged(ack);
        }
        here.tick(&mut self.found);
        conversation.is_grid |= here.stream.is_known();
        let (is_grid, ends) = (conversation.is_grid, (segment.from, segment.to));
        emit(&mut self.found, is_grid, micros, ends, report)?;
        there.tick(&mut self.found);
        conversation.is_grid |= there.stream.is_known();
        let is_over = segment.rst || (here.is_ended() && there.is_ended());
        let (is_grid, ends) = (conversation.is_grid, (segment.to, segment.from));
        emit(&mut self.found, is_grid, micros, ends, report)?;
        if is_over {
            self.close(key, report)?;
        }
        Ok(())
    }

    /// Nothing more comes.
    pub(super) fn end(&mut self, report: &mut Report) -> Result<(), Failure> {
        let mut keys: Vec<_> = self.all.iter().map(|(key, it)| (it.last, *key)).collect();
        keys.sort_unstable();
        for (_, key) in keys {
            self.remove(key, report)?;
        }
        Ok(())
    }

    /// What is to be said of those that are not shown.
    pub(super) fn note(&self) -> Option<String> {
        match self.others {
            0 => None,
            1 => Some("1 connection that is no grid in plain text was left out".to_owned()),
            n => Some(format!(
                "{n} connections that are no grid in plain text were left out"
            )),
        }
    }

    /// Ends a connection, and remembers that it has ended.
    fn close(&mut self, key: (SocketAddr, SocketAddr), report: &mut Report) -> Result<(), Failure> {
        self.remove(key, report)?;
        let closed = Conversation {
            is_closed: true,
            last: self.packets,
            ..Conversation::new()
        };
        self.all.insert(key, closed);
        Ok(())
    }

    fn remove(
        &mut self,
        key: (SocketAddr, SocketAddr),
        report: &mut Report,
    ) -> Result<(), Failure> {
        let Some(mut old) = self.all.remove(&key) else {
            return Ok(());
        };
        let (lower, higher) = key;
        let [here, there] = &mut old.flows;
        for (flow, ends) in [(here, (lower, higher)), (there, (higher, lower))] {
            flow.end(&mut self.found);
            old.is_grid |= flow.stream.is_known();
            emit(&mut self.found, old.is_grid, self.now, ends, report)?;
        }
        if old.has_content && !old.is_grid {
            self.others += 1;
        }
        Ok(())
    }

    /// Gives up the half that was silent for longer.
    fn shrink(&mut self, report: &mut Report) -> Result<(), Failure> {
        let mut keys: Vec<_> = self.all.iter().map(|(key, it)| (it.last, *key)).collect();
        keys.sort_unstable();
        keys.truncate(MOST / 2);
        for (_, key) in keys {
            self.remove(key, report)?;
        }
        Ok(())
    }
}

impl Conversation {
    fn new() -> Self {
        Self {
            flows: [Flow::new(), Flow::new()],
            is_grid: false,
            has_content: false,
            is_closed: false,
            last: 0,
        }
    }

    /// Whether this SYN begins another connection between the same two.
    fn is_renewed(&self, segment: &Segment<'_>, is_lower: bool) -> bool {
        let [lower, higher] = &self.flows;
        let here = if is_lower { lower } else { higher };
        self.is_closed || (here.is_begun() && !here.is_known_syn(segment.seq))
    }
}

/// Reports what was found, where it is of a grid.
fn emit(
    found: &mut Vec<Found>,
    is_grid: bool,
    time: i64,
    (src, dst): (SocketAddr, SocketAddr),
    report: &mut Report,
) -> Result<(), Failure> {
    for Found { at, what } in found.drain(..) {
        if is_grid {
            let place = Place::Packet {
                time,
                src,
                dst,
                offset: at,
            };
            websocket::piece(place, &what, report)?;
        }
    }
    Ok(())
}
