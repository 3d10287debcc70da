//! The processes of the nodes, as their parent holds them.

use std::{ffi::OsStr, io, path::Path, process::Stdio, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader},
    process::{Child, ChildStdin, Command},
    sync::mpsc,
    task::JoinSet,
    time::timeout,
};

use super::message::{FromNode, ToNode};
use crate::{failure::Failure, token::TOKEN_VARIABLE};

/// A node that was told to end, by the end of its stdin, is killed after this.
const PATIENCE: Duration = Duration::from_secs(5);
const EVENTS: usize = 256;

/// Something that a node's process did.
#[derive(Debug)]
pub(super) enum Event {
    Said(FromNode),
    /// A line on its stderr, or one on its stdout that is no message.
    Line(String),
    /// It closed its stdout: it is ending.
    Gone,
}

/// All nodes of the demo. Dropping it kills them.
#[derive(Debug)]
pub(super) struct Processes {
    nodes: Vec<Process>,
    events: mpsc::Receiver<(usize, Event)>,
    readers: JoinSet<()>,
}

#[derive(Debug)]
struct Process {
    child: Child,
    stdin: Option<ChildStdin>,
}

impl Processes {
    /// Starts `count` processes of `program`. The token goes by the environment, where it does not
    /// show in the process list.
    pub(super) fn spawn(
        program: &Path,
        arguments: &[&OsStr],
        count: usize,
        token: &str,
    ) -> io::Result<Self> {
        let (sender, events) = mpsc::channel(EVENTS);
        let mut all = Self {
            nodes: Vec::with_capacity(count),
            events,
            readers: JoinSet::new(),
        };
        for node in 0..count {
            let mut child = Command::new(program)
                .args(arguments)
                .env(TOKEN_VARIABLE, token)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                // Ctrl-C is for the parent, which then ends the nodes in order.
                .process_group(0)
                .kill_on_drop(true)
                .spawn()?;
            let stdin = child.stdin.take();
            if let Some(stdout) = child.stdout.take() {
                all.readers
                    .spawn(read_messages(node, stdout, sender.clone()));
            }
            if let Some(stderr) = child.stderr.take() {
                all.readers.spawn(read_lines(node, stderr, sender.clone()));
            }
            all.nodes.push(Process { child, stdin });
        }
        Ok(all)
    }

    /// Tells a node something.
    pub(super) async fn tell(&mut self, node: usize, message: &ToNode) -> Result<(), Failure> {
        let failed = |error: io::Error| match error.kind() {
            // Whether this is found first or the end of what it says is a matter of luck.
            io::ErrorKind::BrokenPipe => gone(node),
            _ => Failure::failed(format!("node {} can't be told: {error}", node + 1)),
        };
        let mut line = serde_json::to_vec(message).map_err(|error| failed(error.into()))?;
        line.push(b'\n');
        let stdin = self
            .nodes
            .get_mut(node)
            .and_then(|process| process.stdin.as_mut());
        let stdin = stdin.ok_or_else(|| gone(node))?;
        stdin.write_all(&line).await.map_err(failed)?;
        stdin.flush().await.map_err(failed)
    }

    /// Tells all nodes the same.
    pub(super) async fn tell_all(&mut self, message: &ToNode) -> Result<(), Failure> {
        for node in 0..self.nodes.len() {
            self.tell(node, message).await?;
        }
        Ok(())
    }

    /// What a node did next.
    ///
    /// # Cancel safety
    ///
    /// Safe: no event is lost.
    pub(super) async fn next(&mut self) -> (usize, Event) {
        match self.events.recv().await {
            Some(event) => event,
            None => (0, Event::Gone),
        }
    }

    /// Ends all nodes and waits until their processes are gone.
    pub(super) async fn end(mut self) {
        for process in &mut self.nodes {
            process.stdin = None;
        }
        // Nobody reads any more: a node that still writes must not wait for it.
        self.events.close();
        while self.events.try_recv().is_ok() {}
        let ends = self.nodes.iter_mut().map(|process| async {
            if timeout(PATIENCE, process.child.wait()).await.is_err() {
                // It fails only where the process has ended meanwhile.
                let _ = process.child.kill().await;
            }
        });
        futures_util::future::join_all(ends).await;
    }
}

/// Why the demo ends where a node does.
pub(super) fn gone(node: usize) -> Failure {
    Failure::failed(format!("node {} has ended", node + 1))
}

async fn read_messages(
    node: usize,
    from: impl AsyncRead + Unpin,
    to: mpsc::Sender<(usize, Event)>,
) {
    let mut lines = BufReader::new(from).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let event = match serde_json::from_str(&line) {
            Ok(message) => Event::Said(message),
            Err(_) => Event::Line(line),
        };
        if to.send((node, event)).await.is_err() {
            return;
        }
    }
    // The parent may be past listening.
    let _ = to.send((node, Event::Gone)).await;
}

async fn read_lines(node: usize, from: impl AsyncRead + Unpin, to: mpsc::Sender<(usize, Event)>) {
    let mut lines = BufReader::new(from).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if to.send((node, Event::Line(line))).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAIT: Duration = Duration::from_secs(10);

    fn shell(script: &str) -> Processes {
        let arguments = [OsStr::new("-c"), OsStr::new(script)];
        Processes::spawn(Path::new("/bin/sh"), &arguments, 1, "hush").unwrap()
    }

    async fn next(processes: &mut Processes) -> Event {
        timeout(WAIT, processes.next())
            .await
            .expect("an event in time")
            .1
    }

    #[tokio::test]
    async fn messages_lines_and_the_end_arrive_in_order() {
        let mut all = shell(
            r#"echo '{"bound":{"port":7}}'; echo stray; read line; echo "$GRID_TOKEN $line""#,
        );
        assert!(matches!(
            next(&mut all).await,
            Event::Said(FromNode::Bound { port: 7 })
        ));
        assert!(matches!(next(&mut all).await, Event::Line(line) if line == "stray"));
        all.tell_all(&ToNode::Start).await.unwrap();
        assert!(matches!(next(&mut all).await, Event::Line(line) if line == "hush \"start\""));
        assert!(matches!(next(&mut all).await, Event::Gone));
        all.end().await;
    }

    #[tokio::test]
    async fn a_process_ends_when_its_stdin_does() {
        let all = shell("cat");
        timeout(WAIT, all.end()).await.expect("the end in time");
    }

    #[tokio::test]
    async fn a_process_that_is_gone_cannot_be_told() {
        let mut all = shell("exec <&-; echo gone");
        assert!(matches!(next(&mut all).await, Event::Line(_)));
        let told = all.tell(0, &ToNode::Start).await;
        assert!(matches!(told, Err(Failure::Failed(text)) if text == "node 1 has ended"));
    }
}
