//! The `grid` binary on a pseudo-terminal, and what is to be seen there.

use std::{
    io::{Read, Write},
    sync::{Arc, Condvar, Mutex},
    thread,
    time::Instant,
};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use vt100::{Parser, Screen};

use crate::common::PATIENCE;

/// A terminal on which a `grid` runs; it is killed when this is dropped.
pub(crate) struct Terminal {
    child: Box<dyn Child + Send + Sync>,
    master: Box<dyn MasterPty + Send>,
    keys: Box<dyn Write + Send>,
    seen: Arc<Seen>,
    /// The modes of the line before `grid` came.
    modes: String,
}

struct Seen {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    parser: Parser,
    closed: bool,
}

impl Terminal {
    pub(crate) fn start(arguments: &[&str], columns: u16, rows: u16) -> Self {
        let pty = native_pty_system()
            .openpty(size(columns, rows))
            .expect("a pseudo-terminal");
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_grid"));
        command.args(arguments);
        command.env("TERM", "xterm-256color");
        let modes = modes(&*pty.master);
        let child = pty.slave.spawn_command(command).expect("grid starts");
        // Else the end of `grid` would not be that of the output.
        drop(pty.slave);
        let mut output = pty.master.try_clone_reader().expect("a reader");
        let seen = Arc::new(Seen {
            state: Mutex::new(State {
                parser: Parser::new(
                    rows.try_into().expect("rows"),
                    columns.try_into().expect("columns"),
                    100,
                ),
                closed: false,
            }),
            changed: Condvar::new(),
        });
        let shared = seen.clone();
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            loop {
                let count = output.read(&mut bytes).unwrap_or(0);
                let mut state = shared.state.lock().expect("no panic");
                state.parser.process(&bytes[..count]);
                state.closed = count == 0;
                shared.changed.notify_all();
                if count == 0 {
                    return;
                }
            }
        });
        Self {
            child,
            keys: pty.master.take_writer().expect("a writer"),
            master: pty.master,
            seen,
            modes,
        }
    }

    /// Waits until the screen is as it should be.
    #[track_caller]
    pub(crate) fn wait_for(&self, what: &str, is_there: impl Fn(&Screen) -> bool) {
        self.wait(what, |state| is_there(state.parser.screen()));
    }

    #[track_caller]
    fn wait(&self, what: &str, is_there: impl Fn(&State) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        let mut state = self.seen.state.lock().expect("no panic");
        while !is_there(&state) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || state.closed {
                let shown = state.parser.screen().contents();
                drop(state);
                panic!("no {what}:\n{shown}");
            }
            (state, _) = self
                .seen
                .changed
                .wait_timeout(state, left)
                .expect("no panic");
        }
    }

    pub(crate) fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("it is open");
        self.keys.flush().expect("it is open");
    }

    pub(crate) fn resize(&self, columns: u16, rows: u16) {
        let mut state = self.seen.state.lock().expect("no panic");
        state.parser.set_size(
            rows.try_into().expect("rows"),
            columns.try_into().expect("columns"),
        );
        drop(state);
        self.master.resize(size(columns, rows)).expect("it is open");
    }

    pub(crate) fn pid(&self) -> i32 {
        let id = self.child.process_id().expect("it runs");
        i32::try_from(id).expect("a pid")
    }

    /// Whether a line is edited and shown before a program gets it, as when `grid` came.
    pub(crate) fn is_as_before(&self) -> bool {
        modes(&*self.master) == self.modes
    }

    /// What is to be seen now.
    pub(crate) fn look<T>(&self, at: impl FnOnce(&Screen) -> T) -> T {
        at(self.seen.state.lock().expect("no panic").parser.screen())
    }

    /// Waits for the end; the exit code.
    #[track_caller]
    pub(crate) fn ended(&mut self) -> u32 {
        self.wait("end", |state| state.closed);
        self.child.wait().expect("it has ended").exit_code()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It fails only where the process has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn size(columns: u16, rows: u16) -> PtySize {
    PtySize {
        rows,
        cols: columns,
        pixel_width: 0,
        pixel_height: 0,
    }
}

fn modes(master: &dyn MasterPty) -> String {
    let modes = master.get_termios().expect("a terminal");
    format!("{:?} {:?}", modes.local_flags, modes.output_flags)
}
