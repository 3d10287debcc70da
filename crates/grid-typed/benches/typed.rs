//! A round trip with structs beside the same with bytes, over real loopback websockets.
//!
//! Each iteration is one call of each caller; the throughput counts calls.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use futures_util::future::join_all;
use grid_transport::{Connection, Manager, NoAuth, Request, Serving};
use grid_typed::{HandlerId, ManagerBuilderExt as _, Single};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::Barrier;

const SIZES: [(&str, usize); 3] = [("16B", 16), ("512B", 512), ("64KiB", 64 * 1024)];
const CALLERS: [usize; 4] = [1, 16, 64, 256];

const RAW: HandlerId = HandlerId::new(200);
static TYPED: Single<Block, Block> = Single::new(HandlerId::new(201));

#[derive(Clone, Serialize, Deserialize)]
struct Block {
    volume: String,
    offset: i64,
    #[serde(with = "serde_bytes")]
    data: Vec<u8>,
}

struct Nodes {
    peer: Connection,
    _nodes: [(Manager, Serving); 2],
}

async fn nodes() -> Result<Nodes, Box<dyn std::error::Error>> {
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

/// The time that `callers` tasks take for `rounds` calls each.
async fn timed<F, Fut>(callers: usize, rounds: u64, call: F) -> Duration
where
    F: Fn() -> Fut + Clone + Send + 'static,
    Fut: Future<Output = ()> + Send,
{
    let start = std::sync::Arc::new(Barrier::new(callers + 1));
    let tasks: Vec<_> = (0..callers)
        .map(|_| {
            let (start, call) = (start.clone(), call.clone());
            tokio::spawn(async move {
                start.wait().await;
                for _ in 0..rounds {
                    call().await;
                }
            })
        })
        .collect();
    start.wait().await;
    let began = Instant::now();
    for outcome in join_all(tasks).await {
        outcome.expect("a caller panicked");
    }
    began.elapsed()
}

fn round_trips(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let nodes = runtime.block_on(nodes()).expect("two nodes on loopback");
    let mut group = criterion.benchmark_group("roundtrip");
    group.sample_size(10);
    group
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(2));
    for (size, bytes) in SIZES {
        for callers in CALLERS {
            group.throughput(Throughput::Elements(callers as u64));
            let payload = bytes::Bytes::from(vec![7; bytes]);
            let peer = nodes.peer.clone();
            group.bench_function(BenchmarkId::new(format!("raw/{size}"), callers), |bench| {
                bench.iter_custom(|rounds| {
                    let (peer, payload) = (peer.clone(), payload.clone());
                    runtime.block_on(timed(callers, rounds, move || {
                        let call = peer.request(RAW, payload.clone());
                        async move {
                            black_box(call.await.expect("an echo"));
                        }
                    }))
                });
            });
            let block = Block {
                volume: "disk1".into(),
                offset: 4096,
                data: vec![7; bytes],
            };
            group.bench_function(
                BenchmarkId::new(format!("typed/{size}"), callers),
                |bench| {
                    bench.iter_custom(|rounds| {
                        let (peer, block) = (peer.clone(), block.clone());
                        runtime.block_on(timed(callers, rounds, move || {
                            let call = TYPED.call(&peer, &block);
                            async move {
                                black_box(call.await.expect("an echo"));
                            }
                        }))
                    });
                },
            );
        }
    }
    group.finish();
}

criterion_group!(benches, round_trips);
criterion_main!(benches);
