//! A grid under a route of an axum server, beside the other routes of an application.
//!
//! Run it with `cargo run -p grid-transport --features http --example axum_mount`.
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::{error::Error, net::SocketAddr, time::Duration};

use axum::{Router, extract::ConnectInfo, routing::get};
use bytes::Bytes;
use grid_transport::{HandlerId, Manager, SharedSecret};
use http::{Request, StatusCode, header::HOST};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    time::timeout,
};

const GREET: HandlerId = HandlerId::new(200);

/// Longer than anything takes here, should a machine be ever so slow.
const PATIENCE: Duration = Duration::from_secs(20);

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

/// What a client that knows nothing of the grid gets under a path.
async fn got(address: SocketAddr, path: &str) -> Result<(StatusCode, Bytes), Box<dyn Error>> {
    let asked = async {
        let stream = TokioIo::new(TcpStream::connect(address).await?);
        let (mut requests, connection) = hyper::client::conn::http1::handshake(stream).await?;
        let connection = tokio::spawn(connection);
        let request = Request::get(path).header(HOST, address.to_string());
        let response = requests.send_request(request.body(Empty::<Bytes>::new())?);
        let response = response.await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        // Without who might ask for more the connection ends; how is of no interest any more.
        drop(requests);
        drop(connection.await?);
        Ok((status, body))
    };
    timeout(PATIENCE, asked).await?
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let sockets = [
        TcpListener::bind("127.0.0.1:0").await?,
        TcpListener::bind("127.0.0.1:0").await?,
    ];
    let (mut names, mut addresses) = (Vec::new(), Vec::new());
    for socket in &sockets {
        let address = socket.local_addr()?;
        names.push(format!("http://{address}"));
        addresses.push(address);
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
            let answer = peer.request(GREET, "").timeout(PATIENCE).wait_ready();
            let answer = answer.await?;
            let greeting = String::from_utf8_lossy(answer.as_slice());
            println!("{greeting}");
            assert_eq!(greeting, format!("hello {}", node.local()));
        }
    }
    for address in addresses {
        let (status, body) = got(address, "/health").await?;
        println!(
            "http://{address}/health: {}",
            String::from_utf8_lossy(&body)
        );
        assert_eq!((status, &*body), (StatusCode::OK, &b"fine"[..]));
        let (status, _) = got(address, "/elsewhere").await?;
        assert_eq!(status, StatusCode::NOT_FOUND);
    }
    for node in &nodes {
        node.shutdown(Duration::from_secs(1)).await;
    }
    for server in servers {
        server.abort();
    }
    Ok(())
}
