//! Bytes as operations on machines: two that have to agree, or one against a peer that sends anything.

mod hostile;
mod pair;

use std::time::Duration;

use crate::{
    HandlerId, SubrouteId,
    conn::{Capacity, Config, Connection, Routes},
    wire::MuxRejection,
};

/// Operations on two machines that talk to each other, taken from `data` byte by byte: they have to agree.
///
/// The first byte says how they are set.
pub fn conn_pair(data: &[u8]) {
    if let Some((&mode, rest)) = data.split_first() {
        pair::play(mode, Bytes(rest));
    }
}

/// Operations on one machine, and the messages of a peer that sends anything; otherwise as [`conn_pair`].
pub fn conn_hostile(data: &[u8]) {
    if let Some((&mode, rest)) = data.split_first() {
        hostile::play(mode, Bytes(rest));
    }
}

/// What is left of the input.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    /// The next byte; `None` at the end, where the game ends.
    fn next(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    /// The next byte, or 0 at the end.
    fn or_zero(&mut self) -> u8 {
        self.next().unwrap_or(0)
    }
}

/// One of `from`, chosen by a byte.
fn choose<T: Copy>(from: &[T], byte: u8) -> Option<T> {
    let index = usize::from(byte).checked_rem(from.len())?;
    from.get(index).copied()
}

fn config(mode: u8, generation: u32) -> Config {
    let mut config = Config {
        checksums: mode & 2 != 0,
        peer_cancels_requests: mode & 4 != 0,
        // With 64 one of them alone is told so.
        peer_counts_credit: mode & 32 != 0 && (mode & 64 == 0 || generation == 1),
        default_deadline: Duration::from_secs(3),
        generation,
        ..Config::default()
    };
    if mode & 8 != 0 {
        config.max_requests = 3;
        config.max_streams = 3;
        config.max_queued_bytes = 100;
        config.max_control_bytes = 400;
        config.max_leftovers = 10;
        config.max_abuse = 20;
    }
    config
}

/// Stream handlers by their number: IN is its low two bits, OUT the next two and 1. Those with the bit above these are
/// urgent, where any are.
struct Handlers {
    urgent: bool,
}

impl Handlers {
    fn new(mode: u8) -> Self {
        Self {
            urgent: mode & 1 != 0,
        }
    }

    /// Whether calls with this number and their answers are urgent.
    fn are_urgent(&self, number: u8) -> bool {
        self.urgent && number & 16 != 0
    }
}

fn capacity(handler: HandlerId) -> Capacity {
    let number = u32::from(handler.get());
    Capacity::new(number & 3, (number >> 2 & 3) + 1)
}

impl Routes for Handlers {
    fn single(&self, handler: HandlerId, _: Option<&SubrouteId>) -> Result<u32, MuxRejection> {
        if handler.get() == 0 {
            return Err(MuxRejection::InvalidHandler);
        }
        Ok(u32::from(handler.get()))
    }

    fn stream(
        &self,
        handler: HandlerId,
        subroute: Option<&SubrouteId>,
    ) -> Result<(u32, Capacity), MuxRejection> {
        self.single(handler, subroute)
            .map(|route| (route, capacity(handler)))
    }

    fn stream_is_urgent(&self, route: u32) -> bool {
        u8::try_from(route).is_ok_and(|number| self.are_urgent(number))
    }
}

/// What holds of a machine at any time.
fn check(conn: &Connection) {
    let muxes = conn.open_requests()
        + conn.open_streams()
        + conn.serving_requests()
        + conn.serving_streams();
    assert!(conn.timers() <= muxes, "{} timers: {conn:?}", conn.timers());
    if conn.close_reason().is_some() {
        assert!(
            conn.is_idle() && muxes == 0,
            "something outlives its end: {conn:?}"
        );
        assert!(conn.queued_bytes() == 0 && conn.poll_timeout().is_none());
    }
}
