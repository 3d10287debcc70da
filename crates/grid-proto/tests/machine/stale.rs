//! What a process that was here before left behind must not reach a call of this one (protocol sections 3 and 9).

use grid_proto::{
    MuxId,
    wire::{Flags, Message, MuxConnectError, Op, Pong},
};

use crate::tools::{Machine, item, message, with_flags};

/// All that may come for a caller's mux, each with the first number of its count.
fn answers(mux: MuxId) -> Vec<Message> {
    let (mut refusal, mut pong) = (
        message(Op::MuxConnectError, mux, 0),
        message(Op::Pong, mux, 1),
    );
    let (mut refused, mut not_found) = (Vec::new(), Vec::new());
    MuxConnectError::default().encode(&mut refused);
    Pong {
        not_found: true,
        ..Pong::default()
    }
    .encode(&mut not_found);
    (refusal.payload, pong.payload) = (refused.into(), not_found.into());
    vec![
        with_flags(message(Op::Response, mux, 0), Flags::EOF),
        message(Op::AckMux, mux, 0),
        item(Op::MuxServerMsg, mux, 0, 1),
        with_flags(message(Op::MuxServerMsg, mux, 0), Flags::EOF),
        with_flags(message(Op::MuxServerMsg, mux, 7), Flags::EOF),
        message(Op::UnblockClMux, mux, 0),
        message(Op::DisconnectClientMux, mux, 0),
        refusal,
        pong,
    ]
}

#[test]
fn nothing_answers_a_call_that_has_not_left() {
    let kinds = answers(MuxId::new(1)).len();
    for kind in 0..kinds {
        let mut machine = Machine::new();
        let (request, stream) = (machine.request(), machine.open(2, 2, None));
        for mux in [request, stream] {
            let answer = answers(mux).swap_remove(kind);
            let op = answer.op;
            machine.gets(answer);
            machine.no_event();
            assert_eq!(machine.conn.counters().unknown_mux, mux.get(), "{op}");
        }
        assert_eq!(machine.sent_ops(), [Op::Request, Op::ConnectMux]);
        // Once they have left it is theirs.
        let answer = with_flags(message(Op::Response, request, 0), Flags::EOF);
        machine.gets(answer);
        machine.gets(message(Op::AckMux, stream, 0));
        assert_eq!(machine.events().len(), 2, "kind {kind}");
    }
}
