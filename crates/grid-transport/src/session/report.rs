//! What is told of a peer that breaks the rules of the connection, or does not read, and of what stays behind of one.

use grid_proto::{
    HandlerId,
    wire::{Inspection, Message},
};

use super::{Session, reader::Unreadable};
use crate::{link::shared::LinkShared, trace::Cut};

/// A message that ends the connection: counted, and logged with as much as can be read of it, once an interval.
pub(super) fn unreadable(session: &Session, why: &Unreadable, bytes: &[u8]) {
    let link = &session.link;
    link.counters.unreadable();
    let Some(suppressed) = link.node.violations.allow(&link.name, "unreadable message") else {
        return;
    };
    let seen = Inspection::of(bytes).ok();
    tracing::warn!(
        target: "grid::session",
        local = %link.node.local,
        remote = %link.name,
        op = seen.as_ref().map(|seen| tracing::field::display(seen.frame.op)),
        mux = seen.as_ref().map(|seen| seen.frame.mux.get()),
        len = bytes.len(),
        suppressed,
        reason = %Cut(why),
        "a message can't be read, and the connection is closed"
    );
}

/// A merged message inside another one, which is ignored: logged once an interval.
pub(super) fn nested(session: &Session, message: &Message) {
    let link = &session.link;
    if let Some(suppressed) = link.node.violations.allow(&link.name, "merged twice") {
        tracing::warn!(
            target: "grid::session",
            local = %link.node.local,
            remote = %link.name,
            messages = message.seq,
            suppressed,
            "a merged message inside another one is ignored"
        );
    }
}

/// An answer that found no room to wait in, and was dropped: logged once an interval.
pub(super) fn dropped_answer(session: &Session, len: usize) {
    let link = &session.link;
    if let Some(suppressed) = link.node.violations.allow(&link.name, "answer dropped") {
        tracing::warn!(
            target: "grid::session",
            local = %link.node.local,
            remote = %link.name,
            len,
            suppressed,
            "an answer is dropped, since the remote leaves too much unread"
        );
    }
}

/// Somebody who did not come out in time, logged once an interval: a peer that hangs up and comes again while a handler of
/// its calls blocks has one left behind each time.
pub(super) fn left_behind(link: &LinkShared, handler: Option<HandlerId>, count: usize) {
    if let Some(suppressed) = link.node.violations.allow(&link.name, "left behind") {
        tracing::warn!(
            target: "grid::session",
            local = %link.node.local,
            remote = %link.name,
            handler = handler.map(|id| id.get()),
            count,
            suppressed,
            "a handler did not come out of its poll in time and is left behind"
        );
    }
}
