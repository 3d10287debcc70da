//! However a soak ends, nobody of it is left.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

const LONG: Duration = Duration::from_secs(120);

/// One that runs; a test that fails leaves none behind.
struct Soak(Child);

impl Drop for Soak {
    fn drop(&mut self) {
        // It may have gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts one that would go on for long, and waits until it has said something like this.
fn start(says: &str) -> Soak {
    let soak = Command::new(env!("CARGO_BIN_EXE_soak"))
        .args(["run", "--verbose", "--seconds", "600", "--seed", "7"])
        .args(["--namespaces", "off"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut soak = Soak(soak);
    let stdout = BufReader::new(soak.0.stdout.take().unwrap());
    let (sender, lines) = mpsc::channel();
    // It goes on reading, so that nobody waits for a full pipe.
    thread::spawn(move || {
        for line in stdout.lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    loop {
        let line = lines.recv_timeout(LONG).unwrap();
        if line.contains(says) {
            return soak;
        }
    }
}

/// Its nodes have the same standard error, which ends when the last of them is gone.
fn all_gone(soak: &mut Soak) -> bool {
    let mut stderr = soak.0.stderr.take().unwrap();
    let (sender, ended) = mpsc::channel();
    thread::spawn(move || {
        let mut said = String::new();
        let read = stderr.read_to_string(&mut said);
        let _ = sender.send(read.is_ok());
    });
    ended.recv_timeout(LONG) == Ok(true)
}

fn ends_by(signal: Signal, after: &str) {
    let mut soak = start(after);
    kill(Pid::from_raw(soak.0.id().cast_signed()), signal).unwrap();
    assert!(all_gone(&mut soak), "somebody is left after {signal}");
    assert!(!soak.0.wait().unwrap().success());
}

#[test]
fn nobody_is_left_after_an_interrupt() {
    ends_by(Signal::SIGINT, "all links are up");
}

#[test]
fn nobody_is_left_after_a_kill_though_one_stands_still() {
    ends_by(Signal::SIGKILL, "Stop)");
}
