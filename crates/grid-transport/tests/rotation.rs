//! A grid goes from one secret to another, and nobody is refused who takes the steps.

#[path = "common/node.rs"]
mod node;
#[path = "common/places.rs"]
mod places;
#[path = "common/raw.rs"]
mod raw;

use std::time::Duration;

#[cfg(feature = "jwt")]
use grid_transport::Jwt;
use grid_transport::{
    Auth, CallError, Capacity, Connection, HandlerId, LinkCause, Manager, Request, SharedSecret,
    StreamCall,
};
use places::{Places, name};
use tokio::net::TcpListener;

const ECHO: HandlerId = HandlerId::new(200);
const ECHOES: HandlerId = HandlerId::new(201);
const BOTH_1: Capacity = Capacity::new(1, 1);
const NODES: usize = 3;
const OLD: &str = "rXWB0p0d4u1mEpZJmA2cYq0r4Q9t8s7h";
const NEW: &str = "Zk3vU8m2bT5xQ1nW7cR4yE9sL6aJ0dGf";
/// Each is taken by one node after the other, and the next begins when all have.
const STEPS: [&[&str]; 3] = [&[OLD, NEW], &[NEW, OLD], &[NEW]];

/// What proves by secrets that a node belongs to the grid.
trait Proof: Auth + Clone {
    /// What is said of a token by another secret.
    const REFUSED: &'static str;

    /// The first makes tokens, and all check them.
    fn of(secrets: &[&str]) -> Self;
    fn change_to(&self, secrets: &[&str]);
}

impl Proof for SharedSecret {
    const REFUSED: &'static str = "auth token: invalid token";

    fn of(secrets: &[&str]) -> Self {
        let all = Self::new(secrets[0]);
        secrets[1..]
            .iter()
            .fold(all, |all, secret| all.or(secret).unwrap())
    }

    fn change_to(&self, secrets: &[&str]) {
        self.change(secrets).unwrap();
    }
}

#[cfg(feature = "jwt")]
impl Proof for Jwt {
    const REFUSED: &'static str = "auth token: the token is signed with another secret key";

    fn of(secrets: &[&str]) -> Self {
        let all = Self::new("grid-admin", secrets[0]).unwrap();
        secrets[1..]
            .iter()
            .fold(all, |all, secret| all.or(secret).unwrap())
    }

    fn change_to(&self, secrets: &[&str]) {
        self.change(secrets).unwrap();
    }
}

/// A link that its other end has lost already may be up still on this one.
async fn answers(link: &Connection) {
    let asked = async {
        loop {
            match link.request(ECHO, "x").wait_ready().await {
                Ok(answer) => return assert_eq!(answer.as_slice(), b"x"),
                Err(CallError::Disconnected { .. }) => {}
                Err(error) => panic!("{}: {error}", link.name()),
            }
        }
    };
    tokio::time::timeout(raw::PATIENCE, asked)
        .await
        .expect("it is lost time and again");
}

struct Grid<P> {
    places: Places,
    nodes: Vec<(Manager, P)>,
}

impl<P: Proof> Grid<P> {
    async fn new() -> Self {
        let mut grid = Self {
            places: Places::default(),
            nodes: Vec::new(),
        };
        for index in 0..NODES {
            let node = grid.node(index, &[OLD]).await;
            grid.nodes.push(node);
        }
        grid
    }

    async fn node(&self, index: usize, secrets: &[&str]) -> (Manager, P) {
        let proof = P::of(secrets);
        let names: Vec<_> = (0..NODES).map(name).collect();
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let manager = Manager::builder(name(index))
            .peers(names)
            .auth(proof.clone())
            .settings(node::settings())
            .dialer(self.places.clone())
            .single(ECHO, |request: Request| async move {
                Ok(request.into_payload())
            })
            .stream(ECHOES, BOTH_1, |mut call: StreamCall| async move {
                while let Some(item) = call.recv().await {
                    call.send(item?).await?;
                }
                Ok(())
            })
            .build()
            .unwrap();
        manager.serve(socket).unwrap();
        self.places.set(name(index), address);
        (manager, proof)
    }

    /// Ends a node and starts it with these secrets.
    async fn restart(&mut self, index: usize, secrets: &[&str]) {
        self.nodes[index].0.shutdown(Duration::ZERO).await;
        self.nodes[index] = self.node(index, secrets).await;
    }

    fn link(&self, from: usize, to: usize) -> Connection {
        self.nodes[from].0.connection(&name(to)).unwrap()
    }

    /// All links, each from both of its ends.
    fn links(&self) -> Vec<Connection> {
        let pairs = (0..NODES).flat_map(|from| (0..NODES).map(move |to| (from, to)));
        pairs
            .filter(|(from, to)| from != to)
            .map(|(from, to)| self.link(from, to))
            .collect()
    }

    /// All links are up, and nobody was refused on the way there.
    async fn whole(&self) {
        for link in self.links() {
            node::connected(&link).await;
            answers(&link).await;
            if let Some(cause) = link.stats().last_cause {
                let refused = matches!(*cause, LinkCause::Rejected(_) | LinkCause::Refused { .. });
                assert!(!refused, "{}: {cause}", link.name());
            }
        }
    }

    /// Takes a node off the lists of all others, and puts it back.
    fn cut(&self, index: usize) {
        for other in (0..NODES).filter(|other| *other != index) {
            let manager = &self.nodes[other].0;
            manager.remove_peer(&name(index)).unwrap();
            manager.add_peer(&name(index)).unwrap();
        }
    }

    /// That node is told so by all that it dials, and tells all that dial it.
    async fn refused(&self, index: usize) {
        for other in (0..NODES).filter(|other| *other != index) {
            let (there, back) = (self.link(index, other), self.link(other, index));
            let dialer = if there.stats().dials { &there } else { &back };
            let told = node::down_because(dialer, |cause| match cause {
                LinkCause::Rejected(why) => Some(why.to_string()),
                _ => None,
            })
            .await;
            assert_eq!(told, P::REFUSED);
            node::state(&there, |state| (!state.is_connected()).then_some(())).await;
            let error = there.request(ECHO, "x").await.unwrap_err();
            assert!(matches!(error, CallError::NotConnected { .. }), "{error}");
        }
        let rest = (index + 1) % NODES;
        let link = self.link(rest, (rest + 1) % NODES);
        link.request(ECHO, "x").await.unwrap();
    }

    async fn end(self) {
        for (manager, _) in &self.nodes {
            manager.shutdown(Duration::ZERO).await;
        }
    }
}

/// Nodes are restarted one by one, as when a file of theirs has changed; links between the others stay.
async fn by_restarts<P: Proof>() {
    let mut grid = Grid::<P>::new().await;
    grid.whole().await;
    for secrets in STEPS {
        for index in 0..NODES {
            let (one, other) = ((index + 1) % NODES, (index + 2) % NODES);
            let staying = grid.link(one, other);
            let before = staying.stats().reconnects;
            grid.restart(index, secrets).await;
            grid.whole().await;
            assert_eq!(staying.stats().reconnects, before);
        }
    }
    for index in 0..NODES {
        grid.restart(index, &[OLD]).await;
        grid.refused(index).await;
        grid.restart(index, &[NEW]).await;
        // Who was refused has come back by itself.
        for link in grid.links() {
            node::connected(&link).await;
            answers(&link).await;
        }
    }
    grid.end().await;
}

/// No node is restarted, and no link is lost: what was opened before goes on.
async fn while_it_runs<P: Proof>() {
    let grid = Grid::<P>::new().await;
    grid.whole().await;
    let link = grid.link(0, 1);
    let mut stream = link.stream(ECHOES, BOTH_1, "").await.unwrap();
    for secrets in STEPS {
        for (_, proof) in &grid.nodes {
            proof.change_to(secrets);
            stream.send("item").await.unwrap();
            assert_eq!(stream.recv().await.unwrap().unwrap().as_slice(), b"item");
        }
    }
    stream.finish();
    assert!(stream.recv().await.is_none());
    for link in grid.links() {
        assert_eq!(link.stats().reconnects, 0);
    }
    // It was a change: who goes back is refused.
    grid.nodes[0].1.change_to(&[OLD]);
    grid.cut(0);
    grid.refused(0).await;
    grid.end().await;
}

/// Whoever loses links in the middle of it, whatever step the others have taken, has them back.
async fn while_links_are_lost<P: Proof>() {
    let grid = Grid::<P>::new().await;
    for secrets in STEPS {
        for index in 0..NODES {
            grid.nodes[index].1.change_to(secrets);
            for lost in 0..NODES {
                grid.cut(lost);
                grid.whole().await;
            }
        }
    }
    // Its links stay until they are lost.
    grid.nodes[0].1.change_to(&[OLD]);
    grid.whole().await;
    grid.cut(0);
    grid.refused(0).await;
    grid.end().await;
}

#[tokio::test]
async fn a_shared_secret_is_changed_by_restarts_one_by_one() {
    by_restarts::<SharedSecret>().await;
}

#[tokio::test]
async fn a_shared_secret_is_changed_while_all_links_stay() {
    while_it_runs::<SharedSecret>().await;
}

#[tokio::test]
async fn a_shared_secret_is_changed_while_links_come_back() {
    while_links_are_lost::<SharedSecret>().await;
}

#[cfg(feature = "jwt")]
#[tokio::test]
async fn a_secret_key_is_changed_by_restarts_one_by_one() {
    by_restarts::<Jwt>().await;
}

#[cfg(feature = "jwt")]
#[tokio::test]
async fn a_secret_key_is_changed_while_all_links_stay() {
    while_it_runs::<Jwt>().await;
}

#[cfg(feature = "jwt")]
#[tokio::test]
async fn a_secret_key_is_changed_while_links_come_back() {
    while_links_are_lost::<Jwt>().await;
}
