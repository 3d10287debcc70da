//! Who has a place at the address of the status. Whoever connects is taken in at once, so that nobody who may ask waits
//! behind others who say nothing; and who is being answered keeps the place.

use std::{
    cmp::Reverse,
    collections::VecDeque,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, OnceLock},
};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

/// Connections at one time that have not shown that they may ask. A newer one takes the place of the oldest of those
/// who hold most of them.
const MOST_SILENT: usize = 64;
/// Connections at one time that are being answered. Who has to wait for its turn is among the silent.
const MOST_ANSWERED: usize = 64;
/// All of them, and one that is about to go: sockets are never more.
const MOST: usize = MOST_SILENT + MOST_ANSWERED + 1;

#[derive(Debug)]
pub(super) struct Places {
    all: Arc<Semaphore>,
    answered: Arc<Semaphore>,
    silent: Mutex<Silent>,
}

#[derive(Debug, Default)]
struct Silent {
    last: u64,
    /// The oldest first.
    line: VecDeque<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    number: u64,
    from: IpAddr,
    taken: CancellationToken,
}

impl Silent {
    /// The oldest of those that come from where most come from.
    fn least_wanted(&self) -> Option<usize> {
        let as_many = |from| self.line.iter().filter(|other| other.from == from).count();
        let all = self.line.iter().enumerate();
        let last = all.max_by_key(|(at, waiting)| (as_many(waiting.from), Reverse(*at)));
        last.map(|(at, _)| at)
    }
}

impl Places {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            all: Arc::new(Semaphore::new(MOST)),
            answered: Arc::new(Semaphore::new(MOST_ANSWERED)),
            silent: Mutex::default(),
        })
    }

    /// A place for the next connection; only one that is about to go may have to be waited for.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub(super) async fn room(&self) -> Room {
        // Never closed.
        let permit = self.all.clone().acquire_owned().await.ok();
        Room { _permit: permit }
    }

    /// Takes a connection from this address in, among the silent.
    pub(super) fn enter(self: &Arc<Self>, room: Room, from: IpAddr) -> Place {
        let taken = CancellationToken::new();
        let mut silent = self.silent.lock();
        silent.last += 1;
        let number = silent.last;
        silent.line.push_back(Waiting {
            number,
            from: network(from),
            taken: taken.clone(),
        });
        if silent.line.len() > MOST_SILENT
            && let Some(at) = silent.least_wanted()
            && let Some(last) = silent.line.remove(at)
        {
            last.taken.cancel();
        }
        Place {
            places: self.clone(),
            number,
            taken,
            kept: OnceLock::new(),
            _room: room,
        }
    }

    fn leave(&self, number: u64) {
        let mut silent = self.silent.lock();
        silent.line.retain(|waiting| waiting.number != number);
    }
}

/// Who counts as one: an address, or a network of IPv6 of which one machine has all addresses.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address => address,
    }
}

/// What lets a connection in.
#[derive(Debug)]
pub(super) struct Room {
    _permit: Option<OwnedSemaphorePermit>,
}

/// The place of one connection, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    number: u64,
    taken: CancellationToken,
    kept: OnceLock<OwnedSemaphorePermit>,
    _room: Room,
}

impl Place {
    /// Keeps the place, once it is this connection's turn to be answered.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub(super) async fn keep(&self) {
        // Never closed.
        let Ok(turn) = self.places.answered.clone().acquire_owned().await else {
            return;
        };
        // A connection has one request.
        let _ = self.kept.set(turn);
        self.places.leave(self.number);
    }

    /// Returns once another connection has taken the place.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub(super) async fn taken(&self) {
        self.taken.cancelled().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.leave(self.number);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    async fn enter_from(places: &Arc<Places>, address: &str) -> Place {
        let room = places.room().await;
        places.enter(room, address.parse().unwrap())
    }

    async fn enter(places: &Arc<Places>) -> Place {
        enter_from(places, "10.0.0.1").await
    }

    #[tokio::test]
    async fn the_oldest_that_shows_nothing_gives_way() {
        let places = Places::new();
        let kept = enter(&places).await;
        kept.keep().await;
        let mut silent = Vec::new();
        for _ in 0..MOST_SILENT {
            silent.push(enter(&places).await);
        }
        assert!(silent.iter().all(|place| !place.taken.is_cancelled()));
        // One that has gone by itself leaves a place.
        drop(silent.remove(7));
        silent.push(enter(&places).await);
        assert!(silent.iter().all(|place| !place.taken.is_cancelled()));
        let newest = enter(&places).await;
        silent[0].taken().await;
        let taken = silent.iter().filter(|place| place.taken.is_cancelled());
        assert_eq!(taken.count(), 1);
        assert!(!kept.taken.is_cancelled() && !newest.taken.is_cancelled());
    }

    #[tokio::test]
    async fn who_comes_often_takes_the_places_of_nobody_else() {
        let places = Places::new();
        let one = enter(&places).await;
        let mut many = VecDeque::new();
        for number in 0..5 * MOST_SILENT {
            // All of one network, in which anybody has addresses without end.
            let address = format!("2001:db8:0:1:{number:x}::1");
            many.push_back(enter_from(&places, &address).await);
            if many.len() >= MOST_SILENT {
                let oldest = many.pop_front().unwrap();
                assert!(oldest.taken.is_cancelled(), "{number}");
            }
        }
        assert!(!one.taken.is_cancelled());
        let mapped = network("::ffff:10.0.0.1".parse().unwrap());
        assert_eq!(mapped, network("10.0.0.1".parse().unwrap()));
        assert_ne!(mapped, network("10.0.0.2".parse().unwrap()));
    }

    #[tokio::test]
    async fn who_waits_to_be_answered_is_among_the_silent_and_sockets_are_bounded() {
        let places = Places::new();
        let mut answered = Vec::new();
        for _ in 0..MOST_ANSWERED {
            let place = enter(&places).await;
            place.keep().await;
            answered.push(place);
        }
        let waits = enter(&places).await;
        assert!(waits.keep().now_or_never().is_none());
        let mut silent = Vec::new();
        for _ in 0..MOST_SILENT {
            silent.push(enter(&places).await);
        }
        assert!(waits.taken.is_cancelled());
        assert!(answered.iter().all(|place| !place.taken.is_cancelled()));
        // It has not gone yet, and nobody else comes in before.
        assert!(places.room().now_or_never().is_none());
        drop(waits);
        let next = places.room().now_or_never().expect("a place");
        drop(next);
        answered.pop();
        silent[0].keep().await;
        assert!(silent[1].keep().now_or_never().is_none());
    }
}
