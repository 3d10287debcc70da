//! The small proxy that stands between two nodes of a pair, and cuts their connection on demand.

mod frames;
mod relay;

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};

use serde::{Deserialize, Serialize};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{mpsc, oneshot},
    task::{JoinHandle, JoinSet},
};

use self::relay::Relay;

/// How a connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum CutKind {
    /// By a reset in both directions.
    Rst,
    /// By an orderly end in both directions, wherever the traffic stands.
    Fin,
    /// By passing nothing on any more, while both sockets stay open: only pings find it.
    Silent,
}

impl CutKind {
    pub(crate) const ALL: [Self; 3] = [Self::Rst, Self::Fin, Self::Silent];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Rst => "rst",
            Self::Fin => "fin",
            Self::Silent => "silent",
        }
    }
}

/// When a connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aim {
    /// At once, wherever the traffic stands.
    Now,
    /// Inside a frame, after at least so many more bytes in the given direction; at once when no
    /// traffic comes.
    MidFrame { after: usize, toward: Side },
}

/// A side of the proxied connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Acceptor,
    Dialer,
}

/// What a cut did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CutDone {
    /// Whether a frame had been passed on in part in either direction.
    pub(crate) mid_frame: bool,
    /// Frames that had been passed on whole, in both directions.
    pub(crate) frames: u64,
}

#[derive(Debug)]
struct Order {
    kind: CutKind,
    aim: Aim,
    done: oneshot::Sender<CutDone>,
}

/// A listener on loopback whose connections all lead to one address.
///
/// Dropping it ends the listener and every connection.
#[derive(Debug)]
pub(crate) struct Proxy {
    address: SocketAddr,
    live: Live,
    accepting: JoinHandle<()>,
}

/// Where orders for the newest connection go.
type Live = Arc<Mutex<Option<mpsc::Sender<Order>>>>;

impl Proxy {
    /// Starts to listen on a free port of 127.0.0.1.
    pub(crate) async fn start(target: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let live = Live::default();
        let accepting = tokio::spawn(accept(listener, target, Arc::clone(&live)));
        Ok(Self {
            address,
            live,
            accepting,
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Cuts the newest connection; `None` when there is none, or when it ended by itself first.
    ///
    /// # Cancel safety
    ///
    /// An order that was given is carried out though nobody waits for its report.
    pub(crate) async fn cut(&self, kind: CutKind, aim: Aim) -> Option<CutDone> {
        let orders = self
            .live
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()?;
        let (done, report) = oneshot::channel();
        orders.send(Order { kind, aim, done }).await.ok()?;
        report.await.ok()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, target: SocketAddr, live: Live) {
    let mut relays = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // An accept that fails is the dialer's loss: it dials again.
                let Ok((dialer, _)) = accepted else { continue };
                let (orders, inbox) = mpsc::channel(1);
                *live.lock().unwrap_or_else(PoisonError::into_inner) = Some(orders);
                relays.spawn(relay(dialer, target, inbox));
            }
            Some(_) = relays.join_next() => {}
        }
    }
}

async fn relay(dialer: TcpStream, target: SocketAddr, orders: mpsc::Receiver<Order>) {
    // The dialer sees its own socket close when the target can't be reached.
    let Ok(acceptor) = TcpStream::connect(target).await else {
        return;
    };
    // Delays of small writes are no business of the proxy's.
    let _ = (dialer.set_nodelay(true), acceptor.set_nodelay(true));
    Relay::new(dialer, acceptor).run(orders).await;
}

#[cfg(test)]
mod tests;
