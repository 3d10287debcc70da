//! The callers, and the report of what they did.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::ensure;
use bytes::Bytes;
use serde::Serialize;
use tokio::task::JoinSet;

use crate::{Client, What, latency, usage::Usage};

/// A stream is ended and a new one begun after so many items.
const ITEMS: u64 = 1_000;

/// One stream.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    /// Items go there and back; else they come from the server.
    pub echo: bool,
    /// How many items may be on their way, each way.
    pub capacity: u32,
    /// How many items there are.
    pub count: u64,
    /// The bytes of each.
    pub size: usize,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) usage: SocketAddr,
    pub(crate) callers: usize,
    pub(crate) size: usize,
    pub(crate) seconds: f64,
    pub(crate) warmup: f64,
    pub(crate) what: What,
    pub(crate) capacity: u32,
}

/// What was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    operations: u64,
    elapsed_s: f64,
    rate: f64,
    /// Of requests; streams have none.
    latency_ns: Option<Latency>,
    caller: Side,
    handler: Side,
}

#[derive(Debug, Serialize)]
struct Latency {
    p50: u64,
    p99: u64,
    p999: u64,
}

/// What one side used for each operation.
#[derive(Debug, Serialize)]
struct Side {
    cpu_us: f64,
    allocations: Option<f64>,
    peak_bytes: u64,
}

pub(crate) async fn run<C: Client>(client: C, plan: Plan) -> anyhow::Result<Report> {
    round(&client, &plan, plan.warmup).await?;
    latency::forget();
    let before = (Usage::now()?, Usage::of(plan.usage)?);
    let began = Instant::now();
    let operations = round(&client, &plan, plan.seconds).await?;
    let elapsed_s = began.elapsed().as_secs_f64();
    let after = (Usage::now()?, Usage::of(plan.usage)?);
    ensure!(operations > 0, "no operation came to its end");
    let side = |before: Usage, after: Usage| Side {
        cpu_us: (after.cpu_us - before.cpu_us) as f64 / operations as f64,
        allocations: before
            .allocations
            .zip(after.allocations)
            .map(|(before, after)| (after - before) as f64 / operations as f64),
        peak_bytes: after.peak_bytes,
    };
    let latency = latency::all()?;
    let quantile = |quantile| latency.value_at_quantile(quantile);
    Ok(Report {
        operations,
        elapsed_s,
        rate: operations as f64 / elapsed_s,
        latency_ns: (plan.what == What::Echo).then(|| Latency {
            p50: quantile(0.5),
            p99: quantile(0.99),
            p999: quantile(0.999),
        }),
        caller: side(before.0, after.0),
        handler: side(before.1, after.1),
    })
}

/// Every caller begins an operation when its last has ended, until the time is over; returns how many there were.
async fn round<C: Client>(client: &C, plan: &Plan, seconds: f64) -> anyhow::Result<u64> {
    let until = Instant::now() + Duration::from_secs_f64(seconds);
    let payload = C::payload(Bytes::from(vec![b'x'; plan.size]));
    let mut callers = JoinSet::new();
    for _ in 0..plan.callers {
        let (client, payload, plan) = (client.clone(), payload.clone(), *plan);
        callers.spawn(async move {
            match plan.what {
                What::Echo => requests(&client, &payload, &plan, until).await,
                What::Items => streams(&client, &plan, false, until).await,
                What::EchoItems => streams(&client, &plan, true, until).await,
            }
        });
    }
    let mut operations = 0;
    while let Some(done) = callers.join_next().await {
        operations += done??;
    }
    Ok(operations)
}

async fn requests<C: Client>(
    client: &C,
    payload: &C::Payload,
    plan: &Plan,
    until: Instant,
) -> anyhow::Result<u64> {
    let mut operations = 0;
    let mut began = Instant::now();
    while began < until {
        let len = client.echo(payload).await?;
        ensure!(len == plan.size, "an answer of {len} bytes");
        let now = Instant::now();
        latency::record(now - began)?;
        operations += 1;
        began = now;
    }
    Ok(operations)
}

async fn streams<C: Client>(
    client: &C,
    plan: &Plan,
    echo: bool,
    until: Instant,
) -> anyhow::Result<u64> {
    let ask = Ask {
        echo,
        capacity: plan.capacity,
        count: ITEMS,
        size: plan.size,
    };
    let mut operations = 0;
    while Instant::now() < until {
        let items = client.stream(ask).await?;
        ensure!(items == ITEMS, "{items} items came");
        operations += items;
    }
    Ok(operations)
}
