//! What a sink was given and has not sent yet.

use std::{
    collections::VecDeque,
    future::Future as _,
    pin::Pin,
    task::{Context, Poll},
};

use grid_proto::Payload;
use tokio::sync::futures::OwnedNotified;

use super::pipe::{Wait, Waits};

/// How many items gather, and how many bytes, before they are sent: an item of 512 B costs a fifth less with 32 of them
/// under one lock, and hardly less with more.
const ITEMS: usize = 32;
const BYTES: usize = 16 * 1024;
/// For how many a sink that is empty keeps room.
const KEPT: usize = 4;

/// Items in their order.
#[derive(Default)]
pub(super) struct Gathered {
    items: VecDeque<Payload>,
    /// What they take.
    bytes: usize,
    waiting: Waiting,
}

/// What the first of them waits for.
#[derive(Default)]
enum Waiting {
    #[default]
    Nothing,
    Credit(Pin<Box<OwnedNotified>>),
    /// Any of these.
    Room([Pin<Box<OwnedNotified>>; 3]),
}

impl std::fmt::Debug for Gathered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (items, bytes) = (self.items.len(), self.bytes);
        f.debug_struct("Gathered")
            .field("items", &items)
            .field("bytes", &bytes)
            .finish_non_exhaustive()
    }
}

impl Gathered {
    pub(super) fn add(&mut self, item: Payload) {
        self.bytes += item.len();
        self.items.push_back(item);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// They are to go before there is another.
    pub(super) fn is_full(&self) -> bool {
        self.items.len() >= ITEMS || self.bytes >= BYTES
    }

    /// Has `send` take them, from the first to the one that it does not take.
    pub(super) fn each<E>(
        &mut self,
        mut send: impl FnMut(&mut Payload) -> Result<(), E>,
    ) -> Result<(), E> {
        while let Some(item) = self.items.front_mut() {
            let bytes = item.len();
            send(item)?;
            self.items.pop_front();
            self.bytes -= bytes;
        }
        Ok(())
    }

    /// Forgets the first, which can't be sent.
    pub(super) fn skip(&mut self) {
        let skipped = self.items.pop_front();
        self.bytes -= skipped.map_or(0, |item| item.len());
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// A stream that is idle keeps no trace of what went through it.
    pub(super) fn settle(&mut self) {
        self.waiting = Waiting::Nothing;
        if self.items.is_empty() && self.items.capacity() > KEPT {
            self.items = VecDeque::new();
        }
    }

    /// To be told of what the first of them needs.
    pub(super) fn wait(&mut self, why: Wait, waits: Waits) {
        self.waiting = match why {
            Wait::Credit => Waiting::Credit(Box::pin(waits.credit)),
            // The stream may end meanwhile, which its credit's wake tells.
            Wait::Room => Waiting::Room([waits.room, waits.node_room, waits.credit].map(Box::pin)),
        };
    }

    /// Whether it is time to try.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.waiting {
            Waiting::Nothing => Poll::Ready(()),
            Waiting::Credit(credit) => credit.as_mut().poll(cx),
            Waiting::Room(any) => {
                let mut any = any.iter_mut();
                match any.any(|one| one.as_mut().poll(cx).is_ready()) {
                    true => Poll::Ready(()),
                    false => Poll::Pending,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_gone_leaves_nothing_behind() {
        let mut gathered = Gathered::default();
        for _ in 0..ITEMS {
            gathered.add(Payload::from("item"));
        }
        assert!(gathered.is_full());
        let mut left = ITEMS / 2;
        let stopped = gathered.each(|_| {
            left = left.checked_sub(1).ok_or(())?;
            Ok(())
        });
        assert_eq!(stopped, Err(()));
        assert_eq!(
            (gathered.items.len(), gathered.bytes),
            (ITEMS / 2, 2 * ITEMS)
        );
        gathered.skip();
        gathered.settle();
        assert_eq!(gathered.bytes, 4 * (ITEMS / 2 - 1));
        assert_eq!(gathered.each(|_| Ok::<_, ()>(())), Ok(()));
        gathered.settle();
        assert_eq!((gathered.items.capacity(), gathered.bytes), (0, 0));
    }
}
