//! Who may write: whoever holds the pen, and there is one.
//!
//! The writer's task brings it, and lays it down while it sleeps and while others have their turn. Whoever has queued much
//! may take it then, writes what the system takes at once, and lays it down again.

// All that a model checker puts something else in place of.
use crate::sync::{Mutex, Notify};

/// Where the pen lies while nobody writes.
#[derive(Debug)]
pub(crate) struct Desk<P> {
    place: Mutex<Place<P>>,
    back: Notify,
}

#[derive(Debug)]
struct Place<P> {
    pen: Option<P>,
    /// The writer waits for it: nobody else gets it any more.
    awaited: bool,
    /// The writer has gone, and what lies here goes too.
    closed: bool,
}

impl<P> Desk<P> {
    /// The pen is not there yet.
    pub(crate) fn new() -> Self {
        Self {
            place: Mutex::new(Place {
                pen: None,
                awaited: false,
                closed: false,
            }),
            back: Notify::new(),
        }
    }

    pub(crate) fn lay_down(&self, pen: P) {
        let awaited = {
            let mut place = self.place.lock();
            if place.closed {
                drop(place);
                drop(pen);
                return;
            }
            place.pen = Some(pen);
            place.awaited
        };
        if awaited {
            self.back.notify_one();
        }
    }

    /// Drops the pen, now or when it is laid down: nobody will take it any more.
    pub(crate) fn close(&self) {
        let pen = {
            let mut place = self.place.lock();
            place.closed = true;
            place.pen.take()
        };
        drop(pen);
    }

    /// The pen, unless somebody has it or the writer waits for it; to be laid down again soon, as the writer may wait by then.
    pub(crate) fn borrow(&self) -> Option<P> {
        let mut place = self.place.lock();
        match place.awaited {
            true => None,
            false => place.pen.take(),
        }
    }

    /// The pen, for the writer.
    ///
    /// # Cancel safety
    ///
    /// Nobody else gets the pen until the next call has come to its end.
    pub(crate) async fn take(&self) -> P {
        loop {
            {
                let mut place = self.place.lock();
                if let Some(pen) = place.pen.take() {
                    place.awaited = false;
                    return pen;
                }
                place.awaited = true;
            }
            self.back.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::Future,
        pin::{Pin, pin},
        rc::Rc,
        task::{Context, Poll, Waker},
    };

    use super::*;

    fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn one_at_a_time_has_it_and_the_writer_comes_first() {
        let desk = Desk::new();
        assert_eq!(desk.borrow(), None, "the writer has not brought it yet");
        desk.lay_down("pen");
        let borrowed = desk.borrow().expect("it lies there");
        assert_eq!(desk.borrow(), None);
        let mut writer = pin!(desk.take());
        assert_eq!(poll(writer.as_mut()), Poll::Pending);
        desk.lay_down(borrowed);
        assert_eq!(desk.borrow(), None, "the writer waits for it");
        assert_eq!(poll(writer.as_mut()), Poll::Ready("pen"));
        desk.lay_down("pen");
        assert_eq!(desk.borrow(), Some("pen"));
        desk.lay_down("pen");
        assert_eq!(poll(pin!(desk.take())), Poll::Ready("pen"));
    }

    #[test]
    fn nothing_is_kept_for_a_writer_who_has_gone() {
        let pen = Rc::new(());
        let desk = Desk::new();
        desk.lay_down(pen.clone());
        desk.close();
        assert_eq!(Rc::strong_count(&pen), 1);
        desk.lay_down(pen.clone());
        assert_eq!(Rc::strong_count(&pen), 1);
        assert_eq!(desk.borrow(), None);
    }
}
