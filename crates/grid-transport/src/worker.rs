//! A thread for the links of a node, where it has one of its own.
//!
//! Link tasks wake each other all the time. On one thread that costs next to nothing; on a runtime with many threads each
//! wake may find another thread asleep, and move what it wakes there.

use std::{
    fmt, io,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use tokio::{
    net::TcpListener,
    runtime::{Builder, Handle},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{link::shared::NodeShared, shutdown::Shutdown};

/// A thread with a runtime for itself.
pub(crate) struct Worker {
    handle: Handle,
    /// Fires when nothing more is given to it.
    let_go: CancellationToken,
    /// Fires as the last thing that it does.
    gone: CancellationToken,
}

impl Worker {
    /// Starts it. Once it is [let go](Self::let_go) it waits for `tasks` to end, but no longer than `patience`.
    pub(crate) fn start(tasks: TaskTracker, patience: Duration) -> io::Result<Self> {
        let (let_go, gone) = (CancellationToken::new(), CancellationToken::new());
        let (told, last) = (let_go.clone(), gone.clone().drop_guard());
        // The runtime is made in there, as it must not be dropped in here should there be no thread.
        let (made, making) = mpsc::sync_channel(1);
        thread::Builder::new()
            .name("grid-links".to_owned())
            .spawn(move || {
                let runtime = match Builder::new_current_thread().enable_all().build() {
                    Ok(runtime) => runtime,
                    Err(error) => return drop(made.send(Err(error))),
                };
                if made.send(Ok(runtime.handle().clone())).is_err() {
                    return;
                }
                runtime.block_on(async {
                    told.cancelled().await;
                    // What is left by then is dropped with the runtime.
                    let _ = timeout(patience, tasks.wait()).await;
                });
                // A name that is being looked up is not waited for.
                runtime.shutdown_background();
                drop(last);
            })?;
        let handle = making.recv().map_err(io::Error::other)??;
        Ok(Self {
            handle,
            let_go,
            gone,
        })
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// The same socket, whose events come here from now on.
    fn adopt(&self, socket: TcpListener) -> io::Result<TcpListener> {
        let socket = socket.into_std()?;
        let _inside = self.handle.enter();
        TcpListener::from_std(socket)
    }

    /// Lets it end as soon as nothing runs on it.
    pub(crate) fn let_go(&self) {
        self.let_go.cancel();
    }

    /// Waits for its end, once it was let go.
    ///
    /// # Cancel safety
    ///
    /// It ends all the same.
    pub(crate) async fn ended(&self) {
        self.gone.cancelled().await;
    }

    /// Ends the node where `handlers`, the runtime in which it was built, ends before it: its handlers would have nowhere
    /// to run, and their callers would wait for them.
    pub(crate) fn end_with(&self, handlers: &Handle, tasks: &TaskTracker, shutdown: &Shutdown) {
        let ends = Ends {
            shutdown: shutdown.clone(),
            tasks: tasks.clone(),
            let_go: self.let_go.clone(),
        };
        drop(tasks.spawn_on(
            async move { ends.shutdown.closing().cancelled().await },
            handlers,
        ));
    }
}

impl NodeShared {
    /// Where a listener runs, for this node alone or for others too: a worker would take their sockets with it.
    pub(crate) fn listens_on(&self, alone: bool) -> &Handle {
        if alone { &self.runtime } else { &self.handlers }
    }
}

/// The same socket, whose events come where the links run of the node that it serves.
pub(crate) fn adopt(nodes: &[Arc<NodeShared>], socket: TcpListener) -> io::Result<TcpListener> {
    match nodes {
        [node] if !node.shutdown.is_draining() => match &node.worker {
            Some(worker) => worker.adopt(socket),
            None => Ok(socket),
        },
        _ => Ok(socket),
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.let_go();
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").finish_non_exhaustive()
    }
}

/// Ends the node when it is dropped, which does nothing to one that is ending.
struct Ends {
    shutdown: Shutdown,
    tasks: TaskTracker,
    let_go: CancellationToken,
}

impl Drop for Ends {
    fn drop(&mut self) {
        self.shutdown.close();
        self.shutdown.abort_all();
        self.tasks.close();
        self.let_go.cancel();
    }
}
