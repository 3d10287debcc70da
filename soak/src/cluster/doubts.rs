//! Faults of networks that nobody has felt yet: who is not connected can't be cut off, and what sends nothing can't be
//! delayed.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;

use crate::{
    chaos::Trouble,
    proxy::{Felt, Route},
};

/// How long after its end a fault may be felt: a truncation waits for something to truncate.
const AFTER: Duration = Duration::from_secs(3);

type Routes = BTreeMap<(usize, usize), Route>;

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Doubts(Vec<Doubt>);

#[derive(Debug)]
struct Doubt {
    between: (usize, usize),
    trouble: Trouble,
    /// How often each of what has to be felt was felt before.
    before: Vec<u64>,
    until: Instant,
}

impl Doubts {
    /// Has to be called before the fault begins, which ends then.
    pub(super) fn add(
        &mut self,
        routes: &Routes,
        between: (usize, usize),
        trouble: Trouble,
        ends: Instant,
    ) {
        self.0.push(Doubt {
            between,
            trouble,
            before: felt(routes, between, trouble),
            until: ends + AFTER,
        });
    }

    /// Those that have been felt by now, once each.
    pub(super) fn settle(
        &mut self,
        routes: &Routes,
        now: Instant,
    ) -> Vec<((usize, usize), Trouble)> {
        let is_felt = |doubt: &mut Doubt| {
            let now = felt(routes, doubt.between, doubt.trouble);
            now.iter()
                .zip(&doubt.before)
                .all(|(now, before)| now > before)
        };
        let felt = self.0.extract_if(.., is_felt);
        let felt = felt.map(|doubt| (doubt.between, doubt.trouble)).collect();
        self.0.retain(|doubt| now < doubt.until);
        felt
    }
}

/// How often each of what a trouble does was felt between two nodes, whoever of them dials.
fn felt(routes: &Routes, (one, other): (usize, usize), trouble: Trouble) -> Vec<u64> {
    let signs = match trouble {
        Trouble::Delay(_) => vec![Felt::Delay],
        Trouble::Throttle(_) => vec![Felt::Throttle],
        Trouble::Stall(stalled) => (0..2)
            .filter(|which| stalled[*which])
            .map(Felt::Stall)
            .collect(),
        Trouble::Refuse => vec![Felt::Refuse],
        Trouble::Cut(cut) => vec![Felt::Cut(cut)],
    };
    let either = [(one, other), (other, one)];
    let routes: Vec<_> = either.iter().filter_map(|pair| routes.get(pair)).collect();
    let sum = |sign: &Felt| routes.iter().map(|route| route.felt(*sign)).sum();
    signs.iter().map(sum).collect()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::{TcpListener, TcpStream},
    };

    use super::*;
    use crate::proxy::Cut;

    const BETWEEN: (usize, usize) = (0, 1);

    #[tokio::test]
    async fn what_meets_nobody_has_not_happened() {
        let mut routes = Routes::new();
        for pair in [BETWEEN, (1, 0)] {
            let route = Route::open(Ipv4Addr::LOCALHOST.into()).await.unwrap();
            routes.insert(pair, route);
        }
        let mut doubts = Doubts::default();
        let ends = Instant::now();
        for cut in [Cut::Fin, Cut::Rst, Cut::TruncateFin, Cut::TruncateRst] {
            doubts.add(&routes, BETWEEN, Trouble::Cut(cut), ends);
            for route in routes.values() {
                route.cut(cut);
            }
        }
        assert!(doubts.settle(&routes, ends).is_empty());
        assert_eq!(doubts.0.len(), 4);
        assert!(doubts.settle(&routes, ends + AFTER).is_empty());
        assert_eq!(doubts.0.len(), 0, "it is too late to feel them");

        // Whichever way round it is dialed.
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        routes[&(1, 0)].lead_to(Some(listener.local_addr().unwrap()));
        let mut near = TcpStream::connect(routes[&(1, 0)].address()).await.unwrap();
        let (mut far, _) = listener.accept().await.unwrap();
        near.write_all(b"!").await.unwrap();
        far.read_exact(&mut [0]).await.unwrap();
        let cut = Trouble::Cut(Cut::Fin);
        doubts.add(&routes, BETWEEN, cut, ends);
        doubts.add(&routes, BETWEEN, Trouble::Cut(Cut::Rst), ends);
        for route in routes.values() {
            route.cut(Cut::Fin);
        }
        assert_eq!(far.read(&mut [0]).await.unwrap(), 0);
        assert_eq!(doubts.settle(&routes, ends), [(BETWEEN, cut)]);
        assert!(doubts.settle(&routes, ends).is_empty(), "it counts once");
    }
}
