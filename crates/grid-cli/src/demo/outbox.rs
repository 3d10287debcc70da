//! A node's messages to its parent: a queue, and the thread that writes it to stdout.

use std::io::{self, Write};

use tokio::sync::mpsc;

use super::message::FromNode;

const QUEUE: usize = 256;

/// Where messages to the parent go; cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Outbox(mpsc::Sender<FromNode>);

impl Outbox {
    /// Starts the thread that writes to stdout. It ends with the last clone, or when the parent is
    /// gone.
    pub(super) fn start() -> Self {
        let (sender, messages) = mpsc::channel(QUEUE);
        std::thread::spawn(move || {
            // A parent that is gone closes our stdin too, by which this process ends.
            let _ = write(messages, io::stdout());
        });
        Self(sender)
    }

    /// Queues a message; waits for room.
    ///
    /// # Cancel safety
    ///
    /// A message whose future was dropped is not sent.
    pub(super) async fn say(&self, message: FromNode) {
        // As above: without a parent there is nobody to tell.
        let _ = self.0.send(message).await;
    }

    /// Queues a message from a thread that may block.
    pub(super) fn say_blocking(&self, message: FromNode) {
        let _ = self.0.blocking_send(message);
    }
}

fn write(mut messages: mpsc::Receiver<FromNode>, mut to: impl Write) -> io::Result<()> {
    while let Some(message) = messages.blocking_recv() {
        let mut line = serde_json::to_vec(&message)?;
        line.push(b'\n');
        to.write_all(&line)?;
        to.flush()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_written_as_lines_until_nobody_is_left() {
        let (sender, messages) = mpsc::channel(4);
        sender.try_send(FromNode::Bound { port: 1 }).unwrap();
        sender.try_send(FromNode::Note("a\nb".into())).unwrap();
        drop(sender);
        let mut out = Vec::new();
        write(messages, &mut out).unwrap();
        assert_eq!(out, b"{\"bound\":{\"port\":1}}\n{\"note\":\"a\\nb\"}\n");
    }
}
