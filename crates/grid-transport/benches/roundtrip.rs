//! Requests a second over real loopback websockets, by payload and by callers at the same time.
//!
//! The typed round trip is in `grid-typed`, which depends on this crate.

use std::{
    future::IntoFuture,
    hint::black_box,
    time::{Duration, Instant},
};

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use grid_transport::{Connection, HandlerId, Manager, NoAuth};
use tokio::{net::TcpListener, runtime::Runtime, task::JoinSet};

const ECHO: HandlerId = HandlerId::new(200);

/// Two nodes of one process, and the way from one to the other.
struct Nodes {
    _nodes: [Manager; 2],
    peer: Connection,
}

async fn nodes() -> Result<Nodes, Box<dyn std::error::Error>> {
    let sockets = [
        TcpListener::bind("127.0.0.1:0").await?,
        TcpListener::bind("127.0.0.1:0").await?,
    ];
    let mut names = Vec::new();
    for socket in &sockets {
        names.push(format!("http://{}", socket.local_addr()?));
    }
    let mut nodes = Vec::new();
    for (socket, local) in sockets.into_iter().zip(&names) {
        let node = Manager::builder(local)
            .peers(names.clone())
            .auth(NoAuth)
            .single(ECHO, |request| async move { Ok(request.into_payload()) })
            .build()?;
        node.serve(socket)?;
        nodes.push(node);
    }
    let [a, b] = <[Manager; 2]>::try_from(nodes).map_err(|_| "two nodes were built")?;
    let peer = a.connection(b.local())?;
    peer.connected().await?;
    Ok(Nodes {
        _nodes: [a, b],
        peer,
    })
}

/// The time that `count` requests take, shared out among callers.
async fn requests(peer: &Connection, payload: &Bytes, callers: u64, count: u64) -> Duration {
    let mut tasks = JoinSet::new();
    let began = Instant::now();
    for caller in 0..callers {
        let (peer, payload) = (peer.clone(), payload.clone());
        let share = count / callers + u64::from(caller < count % callers);
        tasks.spawn(async move {
            for _ in 0..share {
                let answer = peer.request(ECHO, payload.clone()).into_future().await;
                assert_eq!(
                    black_box(answer).map(|answer| answer.len()).ok(),
                    Some(payload.len())
                );
            }
        });
    }
    while let Some(task) = tasks.join_next().await {
        assert!(task.is_ok(), "a caller failed");
    }
    began.elapsed()
}

fn round_trip(criterion: &mut Criterion) {
    for (flavor, runtime) in [
        (
            "ct",
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build(),
        ),
        (
            "mt",
            tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                .build(),
        ),
    ] {
        let runtime: Runtime = runtime.unwrap_or_else(|error| panic!("no runtime: {error}"));
        let nodes = runtime
            .block_on(nodes())
            .unwrap_or_else(|error| panic!("no nodes: {error}"));
        for len in [16, 512, 65_536] {
            let mut group = criterion.benchmark_group(format!("raw/{flavor}/{len}"));
            group.throughput(Throughput::Elements(1));
            group.sample_size(10);
            group.warm_up_time(Duration::from_millis(500));
            group.measurement_time(Duration::from_secs(2));
            let payload = Bytes::from(vec![7; len]);
            for callers in [1, 16, 64, 256] {
                group.bench_function(BenchmarkId::from_parameter(callers), |bencher| {
                    bencher.iter_custom(|count| {
                        runtime.block_on(requests(&nodes.peer, &payload, callers, count))
                    });
                });
            }
            group.finish();
        }
    }
}

criterion_group!(benches, round_trip);
criterion_main!(benches);
