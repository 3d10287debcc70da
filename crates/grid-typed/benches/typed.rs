//! What structs cost: calls with a struct of five fields beside calls with the same bytes, in turn.
//!
//! `cargo bench -p grid-typed --bench typed` prints the rates of both and their ratio, with the least and the most of
//! the rounds. Both nodes are in this process, joined by a websocket on loopback.
#![allow(
    clippy::print_stdout,
    reason = "what it measures is all that it is for"
)]

use std::{
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use grid_transport::{Connection, Manager, NoAuth, Payload, Request, Serving};
use grid_typed::{HandlerId, ManagerBuilderExt as _, Single};
use serde::{Deserialize, Serialize};
use tokio::{
    net::TcpListener,
    runtime::{Builder, Runtime},
    task::JoinSet,
};

const ROUNDS: usize = 9;
const ROUND: Duration = Duration::from_millis(400);
const CALLERS: [usize; 3] = [1, 64, 256];
/// Bytes of the largest field: the second makes a call as large as those of the other benchmarks.
const SIZES: [usize; 3] = [16, 440, 64 * 1024];

const RAW: HandlerId = HandlerId::new(200);
static TYPED: Single<Block, Block> = Single::new(HandlerId::new(201));

/// Five fields.
#[derive(Clone, Serialize, Deserialize)]
struct Block {
    volume: String,
    path: String,
    offset: i64,
    sealed: bool,
    #[serde(with = "serde_bytes")]
    data: Vec<u8>,
}

struct Nodes {
    peer: Connection,
    _nodes: [(Manager, Serving); 2],
}

async fn nodes() -> Result<Nodes, Box<dyn Error>> {
    let (near, far) = (
        TcpListener::bind("127.0.0.1:0").await?,
        TcpListener::bind("127.0.0.1:0").await?,
    );
    let names = [near.local_addr()?, far.local_addr()?].map(|address| format!("http://{address}"));
    let node = |name: &str| {
        Manager::builder(name)
            .peers(names.clone())
            .auth(NoAuth)
            .single(
                RAW,
                |request: Request| async move { Ok(request.into_payload()) },
            )
            .typed(&TYPED, |block, _| async move { Ok(block) })
            .build()
    };
    let (here, there) = (node(&names[0])?, node(&names[1])?);
    let (serving_here, serving_there) = (here.serve(near)?, there.serve(far)?);
    let peer = here.connection(&names[1])?;
    peer.connected().await?;
    Ok(Nodes {
        peer,
        _nodes: [(here, serving_here), (there, serving_there)],
    })
}

#[derive(Clone)]
enum Call {
    Raw(Payload),
    Typed(Arc<Block>),
}

impl Call {
    async fn make(&self, peer: &Connection) -> bool {
        match self {
            Self::Raw(payload) => {
                let answer = peer.request(RAW, payload.clone()).await;
                answer.is_ok_and(|answer| answer.len() == payload.len())
            }
            Self::Typed(block) => {
                let answer = TYPED.call(peer, block).await;
                answer.is_ok_and(|answer| answer.data.len() == block.data.len())
            }
        }
    }
}

/// Calls a second.
async fn rate(peer: &Connection, callers: usize, call: &Call) -> f64 {
    let (stop, calls) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let began = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..callers {
        let (peer, call) = (peer.clone(), call.clone());
        let (stop, calls) = (stop.clone(), calls.clone());
        tasks.spawn(async move {
            while !stop.load(Relaxed) {
                assert!(call.make(&peer).await, "a call failed");
                calls.fetch_add(1, Relaxed);
            }
        });
    }
    // tidy: sleep: a round lasts that long
    tokio::time::sleep(ROUND).await;
    stop.store(true, Relaxed);
    while let Some(ended) = tasks.join_next().await {
        ended.expect("a caller");
    }
    calls.load(Relaxed) as f64 / began.elapsed().as_secs_f64()
}

/// The median, the least and the most.
fn spread(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
    [at(values.len() / 2), at(0), at(values.len() - 1)]
}

fn compare(name: &str, runtime: &Runtime, size: usize) -> Result<(), Box<dyn Error>> {
    let block = Block {
        volume: "disk1".into(),
        path: "objects/0192/part.1".into(),
        offset: 4096,
        sealed: true,
        data: vec![7; size],
    };
    let bytes = grid_typed::encode(&block)?;
    let nodes = runtime.block_on(nodes())?;
    let (raw, typed) = (
        Call::Raw(Payload::from(bytes.clone())),
        Call::Typed(Arc::new(block)),
    );
    for callers in CALLERS {
        let (mut raws, mut ratios) = (Vec::new(), Vec::new());
        for round in 0..=ROUNDS {
            let [raw, typed] =
                [&raw, &typed].map(|call| runtime.block_on(rate(&nodes.peer, callers, call)));
            // The first one warms up.
            if round > 0 {
                raws.push(raw);
                ratios.push(typed / raw);
            }
        }
        let ([raw, ..], [ratio, least, most]) = (spread(raws), spread(ratios));
        println!(
            "{name} × {callers}, {} B: {raw:.0} calls a second with bytes; a struct of five fields {ratio:.3} of that ({least:.3}–{most:.3})",
            bytes.len()
        );
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    for size in SIZES {
        let runtime = Builder::new_multi_thread().enable_all().build()?;
        compare("mt", &runtime, size)?;
        let runtime = Builder::new_current_thread().enable_all().build()?;
        compare("ct", &runtime, size)?;
    }
    Ok(())
}
