//! L04: connections that are cut inside the handshake, with all times at their defaults.

use std::{
    collections::VecDeque,
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use futures_util::future::BoxFuture;
use grid_transport::{
    BoxIo, Connection, Dialer, LinkState, Payload, Target,
    testing::{NAMES, Net, NetDialer, node_on},
};
use tokio::time::Instant;

use crate::{
    fuse::Fused,
    many::tasks,
    node,
    probe::{ECHO, ends, probe, wait_while},
    relay::End,
};

const WITHIN: Duration = Duration::from_secs(5);

#[derive(Clone, Copy)]
enum Cut {
    Refused,
    /// After so many bytes, both ways together.
    After(usize, End),
}

/// Dials connections that are cut as was planned, one cut for each; the later ones hold.
struct Cuts {
    net: Net,
    dialer: NetDialer,
    planned: Mutex<VecDeque<Cut>>,
    last: Arc<Mutex<Instant>>,
    /// Dialed connections that hold.
    held: AtomicU64,
    /// The longest time from a cut to the next attempt.
    slowest: Mutex<Duration>,
}

impl Cuts {
    /// How long ago the last cut was.
    fn since(&self) -> Duration {
        self.last.lock().unwrap().elapsed()
    }

    /// Cuts what is there, and what comes after it as is planned.
    fn begin(&self, cuts: impl IntoIterator<Item = Cut>) {
        self.planned.lock().unwrap().extend(cuts);
        *self.last.lock().unwrap() = Instant::now();
        self.net.cut(NAMES[0], NAMES[1]);
    }
}

impl Dialer for Cuts {
    fn dial<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, io::Result<BoxIo>> {
        Box::pin(async move {
            {
                let mut slowest = self.slowest.lock().unwrap();
                *slowest = slowest.max(self.since());
            }
            let planned = self.planned.lock().unwrap().pop_front();
            let (left, end) = match planned {
                None => {
                    self.held.fetch_add(1, Relaxed);
                    return self.dialer.dial(target).await;
                }
                Some(Cut::Refused) => {
                    *self.last.lock().unwrap() = Instant::now();
                    return Err(io::ErrorKind::ConnectionRefused.into());
                }
                Some(Cut::After(left, end)) => (left, end),
            };
            let stream = self.dialer.dial(target).await?;
            let (net, last) = (self.net.clone(), self.last.clone());
            let cut = move |_: &BoxIo| {
                *last.lock().unwrap() = Instant::now();
                match end {
                    End::Fin => net.end(NAMES[0], NAMES[1]),
                    End::Reset => net.cut(NAMES[0], NAMES[1]),
                }
            };
            if left == 0 {
                cut(&stream);
            }
            Ok(Box::new(Fused { stream, left, cut }) as BoxIo)
        })
    }
}

/// Waits until the link is up on both sides over the connection of that number of those that hold.
async fn up(cuts: &Cuts, links: &[Connection; 2], held: u64) {
    let mut states = links[0].watch();
    let is_up = |state: &LinkState| state.is_connected() && cuts.held.load(Relaxed) == held;
    drop(states.wait_for(is_up).await.unwrap());
    node::connected(&links[1]).await;
}

/// At each byte of the handshake, by either end of a connection; and 200 times in a row.
#[tokio::test(start_paused = true)]
async fn l04_a_link_survives_cuts_at_each_byte_of_the_handshake_pair() {
    ends(async {
        let net = Net::new();
        assert!(grid_proto::local_dials(NAMES[0], NAMES[1]));
        let cuts = Arc::new(Cuts {
            net: net.clone(),
            dialer: net.dialer(NAMES[0]),
            planned: Mutex::default(),
            last: Arc::new(Mutex::new(Instant::now())),
            held: AtomicU64::default(),
            slowest: Mutex::default(),
        });
        let b = node_on(&net, NAMES[1], &NAMES, probe).unwrap();
        let a = node_on(&net, NAMES[0], &NAMES, |builder| {
            probe(builder).dialer(cuts.clone())
        })
        .unwrap();
        let links = [node::link(&a, &b), node::link(&b, &a)];
        up(&cuts, &links, 1).await;
        let before = tasks();

        // What all of the cuts that make an attempt fail are within.
        let mut whole = 2_000;
        let mut held = 1;
        for end in [End::Fin, End::Reset] {
            // Until a cut comes too late to make an attempt fail.
            for bytes in 0.. {
                let failed = links[0].stats().failed_attempts;
                cuts.begin([Cut::After(bytes, end)]);
                held += 1;
                up(&cuts, &links, held).await;
                let down = cuts.since();
                assert!(down < WITHIN, "down for {down:?} after {bytes} bytes");
                for link in &links {
                    let answer = link.request(ECHO, "x").await.unwrap();
                    assert_eq!(answer, Payload::from("x"));
                }
                if links[0].stats().failed_attempts == failed {
                    whole = whole.min(bytes);
                    break;
                }
            }
            assert!((300..1_000).contains(&whole), "{whole} bytes");
        }

        let failed = links[0].stats().failed_attempts;
        cuts.begin((0..200).map(|round| match round % 5 {
            0 => Cut::Refused,
            1 | 2 => Cut::After(round * 37 % whole, End::Fin),
            _ => Cut::After(round * 37 % whole, End::Reset),
        }));
        up(&cuts, &links, held + 1).await;
        let (down, slowest) = (cuts.since(), *cuts.slowest.lock().unwrap());
        assert_eq!(links[0].stats().failed_attempts, failed + 200);
        assert!(down < WITHIN, "down for {down:?} after 200 cuts");
        assert!(slowest < WITHIN, "{slowest:?} until it was dialed again");
        wait_while(|| tasks() != before).await;
        tokio::join!(a.shutdown(Duration::ZERO), b.shutdown(Duration::ZERO));
    })
    .await;
}
