//! A call that the application refuses after it was handed over (protocol sections 6 and 7).

use grid_proto::{
    conn::Event,
    wire::{Flags, Message, MuxConnectError, MuxRejection, Op},
};

use crate::tools::{Machine, call, with_flags};

/// A call with something in every field that a refusal repeats, and in those that it doesn't.
fn marked(op: Op) -> Message {
    let mut marked = with_flags(call(op, 6), Flags::from_bits_retain(0x40));
    (marked.seq, marked.deadline_ms) = (3, 61_000);
    marked.subroute = Some(grid_proto::SubrouteId::new(marked.handler, "disk1"));
    marked.flags |= Flags::SUBROUTE | Flags::PAYLOAD_IS_ZERO;
    marked
}

fn refusal_of(call: &Message, text: &[u8]) -> Message {
    let refused = MuxConnectError {
        error: text.to_vec().into(),
    };
    let mut payload = Vec::new();
    refused.encode(&mut payload);
    Message {
        op: Op::MuxConnectError,
        flags: call.flags - Flags::SUBROUTE - Flags::PAYLOAD_IS_ZERO,
        payload: payload.into(),
        subroute: None,
        ..call.clone()
    }
}

#[test]
fn a_request_that_is_refused_late_comes_back_as_it_was() {
    let mut machine = Machine::new();
    let request = marked(Op::Request);
    machine.gets(request.clone());
    let Event::Request(inbound) = machine.event() else {
        panic!("no request")
    };
    let text = b"not\xffnow";
    let rejection = MuxRejection::Other(text.to_vec().into());
    machine.conn.refuse(inbound.ticket, rejection);
    assert_eq!(machine.sends(), [refusal_of(&request, text)]);
    assert_eq!(machine.conn.counters().refused, 1);
}

#[test]
fn a_stream_that_is_refused_late_comes_back_as_it_was_without_an_ack() {
    for acked in [false, true] {
        let mut machine = Machine::new();
        let open = marked(Op::ConnectMux);
        machine.gets(open.clone());
        let Event::Opened(inbound) = machine.event() else {
            panic!("no stream")
        };
        if acked {
            // The Ack has taken the number of the ConnectMux; the refusal repeats it all the same.
            assert_eq!(machine.sent_ops(), [Op::AckMux]);
        }
        let rejection = MuxRejection::Overloaded;
        machine.conn.refuse_stream(inbound.stream, &rejection);
        let text = rejection.to_string();
        assert_eq!(machine.sends(), [refusal_of(&open, text.as_bytes())]);
        assert!(machine.conn.is_idle(), "acked: {acked}");
    }
}
