//! Two nodes, bytes in and bytes out.

use std::time::Duration;

use grid_transport::{HandlerId, Manager, Request, SharedSecret};
use tokio::net::TcpListener;

const ECHO: HandlerId = HandlerId::new(200);

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
            .single(ECHO, |request: Request| async move { Ok(request.into_payload()) })
            .build()
    };
    let (a, b) = (node(&names[0])?, node(&names[1])?);
    let _serving = (a.serve(here)?, b.serve(there)?);

    let peer = a.connection(&names[1])?;
    peer.connected().await?;
    let answer = peer.request(ECHO, "hello").timeout(Duration::from_secs(5)).await?;
    assert_eq!(answer.as_slice(), b"hello");

    a.shutdown(Duration::from_secs(1)).await;
    b.shutdown(Duration::from_secs(1)).await;
    println!("grid-transport from outside: an answer of {} bytes", answer.len());
    Ok(())
}
