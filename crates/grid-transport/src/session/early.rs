//! Whoever has queued much writes it, and doesn't leave it to the writer's task: the peer gets something to do while others
//! go on here, and nobody has to be woken for it ([decision 15]).
//!
//! [decision 15]: https://github.com/grid-rs/grid/blob/main/docs/decisions/0015-whoever-has-queued-much-writes-it.md

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use grid_proto::conn::CloseReason;

use super::{Core, Session, monitor::Sleepers, panic_text, writer::Writing};
use crate::{state::LinkCause, ws::WsError};

/// Queued bytes that are much. With many calls it takes more, as each write is a system call.
const MUCH: usize = 8 * 1024;
const MUCH_OF_MANY: usize = 32 * 1024;
/// What it takes for each of them in between.
const MUCH_EACH: usize = 128;

/// The same for items of streams, where these are few. Of many the writer gathers more than one of them would.
const MUCH_OF_ITEMS: usize = 16 * 1024;
const FEW_STREAMS: usize = 4;

/// Bytes that others write before the writer has its turn, about. Who has no turn meanwhile either, such as the reader of a
/// node with one thread, is not to find more answers than it can keep up with. Where more than that is queued it is the
/// writer's, as to copy and mask it is nothing that a call should wait for.
const MOST_EARLY: usize = 256 * 1024;

/// Whether so much is to be written early.
fn is_worth(queued: usize, least: usize) -> bool {
    (least..=MOST_EARLY).contains(&queued)
}

impl Core {
    /// So much is queued that whoever calls should write it; or there is nobody else who could add to it.
    pub(super) fn has_plenty(&self) -> bool {
        let open = self.open();
        let least = match open {
            0 | 1 => 1,
            _ => (open * MUCH_EACH).clamp(MUCH, MUCH_OF_MANY),
        };
        is_worth(self.conn.queued_bytes(), least)
    }

    /// So much is queued that whoever sends an item should write it.
    pub(crate) fn has_plenty_of_items(&self) -> bool {
        is_worth(self.conn.queued_bytes(), MUCH_OF_ITEMS) && self.open() <= FEW_STREAMS
    }
}

impl Session {
    /// Writes what is queued as far as the system takes it at once, and leaves the rest to the writer; says whether there was
    /// something. Does nothing where somebody is at it already. To be called where no lock is held.
    pub(crate) fn write_early(self: &Arc<Self>) -> bool {
        if !self.writes_early {
            return false;
        }
        let Some(pen) = self.desk.borrow() else {
            return false;
        };
        let mut borrowed = Borrowed {
            session: self,
            pen: Some(pen),
        };
        let Some(pen) = &mut borrowed.pen else {
            return false;
        };
        // What payloads do on being dropped is code of their owners, who need not be who calls here.
        match catch_unwind(AssertUnwindSafe(|| pen.write_early(self))) {
            Ok(Ok(wrote)) => wrote,
            Ok(Err(error)) => {
                self.fail(error);
                false
            }
            Err(panic) => {
                panic_text(panic);
                // Nobody knows what is written.
                self.close(LinkCause::Panicked, CloseReason::Local);
                false
            }
        }
    }

    /// Writes what a batch of the reader has brought about; where the batch was `full`, so that another follows it, however
    /// little that is. Says whether there was something.
    pub(super) fn write_after_batch(self: &Arc<Self>, full: bool) -> bool {
        let least = if full { 1 } else { MUCH };
        self.writes_early
            && is_worth(self.monitor.lock().conn.queued_bytes(), least)
            && self.write_early()
    }
}

/// The pen of somebody who is not the writer; laid down on drop, so that the writer never waits for it in vain.
struct Borrowed<'a> {
    session: &'a Arc<Session>,
    pen: Option<Box<Writing>>,
}

impl Drop for Borrowed<'_> {
    fn drop(&mut self) {
        if let Some(pen) = self.pen.take() {
            self.session.desk.lay_down(pen);
        }
    }
}

impl Writing {
    /// Whether there was something.
    fn write_early(&mut self, session: &Arc<Session>) -> Result<bool, WsError> {
        let tell = |sleepers: &mut Sleepers, nothing: bool| {
            if !nothing {
                sleepers.other_takes();
            }
        };
        if self.early >= MOST_EARLY || self.socket.is_unfinished() || !session.take(self, tell) {
            return Ok(false);
        }
        self.early += self.lens.iter().sum::<usize>();
        self.put(session);
        self.socket.try_send_put()?;
        Ok(true)
    }
}
