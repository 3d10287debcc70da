//! A grid under a route of an axum server, beside the other routes of an application.
//!
//! Run it with `cargo run -p grid-transport --features http --example axum_mount`.
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::{error::Error, net::SocketAddr, time::Duration};

use axum::{Router, extract::ConnectInfo, routing::get};
use grid_transport::{HandlerId, Manager, SharedSecret};
use tokio::net::TcpListener;

const GREET: HandlerId = HandlerId::new(200);

fn node(local: &str, names: &[String]) -> Result<Manager, Box<dyn Error>> {
    let manager = Manager::builder(local)
        .peers(names)
        .auth(SharedSecret::new("only we know"))
        .single(GREET, |request| async move {
            Ok(format!("hello {}", request.caller()).into())
        })
        .build()?;
    Ok(manager)
}

/// What the application serves, and the grid under its path.
fn app(manager: &Manager) -> Router {
    let grid = manager.service().address(|extensions| {
        let ConnectInfo(from) = extensions.get::<ConnectInfo<SocketAddr>>()?;
        Some(from.ip().to_string())
    });
    Router::new()
        .route("/health", get(|| async { "fine" }))
        .route_service(manager.path(), grid)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let sockets = [
        TcpListener::bind("127.0.0.1:0").await?,
        TcpListener::bind("127.0.0.1:0").await?,
    ];
    let mut names = Vec::new();
    for socket in &sockets {
        names.push(format!("http://{}", socket.local_addr()?));
    }
    let (mut nodes, mut servers) = (Vec::new(), Vec::new());
    for (socket, name) in sockets.into_iter().zip(&names) {
        let manager = node(name, &names)?;
        let app = app(&manager).into_make_service_with_connect_info::<SocketAddr>();
        servers.push(tokio::spawn(async move { axum::serve(socket, app).await }));
        nodes.push(manager);
    }
    for node in &nodes {
        for peer in node.connections() {
            peer.connected().await?;
            let answer = peer.request(GREET, "").await?;
            let greeting = String::from_utf8_lossy(answer.as_slice());
            println!("{greeting}");
            assert_eq!(greeting, format!("hello {}", node.local()));
        }
    }
    for node in &nodes {
        node.shutdown(Duration::from_secs(1)).await;
    }
    for server in servers {
        server.abort();
    }
    Ok(())
}
