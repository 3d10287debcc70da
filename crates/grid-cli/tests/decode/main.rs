//! `grid decode`: the binary against recorded messages, and against captures made of recorded
//! conversations.

#[path = "../common/mod.rs"]
mod common;

mod arguments;
mod captures;
mod damage;
mod packets;
mod recording;
mod vectors;

use std::{
    io::{Read, Write},
    process::{Command, Stdio},
    thread,
};

/// How a run ended.
#[derive(Debug, PartialEq, Eq)]
struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Ran {
    fn lines(&self) -> Vec<&str> {
        self.stdout.lines().collect()
    }
}

/// Runs `grid decode` with these bytes as its stdin.
fn decode(arguments: &[&str], stdin: &[u8]) -> Ran {
    let mut child = Command::new(env!("CARGO_BIN_EXE_grid"))
        .arg("decode")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("grid starts");
    let mut into = child.stdin.take().expect("stdin is piped");
    let bytes = stdin.to_vec();
    // It fails where the run ends before it has read everything.
    let writer = thread::spawn(move || drop(into.write_all(&bytes)));
    let mut stderr = child.stderr.take().expect("stderr is piped");
    let errors = thread::spawn(move || {
        let mut text = String::new();
        stderr.read_to_string(&mut text).map(|_| text)
    });
    let mut stdout = String::new();
    child
        .stdout
        .take()
        .expect("stdout is piped")
        .read_to_string(&mut stdout)
        .expect("stdout is text");
    writer.join().expect("the writer does not panic");
    Ran {
        code: child.wait().expect("it has ended").code(),
        stdout,
        stderr: errors.join().expect("no panic").expect("stderr is text"),
    }
}
