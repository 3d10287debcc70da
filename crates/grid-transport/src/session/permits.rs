//! Counted permission to run, drawn from a link and from its node at once.

// All that a model checker puts something else in place of.
use crate::sync::{Arc, AtomicUsize, Notify, Ordering};

/// A limit of things that run at the same time; a child draws from its parent too.
#[derive(Debug)]
pub(crate) struct Permits {
    used: AtomicUsize,
    limit: usize,
    parent: Option<Arc<Self>>,
    none: Notify,
}

impl Permits {
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            used: AtomicUsize::new(0),
            limit,
            parent: None,
            none: Notify::new(),
        })
    }

    pub(crate) fn child(parent: &Arc<Self>, limit: usize) -> Arc<Self> {
        Arc::new(Self {
            used: AtomicUsize::new(0),
            limit,
            parent: Some(parent.clone()),
            none: Notify::new(),
        })
    }

    /// `None` at the limit, this one's or one above.
    pub(crate) fn try_acquire(self: &Arc<Self>) -> Option<Permit> {
        self.take().then(|| Permit(self.clone()))
    }

    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// Waits until none is out, of this one and of its children; for one without a parent.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub(crate) async fn unused(&self) {
        loop {
            // Made before the look, so that no wake is missed between.
            let none = self.none.notified();
            if self.used.load(Ordering::Acquire) == 0 {
                return;
            }
            none.await;
        }
    }

    fn take(&self) -> bool {
        let taken = self
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                (used < self.limit).then_some(used + 1)
            })
            .is_ok();
        if !taken {
            return false;
        }
        match &self.parent {
            Some(parent) if !parent.take() => {
                self.used.fetch_sub(1, Ordering::AcqRel);
                false
            }
            _ => true,
        }
    }

    fn give_back(&self) {
        if self.used.fetch_sub(1, Ordering::AcqRel) == 1 && self.parent.is_none() {
            self.none.notify_waiters();
        }
        if let Some(parent) = &self.parent {
            parent.give_back();
        }
    }
}

/// One of them; given back on drop.
#[derive(Debug)]
pub(crate) struct Permit(Arc<Permits>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.give_back();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_is_bounded_by_both_limits() {
        let node = Permits::new(3);
        let one = Permits::child(&node, 2);
        let two = Permits::child(&node, 2);
        let first = one.try_acquire().unwrap();
        let _second = one.try_acquire().unwrap();
        assert!(one.try_acquire().is_none(), "the link's own limit");
        let _third = two.try_acquire().unwrap();
        assert!(two.try_acquire().is_none(), "the node's limit");
        assert_eq!((node.used(), one.used(), two.used()), (3, 2, 1));
        drop(first);
        assert!(two.try_acquire().is_some());
        assert_eq!((node.used(), one.used(), two.used()), (2, 1, 1));
    }
}
