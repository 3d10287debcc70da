//! The handlers that both ends of every recording had.

use grid_proto::{
    HandlerId, SubrouteId,
    conn::{Capacity, Routes},
    wire::{MuxRejection, Text},
};

/// The handlers of the recordings, with the ids and names of the reference.
#[derive(Debug)]
pub(crate) struct Probe;

/// The route that handlers 9 and 10 are split by.
pub(crate) const SUBROUTE: &str = "subroute/1";

/// The capacities of a stream handler, which both ends know.
pub(crate) fn capacity(handler: u8) -> Option<Capacity> {
    let (input, output) = match handler {
        7 | 63 | 65 | 70 => (0, 1),
        59 => (0, 100),
        // 69 is known to the caller only.
        10 | 23 | 64 | 69 => (1, 1),
        60 => (100, 1),
        22 => (100, 100),
        _ => return None,
    };
    Some(Capacity::new(input, output))
}

impl Routes for Probe {
    fn single(
        &self,
        handler: HandlerId,
        subroute: Option<&SubrouteId>,
    ) -> Result<u32, MuxRejection> {
        let known = matches!(handler.get(), 9 | 11 | 12 | 13 | 14 | 21 | 41);
        find(handler, subroute, known, handler.get() == 9)
    }

    fn stream(
        &self,
        handler: HandlerId,
        subroute: Option<&SubrouteId>,
    ) -> Result<(u32, Capacity), MuxRejection> {
        let known = capacity(handler.get()).filter(|_| handler.get() != 69);
        let route = find(handler, subroute, known.is_some(), handler.get() == 10)?;
        known
            .map(|capacity| (route, capacity))
            .ok_or(MuxRejection::InvalidHandler)
    }
}

fn find(
    handler: HandlerId,
    subroute: Option<&SubrouteId>,
    known: bool,
    split: bool,
) -> Result<u32, MuxRejection> {
    if !(1..80).contains(&handler.get()) {
        return Err(MuxRejection::InvalidHandler);
    }
    match subroute {
        Some(id) if split && *id == SubrouteId::new(handler, SUBROUTE) => {
            Ok(u32::from(handler.get()) + 1000)
        }
        Some(id) => Err(MuxRejection::UnknownSubroute(*id)),
        None if known => Ok(u32::from(handler.get())),
        None => Err(MuxRejection::UnknownHandler(Text::from(
            match handler.get() {
                69 => "GetBandwidth",
                77 => "CheckParts3",
                _ => "?",
            },
        ))),
    }
}
