//! Permits to run: never more than the limit, and whoever waits for the last hears of it.

use loom::{future::block_on, thread};

use super::permits::Permits;
use crate::{
    explore::{Explored, explore, explore_to},
    sync::{Arc, AtomicUsize, Ordering},
};

pub(crate) const CHECKS: &[(&str, fn() -> Explored)] = &[
    ("never more than the limit, of a child or its parent", limit),
    ("one who waits until none is out", unused),
];

fn limit() -> Explored {
    explore(|| {
        let node = Permits::new(1);
        let running = Arc::new(AtomicUsize::new(0));
        let links = [0, 1].map(|_| {
            let (link, running) = (Permits::child(&node, 1), running.clone());
            thread::spawn(move || {
                let permit = link.try_acquire();
                if permit.is_some() {
                    assert_eq!(running.fetch_add(1, Ordering::SeqCst), 0, "two run");
                    running.fetch_sub(1, Ordering::SeqCst);
                }
            })
        });
        for link in links {
            link.join().unwrap();
        }
        assert_eq!(node.used(), 0);
        assert!(node.try_acquire().is_some());
    })
}

/// Within three preemptions.
fn unused() -> Explored {
    explore_to(3, || {
        let node = Permits::new(2);
        let link = Permits::child(&node, 2);
        let handlers = [0, 1].map(|_| {
            let permit = link.try_acquire().unwrap();
            thread::spawn(move || drop(permit))
        });
        block_on(node.unused());
        for handler in handlers {
            handler.join().unwrap();
        }
    })
}
