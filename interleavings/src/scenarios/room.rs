//! Room in a budget of many links: whoever waits for it hears of it.

use loom::{future::block_on, thread};

use super::room::NodeRoom;
use crate::{
    explore::{Explored, explore, explore_to},
    sync::{Arc, AtomicUsize, Ordering},
};

pub(crate) const CHECKS: &[(&str, fn() -> Explored)] = &[
    ("one who waits hears of the room", one_waits),
    ("two who wait both hear of it", two_wait),
];

/// A budget with as much order between its users as that of grid-proto has: none.
struct Budget {
    used: AtomicUsize,
    room: NodeRoom,
}

impl Budget {
    fn full() -> Arc<Self> {
        Arc::new(Self {
            used: AtomicUsize::new(1),
            room: NodeRoom::new(),
        })
    }

    fn has_room(&self) -> bool {
        self.used.load(Ordering::Relaxed) < 1
    }

    fn give_back(&self) {
        self.used.fetch_sub(1, Ordering::Relaxed);
        self.room.offer(self.has_room());
    }

    /// As callers wait: the wake is made, tried, told, and looked once more.
    async fn wait(&self) {
        loop {
            let wake = self.room.wake.notified();
            if self.has_room() {
                return;
            }
            self.room.starve();
            if self.has_room() {
                continue;
            }
            wake.await;
        }
    }
}

fn one_waits() -> Explored {
    explore(|| {
        let budget = Budget::full();
        let other_link = {
            let budget = budget.clone();
            thread::spawn(move || budget.give_back())
        };
        block_on(budget.wait());
        other_link.join().unwrap();
    })
}

/// Within three preemptions.
fn two_wait() -> Explored {
    explore_to(3, || {
        let budget = Budget::full();
        let waits = {
            let budget = budget.clone();
            thread::spawn(move || block_on(budget.wait()))
        };
        let other_link = {
            let budget = budget.clone();
            thread::spawn(move || budget.give_back())
        };
        block_on(budget.wait());
        waits.join().unwrap();
        other_link.join().unwrap();
    })
}
