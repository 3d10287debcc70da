//! A stream's inbox: the consumer sleeps only while there is nothing for it.

use std::future::poll_fn;

use loom::{future::block_on, thread};

use super::inbox::{Inbox, Part, Weigh};
use crate::{
    explore::{Explored, explore},
    sync::{Arc, AtomicBool, Mutex, Ordering},
};

pub(crate) const CHECKS: &[(&str, fn() -> Explored)] = &[
    ("an item reaches one who sleeps", one_item),
    ("every item, in order, and then the end", all_items),
    ("an end of the input alone", input_end),
    ("an error comes after the items", error_after_items),
    ("nothing is delivered after a cancel", cancelled),
    ("no clean end where items were taken away", given_up),
];

type Shared = Arc<Inbox<u8, &'static str>>;

/// Large, so that no two leave at once.
impl Weigh for u8 {
    fn weight(&self) -> usize {
        40 * 1024
    }
}

/// The next item, or the end, as a stream's half takes it.
fn recv(inbox: &Shared, taken: &mut Part<u8>) -> Option<Result<u8, &'static str>> {
    block_on(async {
        let polled = poll_fn(|cx| inbox.poll_take(taken, cx.waker())).await;
        match polled {
            Ok(()) => taken.items.pop_front().map(Ok),
            Err(end) => end.map(Err),
        }
    })
}

fn wake(waker: Option<std::task::Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// An inbox, and the reader that fills it.
fn filled(fill: impl FnOnce(&Shared) + Send + 'static) -> (Shared, thread::JoinHandle<()>) {
    let inbox: Shared = Arc::new(Inbox::new());
    let filling = inbox.clone();
    (inbox, thread::spawn(move || fill(&filling)))
}

fn one_item() -> Explored {
    explore(|| {
        let (inbox, reader) = filled(|inbox| wake(inbox.push([1])));
        assert_eq!(recv(&inbox, &mut Part::default()), Some(Ok(1)));
        reader.join().unwrap();
    })
}

fn all_items() -> Explored {
    explore(|| {
        let (inbox, reader) = filled(|inbox| {
            wake(inbox.push([1]));
            wake(inbox.push([2]));
            wake(inbox.end(Ok(())));
        });
        let mut taken = Part::default();
        assert_eq!(recv(&inbox, &mut taken), Some(Ok(1)));
        assert_eq!(recv(&inbox, &mut taken), Some(Ok(2)));
        assert_eq!(recv(&inbox, &mut taken), None);
        assert_eq!(inbox.over(), Some(Ok(())));
        reader.join().unwrap();
    })
}

fn input_end() -> Explored {
    explore(|| {
        let (inbox, reader) = filled(|inbox| wake(inbox.end_input()));
        assert_eq!(recv(&inbox, &mut Part::default()), None);
        assert_eq!(inbox.over(), None, "only the input has ended");
        reader.join().unwrap();
    })
}

fn error_after_items() -> Explored {
    explore(|| {
        let (inbox, reader) = filled(|inbox| {
            wake(inbox.push([1]));
            wake(inbox.end(Err("lost")));
        });
        let mut taken = Part::default();
        assert_eq!(recv(&inbox, &mut taken), Some(Ok(1)));
        assert_eq!(recv(&inbox, &mut taken), Some(Err("lost")));
        assert_eq!(recv(&inbox, &mut taken), None, "an error is told once");
        reader.join().unwrap();
    })
}

/// As a session does it: the reader finds the stream in a table under a lock, and whoever cancels takes it out first.
fn cancelled() -> Explored {
    explore(|| {
        let inbox: Shared = Arc::new(Inbox::new());
        let table = Arc::new(Mutex::new(Some(inbox.clone())));
        let over = Arc::new(AtomicBool::new(false));
        let reader = {
            let table = table.clone();
            thread::spawn(move || {
                let waker = table.lock().as_ref().and_then(|inbox| inbox.push([1]));
                wake(waker);
            })
        };
        let user = {
            let (inbox, over) = (inbox.clone(), over.clone());
            thread::spawn(move || {
                let stream = table.lock().take();
                drop(stream);
                let (items, waker) = inbox.cancel("cancelled").unwrap();
                over.store(true, Ordering::SeqCst);
                wake(waker);
                items.len()
            })
        };
        let mut taken = Part::default();
        let before = over.load(Ordering::SeqCst);
        let first = recv(&inbox, &mut taken);
        let dropped = user.join().unwrap();
        reader.join().unwrap();
        match first {
            Some(Ok(1)) => assert!(!before && dropped == 0, "delivered after the cancel"),
            end => assert_eq!(end, Some(Err("cancelled"))),
        }
        // Nor is what the consumer had taken out at once.
        taken.items.push_back(2);
        let next = block_on(poll_fn(|cx| inbox.poll_take(&mut taken, cx.waker())));
        assert!(next.is_err() && taken.items.is_empty(), "delivered after the cancel");
    })
}

/// Its input had ended, and it held too much: who did not get all of it has to know.
fn given_up() -> Explored {
    explore(|| {
        let inbox: Shared = Arc::new(Inbox::new());
        wake(inbox.push([1]));
        wake(inbox.push([2]));
        wake(inbox.end_input());
        let session = {
            let inbox = inbox.clone();
            thread::spawn(move || {
                let (items, waker) = inbox.give_up("overloaded");
                wake(waker);
                items.len()
            })
        };
        let (mut taken, mut got) = (Part::default(), 0);
        let end = loop {
            match recv(&inbox, &mut taken) {
                Some(Ok(_)) => got += 1,
                end => break end,
            }
        };
        let missing = session.join().unwrap();
        assert_eq!(got + missing, 2);
        if missing > 0 {
            assert_eq!(end, Some(Err("overloaded")), "taken for a clean end");
        }
        assert_eq!(inbox.over(), Some(Err("overloaded")));
    })
}
