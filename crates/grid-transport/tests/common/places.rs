//! Nodes whose names say nothing of where they listen.
#![allow(dead_code, reason = "every test file uses another part")]

use std::{collections::HashMap, io, net::SocketAddr, sync::Arc};

use futures_util::future::BoxFuture;
use grid_transport::{BoxIo, Dialer, Target};
use parking_lot::Mutex;
use tokio::net::TcpStream;

/// The name of the node of that number.
pub(crate) fn name(node: usize) -> String {
    format!("http://node{node}:9000")
}

/// Where each node listens now: a port that was given back may be somebody else's at once.
#[derive(Clone, Default)]
pub(crate) struct Places(Arc<Mutex<HashMap<String, SocketAddr>>>);

impl Places {
    /// From now on the node of this name is there.
    pub(crate) fn set(&self, name: String, place: SocketAddr) {
        self.0.lock().insert(name, place);
    }

    /// From now on it is nowhere.
    pub(crate) fn forget(&self, name: &str) {
        self.0.lock().remove(name);
    }
}

impl Dialer for Places {
    fn dial<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, io::Result<BoxIo>> {
        let place = self.0.lock().get(target.name()).copied();
        Box::pin(async move {
            let place = place.ok_or(io::ErrorKind::ConnectionRefused)?;
            let stream = TcpStream::connect(place).await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(stream) as BoxIo)
        })
    }
}
