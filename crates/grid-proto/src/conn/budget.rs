//! Bytes or things that may be held at once, counted by link and by node.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

/// A limit shared by whoever charges it, with a parent that every charge goes to as well.
///
/// A link's budget has the node's as its parent. A charge is admitted while the budget is *below* its limit, so that
/// one thing of any size always fits and nothing can wait for ever for room that never comes.
///
/// ```
/// use grid_proto::conn::Budget;
///
/// let node = Budget::new(100);
/// let link = Budget::child(&node, 10);
/// let first = link.charge(64).expect("below the limit");
/// assert!(link.charge(1).is_none());
/// assert_eq!(node.used(), 64);
/// drop(first);
/// assert_eq!(node.used(), 0);
/// ```
pub struct Budget {
    limit: usize,
    used: AtomicUsize,
    parent: Option<Arc<Self>>,
}

impl Budget {
    /// A budget of its own.
    #[must_use]
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            limit,
            used: AtomicUsize::new(0),
            parent: None,
        })
    }

    /// A budget whose charges count against `parent` too.
    #[must_use]
    pub fn child(parent: &Arc<Self>, limit: usize) -> Arc<Self> {
        Arc::new(Self {
            limit,
            used: AtomicUsize::new(0),
            parent: Some(Arc::clone(parent)),
        })
    }

    /// What is charged now.
    #[must_use]
    pub fn used(&self) -> usize {
        self.used.load(Relaxed)
    }

    /// The limit it was made with.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Whether a charge would be admitted.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.has_room_without(0)
    }

    /// Whether there would be room if `freed` were given back.
    pub(super) fn has_room_without(&self, freed: usize) -> bool {
        let admits = |budget: &Self| budget.used().saturating_sub(freed) < budget.limit;
        admits(self)
            && self
                .parent
                .as_ref()
                .is_none_or(|parent| parent.has_room_without(freed))
    }

    /// Charges `amount`, or nothing when this budget or a parent is at its limit.
    #[must_use]
    pub fn charge(self: &Arc<Self>, amount: usize) -> Option<Charge> {
        self.has_room().then(|| self.charge_over(amount))
    }

    /// Charges `amount` whatever the limit: for what is there already and has to be counted.
    #[must_use]
    pub fn charge_over(self: &Arc<Self>, amount: usize) -> Charge {
        self.add(amount);
        Charge {
            budget: Some(Arc::clone(self)),
            amount,
        }
    }

    fn add(&self, amount: usize) {
        self.used.fetch_add(amount, Relaxed);
        if let Some(parent) = &self.parent {
            parent.add(amount);
        }
    }

    fn release(&self, amount: usize) {
        self.used.fetch_sub(amount, Relaxed);
        if let Some(parent) = &self.parent {
            parent.release(amount);
        }
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget")
            .field("used", &self.used())
            .field("limit", &self.limit)
            .finish()
    }
}

/// What was charged to a [`Budget`]; dropping it gives the amount back. The default is a charge of nothing.
#[derive(Default)]
pub struct Charge {
    budget: Option<Arc<Budget>>,
    amount: usize,
}

impl Charge {
    /// The amount that is charged.
    #[must_use]
    pub fn amount(&self) -> usize {
        self.amount
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        if let Some(budget) = self.budget.take() {
            budget.release(self.amount);
        }
    }
}

impl fmt::Debug for Charge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Charge({})", self.amount)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn admits_while_below_and_gives_back() {
        let node = Budget::new(10);
        let (one, two) = (Budget::child(&node, 8), Budget::child(&node, 8));
        let a = one.charge(7).unwrap();
        let b = one.charge(5).unwrap();
        assert_eq!((one.used(), node.used()), (12, 12));
        assert!(one.charge(1).is_none());
        assert!(two.charge(1).is_none(), "the node is over its limit");
        drop(b);
        assert!(two.charge(1).is_some());
        drop(a);
        assert_eq!((one.used(), two.used(), node.used()), (0, 0, 0));
    }
}
