//! A network in memory.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, io,
    pin::Pin,
    sync::{Arc, Weak},
    task::{Context, Poll, Waker},
};

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex},
    sync::mpsc,
};

use crate::{Accept, BoxIo, Dialer, Target};

/// What fits into a connection in each direction before its writer has to wait.
const PIPE_BYTES: usize = 256 * 1024;

/// A network in memory. Clones are the same network.
#[derive(Clone, Debug, Default)]
pub struct Net(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    acceptors: BTreeMap<String, mpsc::UnboundedSender<(BoxIo, String)>>,
    refused: BTreeSet<(String, String)>,
    frozen: BTreeSet<(String, String)>,
    wires: BTreeMap<(String, String), Vec<Weak<Wire>>>,
    dials: BTreeMap<(String, String), usize>,
}

impl Net {
    /// An empty network.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How the node of this name dials.
    #[must_use]
    pub fn dialer(&self, local: &str) -> NetDialer {
        NetDialer {
            net: self.clone(),
            local: local.to_owned(),
        }
    }

    /// Where connections to the node of this name arrive. A later one takes the place of an
    /// earlier; without one, dials are refused.
    #[must_use]
    pub fn acceptor(&self, name: &str) -> NetAcceptor {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.0.lock().acceptors.insert(name.to_owned(), sender);
        NetAcceptor { receiver }
    }

    /// Breaks the connections of two nodes: both ends get a reset. Dialing again succeeds.
    pub fn cut(&self, one: &str, other: &str) {
        for wire in self.wires(one, other) {
            wire.set(Mode::Cut);
        }
    }

    /// Ends the connections of two nodes: both read what has arrived, and then the end of the stream. Dialing again
    /// succeeds.
    pub fn end(&self, one: &str, other: &str) {
        for wire in self.wires(one, other) {
            wire.set(Mode::Ended);
        }
    }

    /// Lets dials between two nodes fail, or succeed again. Connections that are there stay.
    pub fn refuse(&self, one: &str, other: &str, refuse: bool) {
        let mut state = self.0.lock();
        if refuse {
            state.refused.insert(key(one, other));
        } else {
            state.refused.remove(&key(one, other));
        }
    }

    /// Lets nothing arrive between two nodes, now and on connections to come, or lets all of it
    /// through again. Writers see nothing of it until the connection is full.
    pub fn freeze(&self, one: &str, other: &str, freeze: bool) {
        {
            let mut state = self.0.lock();
            if freeze {
                state.frozen.insert(key(one, other));
            } else {
                state.frozen.remove(&key(one, other));
            }
        }
        for wire in self.wires(one, other) {
            wire.set(if freeze { Mode::Frozen } else { Mode::Open });
        }
    }

    /// How many connections two nodes have.
    #[must_use]
    pub fn connections(&self, one: &str, other: &str) -> usize {
        self.wires(one, other).len()
    }

    /// How often one of the two dialed the other, in vain or not.
    #[must_use]
    pub fn dials(&self, one: &str, other: &str) -> usize {
        self.0
            .lock()
            .dials
            .get(&key(one, other))
            .copied()
            .unwrap_or(0)
    }

    fn wires(&self, one: &str, other: &str) -> Vec<Arc<Wire>> {
        let mut state = self.0.lock();
        let Some(wires) = state.wires.get_mut(&key(one, other)) else {
            return Vec::new();
        };
        wires.retain(|wire| wire.strong_count() > 0);
        wires.iter().filter_map(Weak::upgrade).collect()
    }

    fn dial(&self, local: &str, remote: &str) -> io::Result<BoxIo> {
        let mut state = self.0.lock();
        let pair = key(local, remote);
        *state.dials.entry(pair.clone()).or_insert(0) += 1;
        if state.refused.contains(&pair) {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let mode = if state.frozen.contains(&pair) {
            Mode::Frozen
        } else {
            Mode::Open
        };
        let wire = Arc::new(Wire {
            state: Mutex::new((mode, Vec::new())),
        });
        let (near, far) = duplex(PIPE_BYTES);
        let far: BoxIo = Box::new(End {
            io: far,
            wire: wire.clone(),
        });
        let acceptor = state
            .acceptors
            .get(remote)
            .ok_or(io::ErrorKind::ConnectionRefused)?;
        acceptor
            .send((far, local.to_owned()))
            .map_err(|_| io::ErrorKind::ConnectionRefused)?;
        state
            .wires
            .entry(pair)
            .or_default()
            .push(Arc::downgrade(&wire));
        Ok(Box::new(End { io: near, wire }))
    }
}

fn key(one: &str, other: &str) -> (String, String) {
    let (low, high) = if one <= other {
        (one, other)
    } else {
        (other, one)
    };
    (low.to_owned(), high.to_owned())
}

/// Dials through a [`Net`].
#[derive(Clone, Debug)]
pub struct NetDialer {
    net: Net,
    local: String,
}

impl Dialer for NetDialer {
    fn dial<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, io::Result<BoxIo>> {
        Box::pin(async move { self.net.dial(&self.local, target.name()) })
    }
}

/// Takes in what was dialed through a [`Net`].
pub struct NetAcceptor {
    receiver: mpsc::UnboundedReceiver<(BoxIo, String)>,
}

impl Accept for NetAcceptor {
    fn accept(&mut self) -> BoxFuture<'_, io::Result<(BoxIo, String)>> {
        Box::pin(async move {
            match self.receiver.recv().await {
                Some(accepted) => Ok(accepted),
                // Another acceptor has taken this one's place: nothing comes here any more.
                None => std::future::pending().await,
            }
        })
    }
}

impl fmt::Debug for NetAcceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NetAcceptor")
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Open,
    Frozen,
    Ended,
    Cut,
}

/// What the two ends of a connection share.
#[derive(Debug)]
struct Wire {
    state: Mutex<(Mode, Vec<Waker>)>,
}

impl Wire {
    fn set(&self, mode: Mode) {
        let wakers = {
            let mut state = self.state.lock();
            if !matches!(state.0, Mode::Cut | Mode::Ended) {
                state.0 = mode;
            }
            std::mem::take(&mut state.1)
        };
        for waker in wakers {
            waker.wake();
        }
    }

    /// The mode; whoever asked is woken when it changes.
    fn mode(&self, cx: &Context<'_>) -> Mode {
        let mut state = self.state.lock();
        if !state.1.iter().any(|waker| waker.will_wake(cx.waker())) {
            state.1.push(cx.waker().clone());
        }
        state.0
    }
}

struct End {
    io: DuplexStream,
    wire: Arc<Wire>,
}

fn reset<T>() -> Poll<io::Result<T>> {
    Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
}

impl AsyncRead for End {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.wire.mode(cx) {
            Mode::Open => Pin::new(&mut self.io).poll_read(cx, buffer),
            Mode::Frozen => Poll::Pending,
            Mode::Ended => match Pin::new(&mut self.io).poll_read(cx, buffer) {
                Poll::Pending => Poll::Ready(Ok(())),
                read => read,
            },
            Mode::Cut => reset(),
        }
    }
}

impl AsyncWrite for End {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match (
            self.wire.mode(cx),
            Pin::new(&mut self.io).poll_write(cx, bytes),
        ) {
            (Mode::Cut, _) => reset(),
            (Mode::Ended, _) => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            // What the other end does is not to be seen through the ice.
            (Mode::Frozen, Poll::Ready(Err(_))) => Poll::Ready(Ok(bytes.len())),
            (_, written) => written,
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match (self.wire.mode(cx), Pin::new(&mut self.io).poll_flush(cx)) {
            (Mode::Cut, _) => reset(),
            (Mode::Frozen, Poll::Ready(Err(_))) => Poll::Ready(Ok(())),
            (_, flushed) => flushed,
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match (self.wire.mode(cx), Pin::new(&mut self.io).poll_shutdown(cx)) {
            (Mode::Cut, _) => reset(),
            (Mode::Frozen, Poll::Ready(Err(_))) => Poll::Ready(Ok(())),
            (_, ended) => ended,
        }
    }
}
