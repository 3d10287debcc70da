//! Two nodes and what is between them: a network in memory, or TCP through a relay.

use std::time::Duration;

use grid_transport::{
    Builder, Connection, Manager, Settings,
    testing::{self, NAMES, Net},
};
use tokio::{
    net::TcpListener,
    time::{Instant, timeout},
};

use crate::{
    node,
    probe::{LONG, probe},
    relay::{End, Relay, Tight},
};

/// What carries the connection.
pub(crate) enum Wire {
    Memory(Net),
    Tcp(Relay),
}

/// A dials B.
pub(crate) struct Scene {
    pub(crate) wire: Wire,
    pub(crate) a: Manager,
    pub(crate) b: Manager,
    settings: Settings,
}

impl Scene {
    /// In memory.
    pub(crate) async fn memory(settings: Settings) -> Self {
        let net = Net::new();
        let node =
            |name| testing::node_on(&net, name, &NAMES, |builder| finish(builder, &settings));
        let (a, b) = (node(NAMES[0]).unwrap(), node(NAMES[1]).unwrap());
        let wire = Wire::Memory(net);
        Self {
            wire,
            a,
            b,
            settings,
        }
        .connected()
        .await
    }

    /// Over real sockets.
    pub(crate) async fn tcp(settings: Settings) -> Self {
        let (relay, address) = Relay::tcp();
        let b = serve_b(&relay, &settings).await;
        let builder = node::builder(node::A, &[node::B]).dialer(Tight(address));
        let a = finish(builder, &settings).build().unwrap();
        let wire = Wire::Tcp(relay);
        Self {
            wire,
            a,
            b,
            settings,
        }
        .connected()
        .await
    }

    pub(crate) fn a_to_b(&self) -> Connection {
        self.a.connection(self.b.local()).unwrap()
    }

    pub(crate) fn b_to_a(&self) -> Connection {
        self.b.connection(self.a.local()).unwrap()
    }

    pub(crate) fn end(&self, end: End) {
        match (&self.wire, end) {
            (Wire::Memory(net), End::Fin) => net.end(NAMES[0], NAMES[1]),
            (Wire::Memory(net), End::Reset) => net.cut(NAMES[0], NAMES[1]),
            (Wire::Tcp(relay), end) => relay.end(end),
        }
    }

    pub(crate) fn freeze(&self, frozen: bool) {
        match &self.wire {
            Wire::Memory(net) => net.freeze(NAMES[0], NAMES[1], frozen),
            Wire::Tcp(relay) => relay.freeze(frozen),
        }
    }

    /// Lets dials fail from now on; connections stay.
    pub(crate) fn refuse(&self) {
        match &self.wire {
            Wire::Memory(net) => net.refuse(NAMES[0], NAMES[1], true),
            Wire::Tcp(relay) => relay.lead_to(None),
        }
    }

    /// B's process is killed, and another one begins in its place.
    pub(crate) async fn restart_b(&mut self) {
        let old = match &self.wire {
            Wire::Memory(net) => {
                let new = testing::node_on(net, NAMES[1], &NAMES, |builder| {
                    finish(builder, &self.settings)
                });
                std::mem::replace(&mut self.b, new.unwrap())
            }
            Wire::Tcp(relay) => {
                let new = serve_b(relay, &self.settings).await;
                std::mem::replace(&mut self.b, new)
            }
        };
        // A process that is killed says nothing.
        self.end(End::Reset);
        old.shutdown(Duration::ZERO).await;
    }

    /// Waits until both see the link as up.
    pub(crate) async fn connected(self) -> Self {
        self.up().await;
        self
    }

    /// The same.
    pub(crate) async fn up(&self) {
        node::connected(&self.a_to_b()).await;
        node::connected(&self.b_to_a()).await;
    }

    pub(crate) async fn shutdown(&self) {
        tokio::join!(
            self.a.shutdown(Duration::ZERO),
            self.b.shutdown(Duration::ZERO)
        );
    }
}

fn finish(builder: Builder, settings: &Settings) -> Builder {
    probe(builder).settings(settings.clone())
}

async fn serve_b(relay: &Relay, settings: &Settings) -> Manager {
    let b = finish(node::builder(node::B, &[node::A]), settings)
        .build()
        .unwrap();
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    relay.lead_to(b.serve(socket).unwrap().local_addr());
    b
}

/// Waits until the link is down, and says how long that took.
pub(crate) async fn down(link: &Connection) -> Duration {
    let began = Instant::now();
    let mut states = link.watch();
    timeout(2 * LONG, states.wait_for(|state| !state.is_connected()))
        .await
        .expect("still connected")
        .unwrap();
    began.elapsed()
}

/// Waits until the link is up again, and was so often before.
pub(crate) async fn again(link: &Connection, reconnects: u64) {
    node::state(link, |state| {
        (state.is_connected() && link.stats().reconnects >= reconnects).then_some(())
    })
    .await;
}
