//! Where ours differs from the reference on purpose, and what it sends instead.

use grid_proto::wire::{Flags, MuxConnectError, Op, Text};

use super::{
    compare::Line,
    script::{Data, EMPTY},
};

/// One recorded file in which ours sends something else.
#[derive(Debug)]
pub(crate) struct Difference {
    pub(crate) file: &'static str,
    /// The point of the protocol's annex that says what the reference does.
    pub(crate) annex: u8,
    pub(crate) reason: &'static str,
    pub(crate) caller: Change,
    pub(crate) handler: Change,
}

/// What differs in one role.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Change {
    /// What turns the recorded messages into ours, one after the other.
    pub(crate) edits: &'static [Edit],
    /// What the caller of the stream sees instead, where that differs too: its items, and "remote disconnected".
    pub(crate) disconnected_after: Option<&'static [Data]>,
}

/// Nothing differs.
pub(crate) const NOTHING: Change = Change {
    edits: &[],
    disconnected_after: None,
};

const fn sends(edits: &'static [Edit]) -> Change {
    Change { edits, ..NOTHING }
}

/// One change of the messages that are expected; places count from 0.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Edit {
    /// Nothing is sent there.
    Remove(usize),
    /// A message of its mux is sent there that the recorded end didn't send.
    Insert(usize, Op, u32),
    Op(usize, Op),
    Seq(usize, u32),
    Flags(usize, Flags),
    /// A refusal is sent instead, with handler, deadline and text.
    Refuse(usize, u8, u32, &'static str),
}

impl Edit {
    pub(crate) fn apply(&self, lines: &mut Vec<Line>) {
        match *self {
            Self::Remove(at) => {
                lines.remove(at);
            }
            Self::Insert(at, op, seq) => lines.insert(at, Line::bare(op, lines[at].mux, seq)),
            Self::Op(at, op) => lines[at].op = op,
            Self::Seq(at, seq) => lines[at].seq = seq,
            Self::Flags(at, flags) => lines[at].flags = flags,
            Self::Refuse(at, handler, deadline_ms, text) => {
                let line = &mut lines[at];
                line.op = Op::MuxConnectError;
                (line.handler, line.deadline_ms) = (handler, deadline_ms);
                let error = Text::from(text);
                line.payload.clear();
                MuxConnectError { error }.encode(&mut line.payload);
            }
        }
    }
}

const EMPTY_ITEM: Flags = Flags::CRC.union(Flags::PAYLOAD_IS_ZERO);
const STOP: &str = "A DisconnectClientMux would end a call of the peer's that has the same number; a \
                    DisconnectServerMux reaches only what still works for us.";
const PRESENT: &str = "An absent item is not counted by the reference's callers and breaks the stream at the next one: \
                       every item of ours is present, and one of theirs is counted and credited like any other.";
const SILENT: &str = "What is still under way for a stream that we cancelled needs no answer: the remote has been told, \
                      and a DisconnectClientMux would end a call of its own that has the same number.";

const NIL_BY_CALLER: Change = Change {
    edits: &[
        Edit::Flags(3, EMPTY_ITEM),
        Edit::Insert(4, Op::UnblockSrvMux, 4),
        Edit::Seq(5, 5),
    ],
    disconnected_after: Some(&[EMPTY, EMPTY]),
};
const NIL_BY_HANDLER: Change = sends(&[Edit::Flags(4, EMPTY_ITEM)]);

pub(crate) const DIFFERENCES: &[Difference] = &[
    Difference {
        file: "scripted_request_zero_sub_id.json",
        annex: 27,
        reason: "The id with zeros reaches whichever part was registered last, by accident of the order; ours has no \
                 handler under it.",
        caller: NOTHING,
        handler: sends(&[Edit::Refuse(
            0,
            9,
            1000,
            "Invalid Handler for type: [9 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0]",
        )]),
    },
    Difference {
        file: "stream_twoway_nil_and_empty_messages_by_client.json",
        annex: 32,
        reason: PRESENT,
        caller: NIL_BY_CALLER,
        handler: NIL_BY_HANDLER,
    },
    Difference {
        file: "stream_twoway_nil_and_empty_messages_by_server.json",
        annex: 32,
        reason: PRESENT,
        caller: NIL_BY_CALLER,
        handler: NIL_BY_HANDLER,
    },
    Difference {
        file: "scripted_server_msg_unknown_mux.json",
        annex: 44,
        reason: STOP,
        caller: NOTHING,
        handler: sends(&[Edit::Op(0, Op::DisconnectServerMux)]),
    },
    Difference {
        file: "scripted_ack_unknown_mux.json",
        annex: 44,
        reason: STOP,
        caller: NOTHING,
        handler: sends(&[Edit::Op(0, Op::DisconnectServerMux)]),
    },
    Difference {
        file: "scripted_pong_unknown_mux.json",
        annex: 44,
        reason: STOP,
        caller: NOTHING,
        handler: sends(&[Edit::Op(0, Op::DisconnectServerMux)]),
    },
    Difference {
        file: "stream_callback_error_by_client.json",
        annex: 44,
        reason: SILENT,
        caller: sends(&[Edit::Remove(4)]),
        handler: NOTHING,
    },
    Difference {
        file: "stream_callback_error_by_server.json",
        annex: 44,
        reason: SILENT,
        caller: sends(&[Edit::Remove(4)]),
        handler: NOTHING,
    },
];

/// The files in which ours differs and which the transport's tests over raw TCP replay (annex 51 to 53): nothing from
/// before a loss is sent on a later connection. They count against the same limit.
pub(crate) const OVER_TCP_DIFFERENCES: &[&str] = &[
    "disconnect_during_stream_and_request_by_client.json",
    "disconnect_during_stream_and_request_by_server.json",
    "response_after_reconnect_by_client.json",
    "response_after_reconnect_by_server.json",
];
