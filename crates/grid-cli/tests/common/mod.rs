//! The `grid` binary as a process whose output is waited for, line by line.
#![allow(dead_code, reason = "every test file uses another part")]

pub(crate) mod cluster;
pub(crate) mod status;

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        atomic::{AtomicU32, Ordering},
        mpsc::{Receiver, RecvTimeoutError, channel},
    },
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// How long a process may take for something that has no promise of its own.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A variable of the environment by which a process and its children are found.
const MARK: &str = "GRID_TEST_MARK";

/// A running `grid`; killed when dropped.
pub(crate) struct Grid {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
    stdout: Option<thread::JoinHandle<String>>,
    mark: String,
}

/// How a `grid` ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: Vec<String>,
}

impl Ended {
    /// Asserts that it has refused its input in one line, which has these parts, and done nothing.
    #[track_caller]
    pub(crate) fn is_refusal(&self, parts: &[&str]) -> &str {
        assert_eq!(self.status.code(), Some(2), "{self:?}");
        assert_eq!(self.stdout, "", "{self:?}");
        let [line] = self.stderr.as_slice() else {
            panic!("not one line: {self:?}")
        };
        for part in parts {
            assert!(line.contains(part), "{part:?} is not in {line:?}");
        }
        line
    }
}

impl Grid {
    /// Starts `grid` with these arguments, and with a token in its environment.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::start_with(arguments, &[("GRID_TOKEN", "secret")])
    }

    pub(crate) fn start_with(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let mark = unique("mark");
        let mut child = Command::new(env!("CARGO_BIN_EXE_grid"))
            .args(arguments)
            .env_remove("GRID_TOKEN")
            .env_remove("GRID_SHARED_SECRET")
            .env_remove("GRID_JWT_ACCESS_KEY")
            .env_remove("GRID_JWT_SECRET")
            .env_remove("RUST_LOG")
            .envs(environment.iter().copied())
            .env(MARK, &mark)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("grid starts");
        let (sender, lines) = channel();
        let stderr = child.stderr.take().expect("stderr is piped");
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let mut stdout = child.stdout.take().expect("stdout is piped");
        let stdout = thread::spawn(move || {
            let mut text = String::new();
            let _ = stdout.read_to_string(&mut text);
            text
        });
        Self {
            child,
            lines,
            seen: Vec::new(),
            stdout: Some(stdout),
            mark,
        }
    }

    /// Waits for a line on stderr that has all of these parts.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, parts: &[&str], within: Duration) -> String {
        self.wait_for_all(&[parts], within)
    }

    /// Waits for a line for each of these, in whatever order they come; gives the last.
    #[track_caller]
    pub(crate) fn wait_for_all(&mut self, lines: &[&[&str]], within: Duration) -> String {
        let deadline = Instant::now() + within;
        let mut missing = lines.to_vec();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    missing.retain(|parts| !parts.iter().all(|part| line.contains(part)));
                    if missing.is_empty() {
                        return line;
                    }
                }
                Err(error) => panic!(
                    "no line with {missing:?} within {within:?} ({error}): {:#?}",
                    self.seen
                ),
            }
        }
    }

    /// The address that a node has bound.
    pub(crate) fn address(&mut self) -> String {
        let line = self.wait_for(&["listening on "], PATIENCE);
        let (_, rest) = line
            .split_once("listening on ")
            .expect("the words are there");
        rest.split_whitespace()
            .next()
            .expect("an address")
            .to_owned()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).expect("the process is there");
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).expect("a pid"))
    }

    /// Kills it without a chance to say anything, and waits for its end.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("the process is there");
        self.child.wait().expect("it has ended");
    }

    /// Waits for its end: that of its output first, so that a process that hangs is found by time.
    #[track_caller]
    pub(crate) fn ended(mut self, within: Duration) -> Ended {
        let deadline = Instant::now() + within;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => self.seen.push(line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    panic!("still running after {within:?}: {:#?}", self.seen)
                }
            }
        }
        let status = self.child.wait().expect("it has ended");
        let stdout = self
            .stdout
            .take()
            .and_then(|thread| thread.join().ok())
            .unwrap_or_default();
        Ended {
            status,
            stdout,
            stderr: std::mem::take(&mut self.seen),
        }
    }

    /// A handle by which its family can be found after its end.
    pub(crate) fn family(&self) -> Family {
        Family(format!("{MARK}={}", self.mark))
    }
}

impl Drop for Grid {
    fn drop(&mut self) {
        // It fails only where the process has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A process and all its children, found by a mark in their environment.
pub(crate) struct Family(String);

impl Family {
    /// Those that run now.
    pub(crate) fn alive(&self) -> Vec<Pid> {
        let processes = fs::read_dir("/proc")
            .expect("/proc is there")
            .filter_map(Result::ok);
        let pid = |entry: fs::DirEntry| entry.file_name().to_str()?.parse::<i32>().ok();
        let marked = |pid: &i32| {
            fs::read(format!("/proc/{pid}/environ")).is_ok_and(|environment| {
                environment
                    .split(|byte| *byte == 0)
                    .any(|entry| entry == self.0.as_bytes())
            })
        };
        processes
            .filter_map(pid)
            .filter(marked)
            .map(Pid::from_raw)
            .collect()
    }
}

/// A text that no other test and no other run has.
fn unique(what: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!(
        "grid-{what}-{}-{}",
        std::process::id(),
        COUNT.fetch_add(1, Ordering::Relaxed)
    )
}

/// A directory of its own for one test, removed at the end.
pub(crate) struct TempDir(PathBuf);

impl TempDir {
    pub(crate) fn new() -> Self {
        let path = std::env::temp_dir().join(unique("dir"));
        fs::create_dir_all(&path).expect("a directory");
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn text(&self) -> &str {
        self.0.to_str().expect("a path that is text")
    }

    pub(crate) fn write(&self, path: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        fs::write(&path, content).expect("a file");
        path
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
