//! What a load shows on a terminal.

use std::{io::Read, num::NonZero, sync::mpsc::channel, thread, time::Instant};

use portable_pty::{CommandBuilder, PtySize, native_pty_system};

use crate::{common::PATIENCE, nodes::Nodes};

#[test]
fn on_a_terminal_one_line_is_refreshed_and_then_gone() {
    let nodes = Nodes::start();
    let size = PtySize {
        rows: 24,
        cols: 120,
        ..PtySize::default()
    };
    let pty = native_pty_system().openpty(size).unwrap();
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_grid"));
    command.args(nodes.words(true, &["--seconds", "1.2", "--warmup", "0.5"]));
    command.env("TERM", "xterm-256color");
    let mut child = pty.slave.spawn_command(command).unwrap();
    drop(pty.slave);
    let mut reader = pty.master.try_clone_reader().unwrap();
    let (sender, pieces) = channel();
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        // It fails where the terminal has been closed.
        while let Ok(len @ 1..) = reader.read(&mut buffer) {
            if sender.send(buffer[..len].to_vec()).is_err() {
                return;
            }
        }
    });
    let (rows, cols) = (NonZero::new(24).unwrap(), NonZero::new(120).unwrap());
    let mut terminal = vt100::Parser::new(rows, cols, 0);
    let (mut warm, mut measured, mut most) = (false, false, 0);
    let deadline = Instant::now() + PATIENCE;
    while let Ok(piece) = pieces.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
        terminal.process(&piece);
        let screen = terminal.screen().contents();
        warm |= screen.contains("warm-up 0.") && screen.contains("operations/s now");
        measured |= screen.contains("of 1.2 s");
        most = most.max(screen.matches("operations/s").count());
    }
    assert!(child.wait().unwrap().success());
    let screen = terminal.screen().contents();
    assert!(warm && measured, "{screen}");
    assert_eq!(most, 1, "more than one line: {screen}");
    assert!(!screen.contains("operations/s"), "{screen}");
    assert!(
        screen.contains("load ") && screen.contains("p99.9"),
        "{screen}"
    );
}
