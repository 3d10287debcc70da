//! What the application of a replayed node does, and when: the vocabulary of the tables.

use bytes::Bytes;
use grid_proto::Payload;

/// One entry of a table: a recorded file, and what the application does in each role that is replayed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Replay {
    pub(crate) file: &'static str,
    /// The steps of the end that calls, where it is a grid node.
    pub(crate) caller: Option<Steps>,
    /// The steps of the end that is called, where it is a grid node.
    pub(crate) handler: Option<Steps>,
    pub(crate) setup: Setup,
}

pub(crate) type Steps = &'static [Step];

/// Which end of the recorded conversation is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// The end that makes the calls; the dialer where nobody does.
    Caller,
    /// The other end.
    Handler,
}

/// How the recorded nodes were set up, as the description of the file tells.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Setup {
    /// The period of the pings of the link, in milliseconds; 0 is the default.
    pub(crate) ping: u64,
    /// The period of the pings of streams, in milliseconds; 0 is the default.
    pub(crate) stream_ping: u64,
    /// What the node that is called adds to the deadlines it is told, in milliseconds.
    pub(crate) later: u32,
    /// The recording ends in the middle: something is still open.
    pub(crate) stays_open: bool,
}

impl Replay {
    /// Adds to the deadlines that the handler's node is told.
    pub(crate) const fn handler_later(mut self, millis: u32) -> Self {
        self.setup.later = millis;
        self
    }

    /// Sets the period of the link's pings.
    pub(crate) const fn ping(mut self, millis: u64) -> Self {
        self.setup.ping = millis;
        self
    }

    /// Sets the period of the streams' pings.
    pub(crate) const fn stream_ping(mut self, millis: u64) -> Self {
        self.setup.stream_ping = millis;
        self
    }

    /// Says that the recording ends while something is open.
    pub(crate) const fn stays_open(mut self) -> Self {
        self.setup.stays_open = true;
        self
    }
}

/// A file whose ends are both grid nodes.
pub(crate) const fn both(file: &'static str, caller: Steps, handler: Steps) -> Replay {
    Replay {
        caller: Some(caller),
        ..only_handler(file, handler)
    }
}

/// A file in which a scripted server answers a grid node.
pub(crate) const fn only_caller(file: &'static str, caller: Steps) -> Replay {
    Replay {
        caller: Some(caller),
        handler: None,
        ..only_handler(file, &[])
    }
}

/// A file in which a scripted client calls a grid node.
pub(crate) const fn only_handler(file: &'static str, handler: Steps) -> Replay {
    let setup = Setup {
        ping: 0,
        stream_ping: 0,
        later: 0,
        stays_open: false,
    };
    Replay {
        file,
        caller: None,
        handler: Some(handler),
        setup,
    }
}

/// One thing that the application does.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    pub(crate) when: When,
    pub(crate) mux: u64,
    pub(crate) act: Act,
}

impl Step {
    /// On another mux than 1.
    pub(crate) const fn on(mut self, mux: u64) -> Self {
        self.mux = mux;
        self
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum When {
    /// At a time of the recording, in milliseconds.
    At(f64),
    /// Right after the n-th message of the peer, counted from 1 and without the handshake.
    After(usize),
}

/// A step at a time of the recording, in milliseconds.
pub(crate) const fn at(millis: f64, act: Act) -> Step {
    Step {
        when: When::At(millis),
        mux: 1,
        act,
    }
}

/// A step right after the n-th message of the peer.
pub(crate) const fn after(n: usize, act: Act) -> Step {
    Step {
        when: When::After(n),
        mux: 1,
        act,
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Act {
    /// The caller starts a call.
    Call(Call),
    /// The caller starts one single request on handler 9 for each payload, in the order of their numbers.
    Calls(&'static [Data]),
    /// The caller sends items.
    Send(&'static [Data]),
    /// The caller wants to send an item and has to wait for credit.
    SendWaits(Data),
    /// The caller has no more items.
    Finish,
    /// The items of the handler that are handed to the caller.
    Take(&'static [Data]),
    /// The caller gives up.
    Cancel,
    /// The handler of a single request answers.
    Answer(Data),
    /// The handlers of requests 1, 2, 3 … answer.
    Answers(&'static [Data]),
    /// The handler of a single request fails.
    Fail(&'static str),
    /// The handler of a single request answers when nobody waits for it any more.
    AnswerTooLate(Data),
    /// The handler of a stream sends items.
    Serve(&'static [Data]),
    /// The handler of a stream wants to send an item and has to wait for credit.
    ServeWaits(Data),
    /// The items of the caller that are handed to the handler of a stream.
    Receive(&'static [Data]),
    /// The handler of a stream returns.
    Return,
    /// The handler of a stream fails.
    ReturnError(&'static str),
}

/// A call to make.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call {
    pub(crate) stream: bool,
    pub(crate) handler: u8,
    pub(crate) route: Option<&'static str>,
    pub(crate) payload: Data,
    /// The time until the deadline, in milliseconds.
    pub(crate) within: Option<f64>,
}

/// A single request.
pub(crate) const fn request(handler: u8, payload: Data) -> Call {
    Call {
        stream: false,
        handler,
        route: None,
        payload,
        within: None,
    }
}

/// A stream, with the capacities that its handler has everywhere.
pub(crate) const fn stream(handler: u8, payload: Data) -> Call {
    Call {
        stream: true,
        ..request(handler, payload)
    }
}

impl Call {
    /// With a deadline, in milliseconds from the call. The recorded callers had lost a little of theirs when they
    /// sent, so the tables give them 399.9 ms instead of 400.
    pub(crate) const fn within(mut self, millis: f64) -> Self {
        self.within = Some(millis);
        self
    }

    /// To a part of the handler.
    pub(crate) const fn route(mut self, route: &'static str) -> Self {
        self.route = Some(route);
        self
    }

    /// As a step.
    pub(crate) const fn go(self) -> Act {
        Act::Call(self)
    }
}

/// A payload of the tables.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Data {
    Absent,
    Bytes(&'static [u8]),
    /// One byte, repeated.
    Fill(u8, usize),
}

/// A payload that is present and of no length.
pub(crate) const EMPTY: Data = Data::Bytes(b"");

/// A text as payload.
pub(crate) const fn t(text: &'static str) -> Data {
    Data::Bytes(text.as_bytes())
}

impl Data {
    pub(crate) fn payload(self) -> Payload {
        match self {
            Self::Absent => Payload::Absent,
            Self::Bytes(bytes) => bytes.into(),
            Self::Fill(byte, len) => Payload::Present(Bytes::from(vec![byte; len])),
        }
    }
}
