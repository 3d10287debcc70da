//! Serving a control socket.

use std::{io, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use grid_transport::{Accept, BoxIo, Manager, NoAuth};
use tokio::{net::UnixStream, sync::Semaphore, task::JoinHandle, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    handlers::handlers,
    message::{CLIENT, NODE, PATH, settings},
    socket::Bound,
};
use crate::{accepting::Accepting, status::Facts};

/// Commands that may be connected at the same time; others wait for their turn.
const MOST_CLIENTS: usize = 64;
/// A client that hasn't said who it is by then is let go.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// What a client's calls have to come to their end when the node ends; those of the node had their
/// time before.
const GRACE: Duration = Duration::from_secs(1);

/// A control socket at work.
#[derive(Debug)]
pub(crate) struct Control {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Control {
    /// Serves `bound` until [`stop`](Self::stop).
    pub(crate) fn serve(bound: Bound, facts: Arc<Facts>) -> Self {
        let stop = CancellationToken::new();
        let task = tokio::spawn(run(bound, facts, stop.clone()));
        Self { stop, task }
    }

    /// Ends what is connected, removes the socket, and returns when all of it is gone.
    ///
    /// # Cancel safety
    ///
    /// The socket is closed all the same.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        // It fails only where the task has panicked, and then there is nothing to end.
        let _ = self.task.await;
    }

    /// Removes the socket without a word to those who are connected.
    ///
    /// # Cancel safety
    ///
    /// The socket is removed all the same.
    pub(crate) async fn abort(self) {
        self.task.abort();
        // As above; what the task held is dropped by then.
        let _ = self.task.await;
    }
}

async fn run(bound: Bound, facts: Arc<Facts>, stop: CancellationToken) {
    let Bound { socket, file } = bound;
    let clients = TaskTracker::new();
    let places = Arc::new(Semaphore::new(MOST_CLIENTS));
    let mut accepting = Accepting::on("the control socket");
    let accept = async {
        // Never closed.
        while let Ok(place) = places.clone().acquire_owned().await {
            let Some((io, _)) = accepting.accepted(socket.accept().await).await else {
                continue;
            };
            let (facts, stop) = (facts.clone(), stop.clone());
            clients.spawn(async move {
                if let Err(error) = client(io, &facts, &stop).await {
                    tracing::warn!("a command on the control socket: {error}");
                }
                drop(place);
            });
        }
    };
    tokio::select! {
        () = accept => {}
        () = stop.cancelled() => {}
    }
    drop(socket);
    drop(file);
    clients.close();
    clients.wait().await;
}

/// Serves one command until it goes.
async fn client(io: UnixStream, facts: &Arc<Facts>, stop: &CancellationToken) -> io::Result<()> {
    let mut builder = Manager::builder(NODE)
        .peers([NODE, CLIENT])
        .path(PATH)
        .settings(settings())
        // Whoever may open the socket may use it: its mode says who that is.
        .auth(NoAuth);
    for handler in handlers(facts) {
        builder = builder.register(handler);
    }
    let manager = builder.build().map_err(io::Error::other)?;
    let command = manager.connection(CLIENT).map_err(io::Error::other)?;
    let mut states = command.watch();
    let serving = manager.serve_on(Once(Some(Box::new(io))))?;
    let life = async {
        let up = states.wait_for(|state| state.is_connected());
        if matches!(timeout(HANDSHAKE, up).await, Ok(Ok(_))) {
            // It fails where the link is gone for good.
            let _ = states.wait_for(|state| !state.is_connected()).await;
        }
    };
    let grace = tokio::select! {
        () = life => Duration::ZERO,
        () = stop.cancelled() => GRACE,
    };
    manager.shutdown(grace).await;
    serving.stop().await;
    Ok(())
}

/// A source of one connection.
struct Once(Option<BoxIo>);

impl Accept for Once {
    fn accept(&mut self) -> BoxFuture<'_, io::Result<(BoxIo, String)>> {
        match self.0.take() {
            Some(io) => Box::pin(std::future::ready(Ok((io, "control".to_owned())))),
            None => Box::pin(std::future::pending()),
        }
    }
}
