//! What stands between the nodes: one route for each that dials and each that is dialed, and what
//! its network is like at the moment.

mod relay;

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
};

/// How a connection is ended by the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cut {
    /// By an orderly end, wherever the traffic stands.
    Fin,
    /// By a reset.
    Rst,
    /// By an orderly end inside a frame.
    TruncateFin,
    /// By a reset inside a frame.
    TruncateRst,
}

impl Cut {
    pub(crate) const fn truncates(self) -> bool {
        matches!(self, Self::TruncateFin | Self::TruncateRst)
    }

    pub(crate) const fn resets(self) -> bool {
        matches!(self, Self::Rst | Self::TruncateRst)
    }
}

/// What a route's network is like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weather {
    /// How long each piece is under way.
    pub delay: Duration,
    /// Bytes a second in each direction; as many as there are where there is none.
    pub rate: Option<u64>,
    /// Whether nothing gets through: from who dials, and to it.
    pub stalled: [bool; 2],
    /// Whether connections are refused.
    pub refuses: bool,
    /// How often connections were cut so far, and how the last time.
    pub cut: (u64, Option<Cut>),
}

/// What a connection can feel of its network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Felt {
    /// A piece was delayed.
    Delay,
    /// A piece had to wait for its turn, by the rate.
    Throttle,
    /// A piece of this direction was stopped: from who dials, or to it.
    Stall(usize),
    /// A connection was refused.
    Refuse,
    /// A connection was cut; where the cut truncates, a piece was.
    Cut(Cut),
}

/// How often each was felt on a route.
#[derive(Debug, Default)]
struct Hits(Mutex<BTreeMap<Felt, u64>>);

impl Hits {
    fn felt(&self, what: Felt) {
        let mut hits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *hits.entry(what).or_default() += 1;
    }

    fn count(&self, what: Felt) -> u64 {
        let hits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        hits.get(&what).copied().unwrap_or(0)
    }
}

/// A route: a listening socket for one node that dials, and the node that it leads to.
#[derive(Debug)]
pub struct Route {
    address: SocketAddr,
    target: watch::Sender<Option<SocketAddr>>,
    weather: watch::Sender<Weather>,
    hits: Arc<Hits>,
    task: JoinHandle<()>,
}

impl Route {
    /// Opens a route on any port of an address.
    ///
    /// # Errors
    ///
    /// When there can't be a socket.
    ///
    /// # Cancel safety
    ///
    /// The route is not opened.
    pub async fn open(on: IpAddr) -> io::Result<Self> {
        let socket = TcpListener::bind((on, 0)).await?;
        let address = socket.local_addr()?;
        let (target, targets) = watch::channel(None);
        let (weather, weathers) = watch::channel(Weather::default());
        let hits = Arc::<Hits>::default();
        let task = tokio::spawn(serve(socket, targets, weathers, hits.clone()));
        Ok(Self {
            address,
            target,
            weather,
            hits,
            task,
        })
    }

    /// Where it is dialed.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Leads to this address from now on.
    pub fn lead_to(&self, target: Option<SocketAddr>) {
        self.target.send_replace(target);
    }

    /// Changes what its network is like.
    pub fn change(&self, change: impl FnOnce(&mut Weather)) {
        self.weather.send_modify(change);
    }

    /// Cuts the connections that there are.
    pub fn cut(&self, cut: Cut) {
        self.change(|weather| weather.cut = (weather.cut.0 + 1, Some(cut)));
    }

    /// How often this was felt by a connection so far.
    #[must_use]
    pub fn felt(&self, what: Felt) -> u64 {
        self.hits.count(what)
    }
}

impl Drop for Route {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    socket: TcpListener,
    targets: watch::Receiver<Option<SocketAddr>>,
    weather: watch::Receiver<Weather>,
    hits: Arc<Hits>,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = socket.accept() => {
                // An error is that of one connection, which has gone before it was taken.
                if let Ok((stream, _)) = accepted {
                    let target = *targets.borrow();
                    connections.spawn(relay::run(stream, target, weather.clone(), hits.clone()));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Closes so that the other end gets a reset.
fn reset(stream: TcpStream) {
    // A socket that can't be told is closed all the same.
    let _ = socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO));
    drop(stream);
}
