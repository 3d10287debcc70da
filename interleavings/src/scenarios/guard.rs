//! The guard: who is inside when it is gone.

use loom::{future::block_on, thread};

use super::guard::Guard;
use crate::{
    explore::{Explored, explore},
    sync::{Arc, AtomicBool, Ordering},
};

pub(crate) const CHECKS: &[(&str, fn() -> Explored)] = &[
    ("nobody is inside once it is gone", nobody_is_inside),
    ("each of two who leave may be the last", two_leave),
    ("two close it and one is first", two_close),
    ("one who does not leave is abandoned", abandoned),
];

fn nobody_is_inside() -> Explored {
    explore(|| {
        let guard = Arc::new(Guard::<u8>::new());
        let gone = Arc::new(AtomicBool::new(false));
        let member = {
            let (guard, gone) = (guard.clone(), gone.clone());
            thread::spawn(move || {
                if let Some(pass) = guard.enter(1) {
                    assert!(!gone.load(Ordering::SeqCst), "inside after it was gone");
                    drop(pass);
                }
            })
        };
        let closer = {
            let guard = guard.clone();
            thread::spawn(move || assert!(guard.close(), "nobody else closes it"))
        };
        block_on(guard.gone());
        gone.store(true, Ordering::SeqCst);
        assert!(guard.enter(2).is_none(), "let in after it was gone");
        member.join().unwrap();
        closer.join().unwrap();
    })
}

fn two_leave() -> Explored {
    explore(|| {
        let guard = Arc::new(Guard::<u8>::new());
        let members = [1, 1].map(|label| {
            let pass = guard.enter(label).unwrap();
            thread::spawn(move || drop(pass))
        });
        guard.close();
        block_on(guard.gone());
        for member in members {
            member.join().unwrap();
        }
    })
}

fn two_close() -> Explored {
    explore(|| {
        let guard = Arc::new(Guard::<u8>::new());
        let pass = guard.enter(1);
        let closers = [0, 1].map(|_| {
            let guard = guard.clone();
            thread::spawn(move || guard.close())
        });
        drop(pass);
        block_on(guard.gone());
        let first = closers.map(|closer| closer.join().unwrap());
        assert_ne!(first[0], first[1], "exactly one was first");
    })
}

fn abandoned() -> Explored {
    explore(|| {
        let guard = Arc::new(Guard::<u8>::new());
        let stays = guard.enter(7).unwrap();
        let leaves = guard.enter(9).unwrap();
        let leaver = thread::spawn(move || drop(leaves));
        let teardown = {
            let guard = guard.clone();
            thread::spawn(move || {
                guard.close();
                let left = guard.abandon();
                assert_eq!(left.first(), Some(&(7, 1)), "who stays is named");
            })
        };
        block_on(guard.gone());
        leaver.join().unwrap();
        teardown.join().unwrap();
        drop(stays);
    })
}
