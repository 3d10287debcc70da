//! Two nodes, structs in and structs out.

use std::time::Duration;

use grid_transport::{HandlerId, Manager, SharedSecret};
use grid_typed::{ManagerBuilderExt as _, Single};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Numbers {
    numbers: Vec<u32>,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Sum {
    sum: u32,
}

static ADD: Single<Numbers, Sum> = Single::new(HandlerId::new(201));

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (here, there) =
        (TcpListener::bind("127.0.0.1:0").await?, TcpListener::bind("127.0.0.1:0").await?);
    let names =
        [format!("http://{}", here.local_addr()?), format!("http://{}", there.local_addr()?)];
    let node = |name: &str| {
        Manager::builder(name)
            .peers(names.clone())
            .auth(SharedSecret::new("not a secret"))
            .typed(&ADD, |request: Numbers, _context| async move {
                Ok(Sum { sum: request.numbers.iter().sum() })
            })
            .build()
    };
    let (a, b) = (node(&names[0])?, node(&names[1])?);
    let _serving = (a.serve(here)?, b.serve(there)?);

    let peer = a.connection(&names[1])?;
    peer.connected().await?;
    let reply = ADD.call(&peer, &Numbers { numbers: vec![1, 2, 39] }).await?;
    assert_eq!(reply, Sum { sum: 42 });

    a.shutdown(Duration::from_secs(1)).await;
    b.shutdown(Duration::from_secs(1)).await;
    println!("grid-typed from outside: {reply:?}");
    Ok(())
}
