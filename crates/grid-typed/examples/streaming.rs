//! Two nodes on this machine and two streams between them: one that lists, and one that takes
//! numbers and gives back what they add up to so far.
//!
//! `cargo run -p grid-typed --example streaming`

#![allow(clippy::print_stdout, reason = "an example shows what it gets")]

use std::convert::Infallible;
use std::time::Duration;

use grid_transport::{Builder, Connection, Manager, SharedSecret};
use grid_typed::{Capacity, HandlerId, ManagerBuilderExt as _, Streaming, TypedStreamCall};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    name: String,
    size: u64,
}

/// Opened with a directory's name; nothing goes to the handler, up to 16 entries wait to be read.
static LIST: Streaming<String, Infallible, Entry> =
    Streaming::new(HandlerId::new(210), Capacity::new(0, 16));

/// Opened with the first sum.
static SUMS: Streaming<u64, u64, u64> = Streaming::new(HandlerId::new(211), Capacity::new(4, 4));

fn handlers(node: Builder) -> Builder {
    node.typed_stream(&LIST, |directory, call| async move {
        for (name, size) in [("a", 1), ("b", 22), ("c", 333)] {
            call.send(&Entry {
                name: format!("{directory}/{name}"),
                size,
            })
            .await?;
        }
        Ok(())
    })
    .typed_stream(
        &SUMS,
        |mut sum, mut call: TypedStreamCall<u64, u64>| async move {
            while let Some(number) = call.recv().await {
                sum += number?;
                call.send(&sum).await?;
            }
            Ok(())
        },
    )
}

async fn use_them(peer: &Connection) -> Result<(), grid_typed::TypedError> {
    let mut list = LIST
        .open(peer, &"disk1".to_owned())
        .timeout(Duration::from_secs(5))
        .await?;
    let mut size = 0;
    while let Some(entry) = list.recv().await {
        let entry = entry?;
        println!("{entry:?}");
        size += entry.size;
    }
    assert_eq!(size, 1 + 22 + 333);

    // One task sends while another receives: with both in one, a full stream would block both.
    let (mut sender, mut receiver) = SUMS.open(peer, &1000).await?.split();
    let sending = tokio::spawn(async move {
        for number in 1..=10 {
            sender.send(&number).await?;
        }
        sender.finish();
        Ok::<(), grid_typed::TypedError>(())
    });
    let mut last = 0;
    while let Some(sum) = receiver.recv().await {
        last = sum?;
        println!("so far {last}");
    }
    assert_eq!(last, 1055);
    sending.await.expect("the sender does not panic")
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let first = TcpListener::bind("127.0.0.1:0").await?;
    let second = TcpListener::bind("127.0.0.1:0").await?;
    let names = [first.local_addr()?, second.local_addr()?].map(|addr| format!("http://{addr}"));
    let node = |name: &str| {
        let builder = Manager::builder(name).peers(names.clone());
        handlers(builder.auth(SharedSecret::new("open sesame"))).build()
    };
    let (alice, bob) = (node(&names[0])?, node(&names[1])?);
    let _serving = (alice.serve(first)?, bob.serve(second)?);

    let peer = alice.connection(&names[1])?;
    peer.connected().await?;
    use_them(&peer).await?;

    alice.shutdown(Duration::from_secs(1)).await;
    bob.shutdown(Duration::from_secs(1)).await;
    Ok(())
}
