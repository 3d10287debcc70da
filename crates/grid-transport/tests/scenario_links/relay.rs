//! A relay between two ends of a connection, which can be frozen, slowed down, ended and cut.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use grid_transport::{BoxIo, Dialer, Target};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split},
    net::{TcpSocket, TcpStream},
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};

/// The most that the relay holds of each direction.
const CHUNK: usize = 16 * 1024;

/// What the relay does to what goes through, both ways.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Shape {
    /// Nothing is read and nothing written.
    pub(crate) frozen: bool,
    /// How long it takes through the relay.
    pub(crate) delay: Duration,
    /// Bytes a second.
    pub(crate) rate: Option<usize>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum End {
    Fin,
    Reset,
}

/// Clones are the same relay.
#[derive(Clone)]
pub(crate) struct Relay {
    shape: Arc<watch::Sender<Shape>>,
    ends: Arc<watch::Sender<End>>,
    to: Arc<watch::Sender<Option<SocketAddr>>>,
}

impl Relay {
    pub(crate) fn new() -> Self {
        Self {
            shape: Arc::new(watch::Sender::new(Shape::default())),
            ends: Arc::new(watch::Sender::new(End::Reset)),
            to: Arc::new(watch::Sender::new(None)),
        }
    }

    /// A relay on TCP, and its address. It leads to nowhere yet.
    pub(crate) fn tcp() -> (Self, SocketAddr) {
        let relay = Self::new();
        let socket = TcpSocket::new_v4().unwrap();
        // So little that it is soon felt by who sends when nothing is taken.
        socket.set_recv_buffer_size(CHUNK as u32).unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(64).unwrap();
        let own = listener.local_addr().unwrap();
        let serving = relay.clone();
        tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((near, _)) = listener.accept().await {
                let to = *serving.to.borrow();
                let Some(to) = to else { continue };
                let Ok(far) = TcpStream::connect(to).await else {
                    continue;
                };
                for stream in [&near, &far] {
                    stream.set_nodelay(true).unwrap();
                    // What is dropped is reset.
                    let socket = socket2::SockRef::from(stream);
                    socket.set_linger(Some(Duration::ZERO)).unwrap();
                }
                connections.spawn(serving.clone().carry(near, far));
                while connections.try_join_next().is_some() {}
            }
        });
        (relay, own)
    }

    /// Where connections go from now on; `None` refuses them.
    pub(crate) fn lead_to(&self, address: Option<SocketAddr>) {
        self.to.send_replace(address);
    }

    pub(crate) fn shape(&self, change: impl FnOnce(&mut Shape)) {
        self.shape.send_modify(change);
    }

    pub(crate) fn freeze(&self, frozen: bool) {
        self.shape(|shape| shape.frozen = frozen);
    }

    /// Ends the connections that are there; later ones are not touched.
    pub(crate) fn end(&self, end: End) {
        self.ends.send_replace(end);
    }

    /// Carries one connection, until both directions have ended or it is told to end.
    async fn carry(self, near: impl AsyncRead + AsyncWrite, far: impl AsyncRead + AsyncWrite) {
        let mut ends = self.ends.subscribe();
        ends.borrow_and_update();
        let (mut near_read, mut near_write) = split(near);
        let (mut far_read, mut far_write) = split(far);
        let both = async {
            tokio::join!(
                pump(&mut near_read, &mut far_write, self.shape.subscribe()),
                pump(&mut far_read, &mut near_write, self.shape.subscribe())
            )
        };
        let end = tokio::select! {
            _ = both => return,
            changed = ends.changed() => match changed {
                Ok(()) => *ends.borrow(),
                Err(_) => return,
            },
        };
        if matches!(end, End::Fin) {
            let _ = tokio::join!(near_write.shutdown(), far_write.shutdown());
            let mut rest = (Vec::new(), Vec::new());
            let _ = tokio::join!(
                near_read.read_to_end(&mut rest.0),
                far_read.read_to_end(&mut rest.1)
            );
        }
    }
}

/// Dials one address, and lets the kernel keep little of what is sent: else it takes megabytes at once, and room for more
/// is there only after a third of them have left.
pub(crate) struct Tight(pub(crate) SocketAddr);

impl Dialer for Tight {
    fn dial<'a>(&'a self, _: &'a Target) -> BoxFuture<'a, io::Result<BoxIo>> {
        Box::pin(async {
            let socket = TcpSocket::new_v4()?;
            socket.set_send_buffer_size(64 * 1024)?;
            let stream = socket.connect(self.0).await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(stream) as BoxIo)
        })
    }
}

/// A dialer whose connections go through a relay.
pub(crate) struct Through<D>(pub(crate) Relay, pub(crate) D);

impl<D: Dialer> Dialer for Through<D> {
    fn dial<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, io::Result<BoxIo>> {
        Box::pin(async move {
            let far = self.1.dial(target).await?;
            let (ours, near) = tokio::io::duplex(CHUNK);
            tokio::spawn(self.0.clone().carry(near, far));
            Ok(Box::new(ours) as BoxIo)
        })
    }
}

/// How much goes through together: on a slow wire little, so that it comes as evenly as it would.
fn at_once(rate: Option<usize>) -> usize {
    rate.map_or(CHUNK, |rate| (rate / 20).clamp(1, CHUNK))
}

/// Carries one direction to its end.
async fn pump(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    mut shape: watch::Receiver<Shape>,
) {
    let mut buffer = vec![0; CHUNK];
    let mut free = Instant::now();
    loop {
        let Ok(thawed) = shape
            .wait_for(|shape| !shape.frozen)
            .await
            .map(|shape| *shape)
        else {
            return;
        };
        let len = tokio::select! {
            biased;
            _ = shape.changed() => continue,
            read = from.read(&mut buffer[..at_once(thawed.rate)]) => read.unwrap_or(0),
        };
        if len == 0 {
            let _ = to.shutdown().await;
            return;
        }
        // tidy: sleep: a long wire
        sleep(thawed.delay).await;
        if let Some(rate) = thawed.rate {
            free = free.max(Instant::now()) + Duration::from_secs_f64(len as f64 / rate as f64);
            // tidy: sleep: a slow wire
            sleep_until(free).await;
        }
        if shape.wait_for(|shape| !shape.frozen).await.is_err()
            || to.write_all(&buffer[..len]).await.is_err()
        {
            return;
        }
    }
}
