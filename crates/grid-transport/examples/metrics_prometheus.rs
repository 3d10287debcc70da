//! Two nodes that call each other, and what there is to be scraped of them in the text format of Prometheus.
//!
//! Run it with `cargo run -p grid-transport --features metrics --example metrics_prometheus`.
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::{error::Error, time::Duration};

use grid_transport::{
    Capacity, HandlerError, HandlerId, Manager, Payload, SharedSecret, metrics::DURATION_BUCKETS,
};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
use tokio::net::TcpListener;

const GREET: HandlerId = HandlerId::new(200);
const COUNT: HandlerId = HandlerId::new(201);

const COUNT_CAPACITY: Capacity = Capacity::new(0, 10);

fn node(local: &str, names: &[String]) -> Result<Manager, Box<dyn Error>> {
    let manager = Manager::builder(local)
        .peers(names)
        .auth(SharedSecret::new("only we know"))
        .single(GREET, |request| async move {
            match request.payload().as_slice() {
                b"" => Err(HandlerError::new("whom?")),
                _ => Ok(format!("hello {}", request.caller()).into()),
            }
        })
        .stream(COUNT, COUNT_CAPACITY, |call| async move {
            for number in 0..100 {
                call.send(number.to_string()).await?;
            }
            Ok(())
        })
        .build()?;
    Ok(manager)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    // Before the nodes are built, as these keep what they are given then. With buckets a histogram can be summed over
    // nodes; without, the exporter makes quantiles of it, which can't.
    let durations = Matcher::Suffix("_duration_seconds".to_owned());
    let prometheus = PrometheusBuilder::new()
        .set_buckets_for_metric(durations, &DURATION_BUCKETS)?
        .install_recorder()?;

    let sockets = [
        TcpListener::bind("127.0.0.1:0").await?,
        TcpListener::bind("127.0.0.1:0").await?,
    ];
    let mut names = Vec::new();
    for socket in &sockets {
        names.push(format!("http://{}", socket.local_addr()?));
    }
    let mut nodes = Vec::new();
    for (socket, name) in sockets.into_iter().zip(&names) {
        let manager = node(name, &names)?;
        manager.serve(socket)?;
        nodes.push(manager);
    }

    for node in &nodes {
        for peer in node.connections() {
            peer.connected().await?;
            for name in ["world", "", "world"] {
                // One of them fails, and is counted as such on both nodes.
                let _ = peer.request(GREET, name).await;
            }
            let mut numbers = peer.stream(COUNT, COUNT_CAPACITY, Payload::Absent).await?;
            while let Some(number) = numbers.recv().await {
                number?;
            }
            peer.ping(Duration::from_secs(5)).await?;
        }
    }

    // What the handler of `GET /metrics` does in an application: publish, then render.
    for node in &nodes {
        node.record_metrics();
    }
    print!("{}", prometheus.render());

    for node in &nodes {
        node.shutdown(Duration::from_secs(1)).await;
    }
    Ok(())
}
