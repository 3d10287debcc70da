//! Two nodes on this machine; one asks the other with a struct and gets a struct.
//!
//! `cargo run -p grid-typed --example hello_typed`

#![allow(clippy::print_stdout, reason = "an example shows what it gets")]

use std::time::Duration;

use grid_transport::{Manager, SharedSecret};
use grid_typed::{HandlerError, HandlerId, ManagerBuilderExt as _, Single};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

#[derive(Debug, Serialize, Deserialize)]
struct StatRequest {
    volume: String,
    path: String,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct StatReply {
    size: u64,
    is_dir: bool,
}

static STAT: Single<StatRequest, StatReply> = Single::new(HandlerId::new(201));

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // A node is known by its URL, so the ports come first.
    let first = TcpListener::bind("127.0.0.1:0").await?;
    let second = TcpListener::bind("127.0.0.1:0").await?;
    let names = [first.local_addr()?, second.local_addr()?].map(|addr| format!("http://{addr}"));

    let node = |name: &str| {
        Manager::builder(name)
            .peers(names.clone())
            .auth(SharedSecret::new("open sesame"))
            .typed(&STAT, |request, context| async move {
                println!(
                    "{} asks for {}/{}",
                    context.caller(),
                    request.volume,
                    request.path
                );
                match request.path.as_str() {
                    "hello.txt" => Ok(StatReply {
                        size: 5,
                        is_dir: false,
                    }),
                    path => Err(HandlerError::new(format!("{path}: no such file"))),
                }
            })
            .build()
    };
    let (alice, bob) = (node(&names[0])?, node(&names[1])?);
    let _serving = (alice.serve(first)?, bob.serve(second)?);

    let peer = alice.connection(&names[1])?;
    for path in ["hello.txt", "missing.txt"] {
        let request = StatRequest {
            volume: "disk1".into(),
            path: path.into(),
        };
        let reply = STAT
            .call(&peer, &request)
            .timeout(Duration::from_secs(5))
            .wait_ready()
            .await;
        match (path, reply) {
            ("hello.txt", Ok(reply)) => {
                println!("{path}: {reply:?}");
                assert_eq!(reply.size, 5);
            }
            ("missing.txt", Err(error)) => {
                println!("{error}");
                assert_eq!(error.to_string(), "missing.txt: no such file");
            }
            (_, reply) => return Err(format!("{path}: {reply:?}").into()),
        }
    }

    alice.shutdown(Duration::from_secs(1)).await;
    bob.shutdown(Duration::from_secs(1)).await;
    Ok(())
}
