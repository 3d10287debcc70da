//! What a caller asks for.

use std::time::Instant;

use crate::{HandlerId, Payload, SubrouteId};

use super::config::Capacity;

/// A single request to make.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct NewRequest {
    /// The handler to call.
    pub handler: HandlerId,
    /// The part of the handler to call, if it is split.
    pub subroute: Option<SubrouteId>,
    /// The request. One that is present and empty arrives as absent: the wire can't tell them apart here.
    pub payload: Payload,
    /// When to give up; `None` means after the default of the configuration.
    pub deadline: Option<Instant>,
    /// It is written before all that waits and isn't.
    pub urgent: bool,
}

impl NewRequest {
    /// A request without subroute, with the default deadline.
    #[must_use]
    pub fn new(handler: HandlerId, payload: Payload) -> Self {
        Self {
            handler,
            subroute: None,
            payload,
            deadline: None,
            urgent: false,
        }
    }
}

/// A stream to open.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct NewStream {
    /// The handler to call.
    pub handler: HandlerId,
    /// The part of the handler to call, if it is split.
    pub subroute: Option<SubrouteId>,
    /// The initial payload.
    pub payload: Payload,
    /// The capacities of the handler, by its definition.
    pub capacity: Capacity,
    /// When to give up; `None` means never.
    pub deadline: Option<Instant>,
    /// Its opening and what is sent on it is written before all that waits and isn't, in its order. What the handler sends
    /// is where [its node says so](super::Routes::stream_is_urgent).
    pub urgent: bool,
}

impl NewStream {
    /// A stream without subroute and deadline.
    #[must_use]
    pub fn new(handler: HandlerId, capacity: Capacity, payload: Payload) -> Self {
        Self {
            handler,
            subroute: None,
            payload,
            capacity,
            deadline: None,
            urgent: false,
        }
    }
}
