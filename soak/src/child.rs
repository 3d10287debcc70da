//! The processes of the nodes, as the orchestrator holds them.

use std::{io, process::Stdio, time::Duration};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    process::{Child as Process, ChildStdin, Command},
    sync::mpsc,
    time::timeout,
};

use crate::words::{Birth, Order, Word};

/// What a process is given to read what it is told.
const READS: Duration = Duration::from_secs(5);

/// Which process: the node, and how often it was started before.
pub type Which = (usize, u64);

/// Something that a process did; `None` when it has closed its standard output.
pub type Event = (Which, Option<Word>);

/// A node's process. Dropping it kills it, and so does the death of this one.
#[derive(Debug)]
pub struct Child {
    process: Process,
    stdin: ChildStdin,
    /// Whether it was told to stand still.
    pub stopped: bool,
}

impl Child {
    /// Starts a node, in a namespace if one is named.
    ///
    /// Has to be called on the main thread: nodes die with the thread that started them.
    ///
    /// # Errors
    ///
    /// When it can't be started or told who it is.
    ///
    /// # Cancel safety
    ///
    /// The process is killed.
    pub async fn start(
        birth: &Birth,
        namespace: Option<&str>,
        events: mpsc::UnboundedSender<Event>,
    ) -> io::Result<Self> {
        let program = std::env::current_exe()?;
        let mut command = match namespace {
            None => Command::new(program),
            Some(name) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", name]).arg(program);
                command
            }
        };
        let mut process = command
            .arg("node")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Ctrl-C is for the orchestrator, which then ends the nodes.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let (Some(stdin), Some(stdout)) = (process.stdin.take(), process.stdout.take()) else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        let which = (birth.index, birth.generation);
        tokio::spawn(async move {
            let mut lines = BufReader::new(stdout).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                // A line that was cut off by a kill says nothing.
                if let Ok(word) = serde_json::from_str(&line) {
                    let _ = events.send((which, Some(word)));
                }
            }
            let _ = events.send((which, None));
        });
        let mut child = Self {
            process,
            stdin,
            stopped: false,
        };
        child.write(serde_json::to_vec(birth)?).await?;
        Ok(child)
    }

    /// Tells it something.
    ///
    /// # Errors
    ///
    /// When it has gone, or does not listen.
    ///
    /// # Cancel safety
    ///
    /// It may have been told in part, and does not understand what follows.
    pub async fn tell(&mut self, order: Order) -> io::Result<()> {
        self.write(serde_json::to_vec(&order)?).await
    }

    async fn write(&mut self, mut line: Vec<u8>) -> io::Result<()> {
        line.push(b'\n');
        let writing = async {
            self.stdin.write_all(&line).await?;
            self.stdin.flush().await
        };
        timeout(READS, writing).await?
    }

    /// Has it killed, stand still, or go on.
    ///
    /// # Errors
    ///
    /// When there is no such process any more.
    pub fn signal(&mut self, signal: Signal) -> io::Result<()> {
        self.stopped = signal == Signal::SIGSTOP;
        let id = self.process.id().ok_or(io::ErrorKind::NotFound)?;
        Ok(kill(Pid::from_raw(id.cast_signed()), signal)?)
    }

    /// Waits for its end, and says whether it was a good one.
    ///
    /// # Errors
    ///
    /// When it does not end in time; it is killed then.
    ///
    /// # Cancel safety
    ///
    /// The process is killed.
    pub async fn end(mut self, within: Duration) -> io::Result<bool> {
        Ok(timeout(within, self.process.wait()).await??.success())
    }
}
