//! The largest message: nothing longer ever leaves, and what is too long is known before.

use grid_proto::{
    Payload,
    conn::{Capacity, NewRequest, NewStream, RespondError, SendError, SubmitError},
    wire::{Message, Op},
};

use crate::tools::{HANDLER, Machine, item, millis};

const LIMIT: usize = 1_000;

fn machine() -> Machine {
    Machine::with(|config| config.max_message = LIMIT)
}

/// The longest payload that `fits`, by trying all of them.
fn longest(mut fits: impl FnMut(usize) -> bool) -> usize {
    (1..LIMIT + 100)
        .rev()
        .find(|len| fits(*len))
        .expect("something fits")
}

fn bytes(len: usize) -> Payload {
    Payload::from(vec![b'x'; len])
}

fn only(sent: &[Message]) -> usize {
    sent.iter()
        .map(Message::encoded_len)
        .max()
        .expect("a message")
}

#[test]
fn requests() {
    for deadline in [None, Some(millis(4_000_000_000))] {
        let mut machine = machine();
        let mut fits = |len| {
            let mut new = NewRequest::new(HANDLER, bytes(len));
            new.deadline = deadline.map(|after| machine.now + after);
            let result = machine.conn.request(machine.now, new);
            match result {
                Ok(_) => {
                    assert!(only(&machine.sends()) <= LIMIT, "{len}");
                    true
                }
                Err(SubmitError::TooLarge { len, limit: LIMIT }) => {
                    assert!(len > LIMIT);
                    false
                }
                Err(other) => panic!("{other}"),
            }
        };
        let most = longest(&mut fits);
        assert!(fits(most - 1) && fits(most) && !fits(most + 1));
    }
}

#[test]
fn answers_leave_the_ticket_good() {
    let mut machine = machine();
    let ticket = machine.serves_request(1);
    let result = machine.conn.respond(ticket, Ok(bytes(LIMIT)));
    assert!(
        matches!(result, Err(RespondError::TooLarge { limit: LIMIT, .. })),
        "{result:?}"
    );
    machine
        .conn
        .respond(ticket, Err("too large".into()))
        .expect("the ticket is still good");
    assert_eq!(machine.sent_ops(), [Op::Response]);
}

#[test]
fn items_fit_whatever_number_they_get() {
    let mut machine = machine();
    machine.capacity = Capacity::new(1, 100_000);
    let stream = machine.serves_stream(1);
    let mut fits = |len| match machine.conn.serve_send(stream, bytes(len)) {
        Ok(()) => true,
        Err(SendError::TooLarge { limit: LIMIT, .. }) => false,
        Err(other) => panic!("{other}"),
    };
    let most = longest(&mut fits);
    assert!(fits(most - 1) && fits(most) && !fits(most + 1));
    for _ in 0..70_000 {
        machine
            .conn
            .serve_send(stream, Payload::from(""))
            .expect("credit");
        machine.sends();
    }
    machine
        .conn
        .serve_send(stream, bytes(most))
        .expect("as long as before");
    let sent = machine.sends();
    assert!(
        sent[0].seq > 65_535 && sent[0].encoded_len() <= LIMIT,
        "{sent:?}"
    );
}

#[test]
fn streams() {
    let mut machine = machine();
    let mut fits = |len| {
        let mut new = NewStream::new(HANDLER, Capacity::new(1, 1), bytes(len));
        new.deadline = Some(machine.now + millis(4_000_000_000));
        let fits = machine.conn.open(machine.now, new).is_ok();
        assert!(!fits || only(&machine.sends()) <= LIMIT, "{len}");
        fits
    };
    let most = longest(&mut fits);
    assert!(fits(most - 1) && fits(most) && !fits(most + 1));
}

#[test]
fn a_batch_ends_with_the_message_that_fills_it() {
    let mut machine = Machine::new();
    for mux in 1..=10 {
        machine.serves_stream(mux);
    }
    for _ in 0..10 {
        machine.request();
    }
    let len = machine.conn.queued_bytes() / 10;
    let mut out = Vec::new();
    let bytes = machine
        .conn
        .poll_transmit(machine.now, &mut out, 2 * len + 1);
    assert_eq!((out.len(), bytes), (3, 3 * len));
    let bytes = machine.conn.poll_transmit(machine.now, &mut out, 0);
    assert_eq!((out.len(), bytes), (4, len), "one at the least");
    machine.gets(item(Op::MuxClientMsg, grid_proto::MuxId::new(3), 1, 5));
    assert_eq!(machine.sends().len(), 6);
}

#[test]
fn the_text_that_ends_a_stream_is_cut_to_what_fits() {
    let mut machine = machine();
    let stream = machine.serves_stream(1);
    let text = "\u{e9}".repeat(LIMIT);
    machine.conn.serve_finish(stream, Err(text.as_str().into()));
    let end = machine.sends().swap_remove(0);
    assert_eq!(end.op, Op::MuxServerMsg);
    let len = end.encoded_len();
    assert!((LIMIT - 70..=LIMIT).contains(&len), "{len}");
    let cut = std::str::from_utf8(&end.payload).expect("whole characters");
    assert!(text.starts_with(cut));
}
