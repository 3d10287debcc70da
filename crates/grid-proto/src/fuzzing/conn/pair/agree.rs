//! What the two machines report, against what was done at the other one.

use super::{Pair, Side, item};
use crate::{
    conn::{CallError, CancelReason, CloseReason, Event},
    fuzzing::conn::check,
};

impl Pair {
    pub(super) fn settle(&mut self) {
        for side in 0..2 {
            while let Some(event) = self.sides[side].conn.poll_event() {
                self.on_event(side, event);
            }
            check(&self.sides[side].conn);
        }
        let closed = |side: &Side| side.conn.close_reason().cloned();
        if let Some(reason) = self.sides.iter().find_map(closed) {
            // Only the clock ends a link between two nodes that keep the rules.
            let allowed = matches!(
                reason,
                CloseReason::PeerSilent(_) | CloseReason::PeerNotReading
            );
            assert!(allowed, "{reason}");
            for side in 0..2 {
                self.sides[side].conn.close(reason.clone());
                while let Some(event) = self.sides[side].conn.poll_event() {
                    self.on_event(side, event);
                }
                self.sides[side].sending.clear();
            }
        }
    }

    fn on_event(&mut self, side: usize, event: Event) {
        let closed = self.sides[side].conn.close_reason().is_some();
        let [zero, one] = &mut self.sides;
        let (this, other) = if side == 0 { (zero, one) } else { (one, zero) };
        match event {
            // No operation asks for one.
            Event::Ponged { .. } => {}
            Event::Unsent(_) => {}
            Event::Answered { mux, outcome, .. } => {
                let call = this.calls.get_mut(&mux.get()).filter(|call| call.open);
                call.expect("an open call").open = false;
                check_error(outcome.err(), closed);
            }
            Event::Item { mux, payload, .. } => {
                let call = this
                    .calls
                    .get_mut(&mux.get())
                    .filter(|call| call.open)
                    .expect("an open call");
                assert_eq!(payload, item(mux.get(), call.got));
                call.got += 1;
                call.unread += 1;
            }
            Event::Writable { mux } => assert!(this.calls.contains_key(&mux.get())),
            Event::Ended { mux, outcome } => {
                let call = this
                    .calls
                    .get_mut(&mux.get())
                    .filter(|call| call.open)
                    .expect("an open call");
                call.open = false;
                if outcome.is_ok() {
                    assert_eq!((call.result, call.got), (Some(true), call.handler_sent));
                }
                check_error(outcome.err(), closed);
            }
            Event::Request(request) => this.tickets.push(request.ticket),
            Event::RequestCancelled { ticket, .. } => assert!(this.tickets.contains(&ticket)),
            Event::Opened(stream) => {
                let call = other
                    .calls
                    .get_mut(&stream.stream.mux().get())
                    .expect("a call of the other");
                assert!(call.served.replace(stream.stream).is_none());
            }
            Event::Received {
                stream, payload, ..
            } => {
                let mux = stream.mux().get();
                let call = other.calls.get_mut(&mux).expect("a call of the other");
                assert_eq!(
                    (call.served, payload),
                    (Some(stream), item(mux, call.handler_got))
                );
                call.handler_got += 1;
                call.handler_unread += 1;
            }
            Event::InputEnded { stream } => {
                let call = other
                    .calls
                    .get_mut(&stream.mux().get())
                    .expect("a call of the other");
                assert!(call.finished && call.handler_got == call.sent);
            }
            Event::ServeWritable { stream } => {
                assert!(other.calls.contains_key(&stream.mux().get()));
            }
            Event::Cancelled { stream, why } => {
                let call = other
                    .calls
                    .get_mut(&stream.mux().get())
                    .expect("a call of the other");
                assert!(
                    !std::mem::replace(&mut call.over, true),
                    "cancelled after its end"
                );
                let broken = matches!(why, CancelReason::Protocol(_) | CancelReason::Overloaded);
                assert!(!broken, "{why:?}");
            }
        }
    }
}

/// Between two nodes that keep the rules no call ends because of a broken one.
fn check_error(error: Option<CallError>, closed: bool) {
    match error {
        None | Some(CallError::Rejected(_) | CallError::Deadline | CallError::NoPong) => {}
        Some(CallError::Closed) => assert!(closed),
        Some(CallError::Remote(text)) => assert_eq!(text, "no"),
        Some(CallError::RemoteDisconnected) => {}
        Some(other) => panic!("{other}"),
    }
}
