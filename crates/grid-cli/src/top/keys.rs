//! The keys that are pressed while a live table is shown.

use std::{io, time::Duration};

use crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use tokio::{
    sync::mpsc::{self, Receiver, Sender},
    task::{JoinHandle, spawn_blocking},
    time::timeout,
};

use super::frame::Move;

/// Keys that wait to be heeded; more are not read until then.
const MOST: usize = 64;
/// After this long without a key the reader looks whether anybody still wants one.
const LOOK: Duration = Duration::from_millis(100);
/// How long its end is waited for: half a key that never gets its other half holds it.
const END: Duration = Duration::from_secs(1);

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Quit,
    Move(Move),
    /// The terminal has another size.
    Redraw,
}

/// The keys, read by a thread of their own: a terminal can't be waited for in any other way that
/// works on all systems.
#[derive(Debug)]
pub(super) struct Keys {
    keys: Receiver<io::Result<Key>>,
    thread: JoinHandle<()>,
}

impl Keys {
    pub(super) fn read() -> Self {
        let (sender, keys) = mpsc::channel(MOST);
        Self {
            keys,
            thread: spawn_blocking(move || pass_on(&sender)),
        }
    }

    /// The next key that means something.
    ///
    /// # Cancel safety
    ///
    /// Safe: no key is lost.
    pub(super) async fn next(&mut self) -> io::Result<Key> {
        let ended = || Err(io::ErrorKind::UnexpectedEof.into());
        self.keys.recv().await.unwrap_or_else(ended)
    }

    /// Stops reading, so that the next key is the shell's.
    pub(super) async fn stop(self) {
        drop(self.keys);
        let _ = timeout(END, self.thread).await;
    }
}

fn pass_on(sender: &Sender<io::Result<Key>>) {
    while !sender.is_closed() {
        let key = match event::poll(LOOK) {
            Ok(false) => continue,
            Ok(true) => event::read().map(|event| meaning(&event)),
            Err(error) => Err(error),
        };
        let last = key.is_err();
        if let Some(key) = key.transpose()
            && sender.blocking_send(key).is_err()
        {
            return;
        }
        if last {
            return;
        }
    }
}

fn meaning(event: &Event) -> Option<Key> {
    match event {
        Event::Resize(..) => Some(Key::Redraw),
        Event::Key(key) if key.kind != KeyEventKind::Release => key_meaning(key),
        _ => None,
    }
}

fn key_meaning(key: &KeyEvent) -> Option<Key> {
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return match key.code {
            KeyCode::Char('c' | 'd') => Some(Key::Quit),
            KeyCode::Char('l') => Some(Key::Redraw),
            _ => None,
        };
    }
    Some(match key.code {
        KeyCode::Char('q' | 'Q') | KeyCode::Esc => Key::Quit,
        KeyCode::Up | KeyCode::Char('k') => Key::Move(Move::Up),
        KeyCode::Down | KeyCode::Char('j') => Key::Move(Move::Down),
        KeyCode::Left | KeyCode::Char('h') => Key::Move(Move::Left),
        KeyCode::Right | KeyCode::Char('l') => Key::Move(Move::Right),
        KeyCode::PageUp => Key::Move(Move::PageUp),
        KeyCode::PageDown | KeyCode::Char(' ') => Key::Move(Move::PageDown),
        KeyCode::Home | KeyCode::Char('g') => Key::Move(Move::Start),
        KeyCode::End | KeyCode::Char('G') => Key::Move(Move::End),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_mean_what_the_help_says() {
        let plain = |code| key_meaning(&KeyEvent::new(code, KeyModifiers::NONE));
        let control = |letter| {
            let key = KeyEvent::new(KeyCode::Char(letter), KeyModifiers::CONTROL);
            key_meaning(&key)
        };
        for code in [KeyCode::Char('q'), KeyCode::Esc] {
            assert_eq!(plain(code), Some(Key::Quit));
        }
        assert_eq!(control('c'), Some(Key::Quit));
        assert_eq!(plain(KeyCode::Char('c')), None);
        assert_eq!(control('q'), None);
        assert_eq!(plain(KeyCode::PageDown), Some(Key::Move(Move::PageDown)));
        assert_eq!(meaning(&Event::Resize(1, 1)), Some(Key::Redraw));
    }
}
