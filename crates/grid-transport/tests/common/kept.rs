//! Sockets of links that a test can ask what the system was told about them.

#![allow(dead_code, reason = "each test target uses its own part")]

use std::{io, sync::Arc};

use futures_util::future::BoxFuture;
use grid_transport::{Accept, BoxIo, Dialer, Target};
use parking_lot::Mutex;
use socket2::{SockRef, Socket};
use tokio::net::{TcpListener, TcpStream};

/// As the `receive_buffer` of a node: other than what a socket begins with.
pub(crate) const BOUND: usize = 96 << 10;

/// Second handles of the sockets that went through the sources and dialers that share it.
#[derive(Clone, Default)]
pub(crate) struct Kept(Arc<Mutex<Vec<Socket>>>);

impl Kept {
    pub(crate) fn keep(&self, stream: &TcpStream) {
        let second = SockRef::from(stream).try_clone().unwrap();
        self.0.lock().push(second);
    }

    /// Of each, in the system's bytes.
    pub(crate) fn receive_buffers(&self) -> Vec<usize> {
        let sockets = self.0.lock();
        let sizes = sockets.iter().map(|socket| socket.recv_buffer_size());
        sizes.collect::<io::Result<_>>().unwrap()
    }
}

/// What the system makes of [`BOUND`], and what it gives where nothing is said.
pub(crate) async fn bounded_and_not() -> [usize; 2] {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stream = TcpStream::connect(address).await.unwrap();
    let socket = SockRef::from(&stream);
    let unbounded = socket.recv_buffer_size().unwrap();
    socket.set_recv_buffer_size(BOUND).unwrap();
    let bounded = socket.recv_buffer_size().unwrap();
    assert_ne!(bounded, unbounded, "nothing could be told apart");
    [bounded, unbounded]
}

/// A listening socket whose connections are kept.
pub(crate) struct KeptListener(pub(crate) TcpListener, pub(crate) Kept);

impl Accept for KeptListener {
    fn accept(&mut self) -> BoxFuture<'_, io::Result<(BoxIo, String)>> {
        Box::pin(async {
            let (io, from) = Accept::accept(&mut self.0).await?;
            self.1.keep((*io).as_any().downcast_ref().unwrap());
            Ok((io, from))
        })
    }
}

/// A dialer whose connections are kept, by how the socket is found in its streams.
pub(crate) struct KeptDialer<D> {
    pub(crate) dialer: D,
    pub(crate) tcp: fn(&BoxIo) -> Option<&TcpStream>,
    pub(crate) kept: Kept,
}

impl<D: Dialer> Dialer for KeptDialer<D> {
    fn dial<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, io::Result<BoxIo>> {
        Box::pin(async {
            let io = self.dialer.dial(target).await?;
            self.kept.keep((self.tcp)(&io).unwrap());
            Ok(io)
        })
    }
}
