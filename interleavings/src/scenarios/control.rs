//! What the reader of a websocket owes the peer: the writer hears of each pong, and the newest ping is answered.

use bytes::Bytes;
use loom::{future::block_on, thread};

use super::control::Control;
use crate::{
    explore::{Explored, explore},
    sync::Arc,
};

pub(crate) const CHECKS: &[(&str, fn() -> Explored)] = &[
    ("the writer hears of a pong", one_ping),
    ("a flood of pings is answered by its newest", two_pings),
    ("a pong that went with other messages is not owed", went_with_others),
];

const FIRST: Bytes = Bytes::from_static(b"1");
const SECOND: Bytes = Bytes::from_static(b"2");

/// A websocket whose reader gets these pings.
fn pinged<const N: usize>(pings: [Bytes; N]) -> (Arc<Control>, thread::JoinHandle<()>) {
    let control = Arc::new(Control::default());
    let reader = {
        let control = control.clone();
        thread::spawn(move || {
            for ping in pings {
                control.owe_pong(ping);
            }
        })
    };
    (control, reader)
}

/// The pong that the writer sends when it has nothing else to send.
fn pong(control: &Control) -> Bytes {
    block_on(control.pong_owed());
    control.take_pong().expect("told, and nothing is owed")
}

fn one_ping() -> Explored {
    explore(|| {
        let (control, reader) = pinged([FIRST]);
        assert_eq!(pong(&control), FIRST);
        reader.join().unwrap();
        assert_eq!(control.take_pong(), None, "one ping, one pong");
    })
}

fn two_pings() -> Explored {
    explore(|| {
        let (control, reader) = pinged([FIRST, SECOND]);
        if pong(&control) == FIRST {
            assert_eq!(pong(&control), SECOND);
        }
        reader.join().unwrap();
        assert_eq!(control.take_pong(), None, "answered twice");
    })
}

/// The writer sends the first with something else, without having waited for it, and waits for the second.
fn went_with_others() -> Explored {
    explore(|| {
        let (control, reader) = pinged([FIRST, SECOND]);
        match control.take_pong() {
            Some(pong) if pong == SECOND => {}
            Some(_) => assert_eq!(pong(&control), SECOND),
            None => while pong(&control) != SECOND {},
        }
        reader.join().unwrap();
        assert_eq!(control.take_pong(), None, "answered twice");
    })
}
