//! Two nodes in one process that call each other over loopback, whoever dialed.
//!
//! Run it with `cargo run -p grid-transport --example two_nodes`.
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::time::Duration;

use grid_transport::{CallError, Capacity, HandlerError, HandlerId, Manager, SharedSecret};
use tokio::net::TcpListener;

const GREET: HandlerId = HandlerId::new(200);
const SHOUT: HandlerId = HandlerId::new(201);

/// Both nodes have to agree on a stream's capacities: they are not on the wire.
const SHOUT_CAPACITY: Capacity = Capacity::new(4, 4);

async fn node(
    socket: TcpListener,
    local: &str,
    names: &[String],
) -> Result<Manager, Box<dyn std::error::Error>> {
    let manager = Manager::builder(local)
        .peers(names)
        .auth(SharedSecret::new("only we know"))
        .single(GREET, |request| async move {
            let name = std::str::from_utf8(request.payload().as_slice())?;
            if name.is_empty() {
                return Err(HandlerError::new("whom?"));
            }
            Ok(format!("hello {name}, you came by {}", request.caller()).into())
        })
        .stream(SHOUT, SHOUT_CAPACITY, |mut call| async move {
            while let Some(word) = call.recv().await {
                call.send(word?.as_slice().to_ascii_uppercase()).await?;
            }
            Ok(())
        })
        .build()?;
    manager.serve(socket)?;
    Ok(manager)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let one = TcpListener::bind("127.0.0.1:0").await?;
    let two = TcpListener::bind("127.0.0.1:0").await?;
    let names = [
        format!("http://{}", one.local_addr()?),
        format!("http://{}", two.local_addr()?),
    ];
    let a = node(one, &names[0], &names).await?;
    let b = node(two, &names[1], &names).await?;

    for (from, to) in [(&a, &b), (&b, &a)] {
        let peer = from.connection(to.local())?;
        peer.connected().await?;
        let answer = peer
            .request(GREET, "world")
            .timeout(Duration::from_secs(5))
            .await?;
        let greeting = String::from_utf8_lossy(answer.as_slice());
        println!("{greeting}");
        assert_eq!(
            greeting,
            format!("hello world, you came by {}", from.local())
        );
        match peer.request(GREET, "").await {
            Err(CallError::Remote(text)) => println!("an error of the handler: {text}"),
            other => return Err(format!("the handler answered nobody's call: {other:?}").into()),
        }

        let mut shout = peer.stream(SHOUT, SHOUT_CAPACITY, "").await?;
        for word in ["one", "two", "three"] {
            shout.send(word).await?;
        }
        shout.finish();
        let mut shouted = Vec::new();
        while let Some(word) = shout.recv().await {
            shouted.push(String::from_utf8_lossy(word?.as_slice()).into_owned());
        }
        println!("{}", shouted.join(" "));
        assert_eq!(shouted, ["ONE", "TWO", "THREE"]);
    }
    a.shutdown(Duration::from_secs(5)).await;
    b.shutdown(Duration::from_secs(5)).await;
    Ok(())
}
