//! Bytes or things that may be held at once, counted by link and by node.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

/// One of this many parts of a budget is kept for those of its children that hold little.
const KEPT: usize = 4;

/// A limit shared by whoever charges it, with a parent that every charge goes to as well.
///
/// A link's budget has the node's as its parent. A charge is admitted while the budget is *below* its limit, so that
/// one thing of any size always fits and nothing can wait for ever for room that never comes.
///
/// Children can't take everything from each other: a quarter of the parent's limit, divided among the children that
/// there are, is each one's share. What keeps a child within its share is admitted whatever the others hold; beyond it
/// a child is admitted while the parent has more left than the shares of the others. So all of them together stay
/// within the parent's limit and one thing more, as before, and an only child may have all of it.
///
/// A child that is added finds what the others hold already. Its share is admitted on top of that, until all of them
/// together hold a quarter more than the parent's limit and one thing, the largest that there was: beyond that not even
/// shares are, until something is given back.
///
/// ```
/// use grid_proto::conn::Budget;
///
/// let node = Budget::new(100);
/// let link = Budget::child(&node, 10);
/// let first = link.charge(64).expect("below the limit");
/// assert!(link.charge(1).is_none());
/// assert_eq!(node.used(), 64);
///
/// let greedy = Budget::child(&node, 1000);
/// let second = greedy.charge(64).expect("the node is below its limit");
/// assert!(greedy.charge(1).is_none());
/// let modest = Budget::child(&node, 10);
/// assert!(modest.charge(8).is_some(), "its share is a third of 25");
/// drop((first, second));
/// assert_eq!(node.used(), 0);
/// ```
pub struct Budget {
    limit: usize,
    used: AtomicUsize,
    children: AtomicUsize,
    /// The largest thing that was ever charged.
    largest: AtomicUsize,
    parent: Option<Arc<Self>>,
}

impl Budget {
    /// A budget of its own.
    #[must_use]
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            limit,
            used: AtomicUsize::new(0),
            children: AtomicUsize::new(0),
            largest: AtomicUsize::new(0),
            parent: None,
        })
    }

    /// A budget whose charges count against `parent` too.
    #[must_use]
    pub fn child(parent: &Arc<Self>, limit: usize) -> Arc<Self> {
        parent.children.fetch_add(1, Relaxed);
        Arc::new(Self {
            limit,
            used: AtomicUsize::new(0),
            children: AtomicUsize::new(0),
            largest: AtomicUsize::new(0),
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

    /// Whether the least charge would be admitted; for whoever charges one thing of any size then. So each child may go
    /// beyond its share by one thing, which takes nothing from the shares of the others.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.used() < self.limit && self.parent_admits(1, 0, Self::most_with_one_each)
    }

    /// Whether there might be [room](Self::has_room) in one of its children, be it only in one that holds less than its
    /// share.
    #[must_use]
    pub fn may_admit(&self) -> bool {
        self.used() < self.most_with_one_each()
    }

    /// Whether `amount` would be admitted if `freed` were given back.
    pub(super) fn admits(&self, amount: usize, freed: usize) -> bool {
        self.used().saturating_sub(freed) < self.limit
            && self.parent_admits(amount, freed, Self::most_with_shares)
    }

    fn parent_admits(&self, amount: usize, freed: usize, most: fn(&Self) -> usize) -> bool {
        let Some(parent) = &self.parent else {
            return true;
        };
        // As nearly always: so much is left that nobody's share need be computed.
        if parent.used().saturating_sub(freed) < parent.limit - parent.limit / KEPT {
            return parent.parent_admits(amount, freed, most);
        }
        let (share, kept) = parent.shares();
        let after = |budget: &Self| budget.used().saturating_sub(freed).saturating_add(amount);
        let within_share = after(self) <= share && after(parent) <= most(parent);
        (within_share || parent.used().saturating_sub(freed) < parent.limit - kept)
            && parent.parent_admits(amount, freed, most)
    }

    /// A child's share, and what is kept from one child for the shares of all others.
    fn shares(&self) -> (usize, usize) {
        let children = self.children.load(Relaxed).max(1);
        let share = self.limit / KEPT / children;
        (share, share * (children - 1))
    }

    /// What it holds at the most after admitting something within a share. Shares get smaller as children are added, and
    /// what the earlier ones hold by then stays. What was admitted below the limit and is above it must not count here:
    /// a child with one large thing would take the shares of all others.
    fn most_with_shares(&self) -> usize {
        self.limit
            .saturating_add(self.limit / KEPT)
            .saturating_add(self.largest.load(Relaxed))
    }

    /// The same where each child may have gone beyond its share by one thing.
    fn most_with_one_each(&self) -> usize {
        let each = self.children.load(Relaxed).max(1);
        let things = self.largest.load(Relaxed).saturating_mul(each);
        self.limit
            .saturating_add(self.limit / KEPT)
            .saturating_add(things)
    }

    /// Charges `amount`, or nothing when this budget is at its limit, or a parent is for this one.
    #[must_use]
    pub fn charge(self: &Arc<Self>, amount: usize) -> Option<Charge> {
        self.admits(amount, 0).then(|| self.charge_over(amount))
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

    /// As [`charge_over`](Self::charge_over), for whoever keeps the sum and [gives it back](Self::release).
    pub(super) fn add(&self, amount: usize) {
        self.used.fetch_add(amount, Relaxed);
        if amount > self.largest.load(Relaxed) {
            self.largest.fetch_max(amount, Relaxed);
        }
        if let Some(parent) = &self.parent {
            parent.add(amount);
        }
    }

    pub(super) fn release(&self, amount: usize) {
        self.used.fetch_sub(amount, Relaxed);
        if let Some(parent) = &self.parent {
            parent.release(amount);
        }
    }
}

impl Drop for Budget {
    fn drop(&mut self) {
        if let Some(parent) = &self.parent {
            parent.children.fetch_sub(1, Relaxed);
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
        let one = Budget::child(&node, 8);
        let a = one.charge(7).unwrap();
        let b = one.charge(5).unwrap();
        assert_eq!((one.used(), node.used()), (12, 12));
        assert!(one.charge(1).is_none());
        drop(b);
        assert!(one.charge(1).is_some());
        drop(a);
        assert_eq!((one.used(), node.used()), (0, 0));
    }

    #[test]
    fn an_only_child_may_have_all_of_it() {
        let node = Budget::new(1_000);
        let one = Budget::child(&node, 10_000);
        let _held = one.charge(999).unwrap();
        assert!(one.has_room());
        let _more = one.charge(1).unwrap();
        assert!(!one.has_room());
    }

    #[test]
    fn no_child_takes_the_share_of_another() {
        let node = Budget::new(1_000);
        let children: Vec<_> = (0..5).map(|_| Budget::child(&node, 10_000)).collect();
        // Of the quarter that is kept each of them has a fifth.
        let mut held = Vec::new();
        while let Some(charge) = children[0].charge(100) {
            held.push(charge);
        }
        assert_eq!(node.used(), 800);
        for child in &children[1..] {
            assert!(child.charge(51).is_none());
            held.push(child.charge(20).unwrap());
            held.push(child.charge(30).unwrap());
            assert!(!child.has_room());
        }
        assert_eq!(node.used(), 1_000, "never more than the limit");
    }

    /// Who waits for a budget is woken where one of its children may get in, and no earlier.
    #[test]
    fn a_parent_says_whether_any_child_might_be_admitted() {
        let node = Budget::new(1_000);
        let (one, two) = (Budget::child(&node, 10_000), Budget::child(&node, 10_000));
        let mut held = vec![one.charge(900).unwrap()];
        assert!(!one.has_room() && two.has_room() && node.may_admit());
        // A quarter above the limit, and for each child the largest thing that there was.
        held.push(one.charge_over(900));
        held.push(one.charge_over(900));
        held.push(one.charge_over(349));
        assert!(two.has_room() && node.may_admit());
        held.push(one.charge_over(1));
        assert!(!two.has_room() && !node.may_admit());
        held.pop();
        assert!(two.has_room() && node.may_admit());
    }

    /// Whoever has room charges one thing of any size, as a queue does.
    #[test]
    fn one_large_thing_of_each_leaves_the_shares_of_the_others() {
        let node = Budget::new(1_000);
        let children: Vec<_> = (0..5).map(|_| Budget::child(&node, 10_000)).collect();
        let mut held = Vec::new();
        let (last, greedy) = children.split_last().unwrap();
        for child in greedy {
            while child.has_room() {
                held.push(child.charge_over(700));
            }
        }
        assert!(node.used() > 2_000, "each beyond its share by one thing");
        assert!(last.has_room(), "it holds nothing");
        held.push(last.charge_over(50));
        assert!(!last.has_room());
    }

    #[test]
    fn who_goes_leaves_its_share_to_the_others() {
        let node = Budget::new(1_000);
        let (one, two) = (Budget::child(&node, 10_000), Budget::child(&node, 10_000));
        let held = two.charge(5).unwrap();
        let _full = one.charge(870).unwrap();
        assert!(!one.has_room());
        drop(two);
        assert!(!one.has_room(), "what it held is there still");
        drop(held);
        assert!(one.has_room());
    }

    #[test]
    fn a_share_is_no_way_past_a_grandparent() {
        let root = Budget::new(1_000);
        let node = Budget::child(&root, 10_000);
        let other = Budget::child(&root, 10_000);
        let (one, _two) = (Budget::child(&node, 10_000), Budget::child(&node, 10_000));
        let _full = other.charge(900).unwrap();
        assert!(one.charge(125).is_some());
        assert!(one.charge(126).is_none());
    }

    /// Each has its whole share while there are few, and what it holds then is more than its share later.
    #[test]
    fn children_that_come_later_add_a_quarter_at_most() {
        let node = Budget::new(1_000);
        let one = Budget::child(&node, 10_000);
        let mut first: Vec<_> = (0..100).map(|_| one.charge(10).unwrap()).collect();
        let mut held = Vec::new();
        let later: Vec<_> = (2..100)
            .map(|children| {
                let child = Budget::child(&node, 10_000);
                held.extend(std::iter::from_fn(|| child.charge(2)));
                assert!(node.used() <= 1_260, "{} with {children}", node.used());
                child
            })
            .collect();
        assert!(node.used() > 1_200, "the first of them have had theirs");
        first.clear();
        assert!(later.iter().all(|child| child.has_room()));
    }

    #[test]
    fn one_thing_above_the_limit_takes_no_share() {
        let node = Budget::new(1_000);
        let (one, two) = (Budget::child(&node, 10_000), Budget::child(&node, 10_000));
        let _most = one.charge(800).unwrap();
        let _large = one.charge(600).unwrap();
        let _share = two.charge(125).unwrap();
        assert!(!two.has_room());
    }
}
