//! A name is bound to what the peer has proven, where the byte stream proves something.

use std::io;

use futures_util::future::BoxFuture;
use grid_transport::{Accept, BoxIo, Dialer, Identified, LinkCause, Listener, PeerNames, Target};
use tokio::net::{TcpListener, TcpStream};

use crate::{
    another_dialer,
    node::{self, A, B, builder},
    raw::{Next, Raw, request},
};

/// Says of every peer that it has proven the same names, as a listener for mutual TLS says it of each its own.
struct Proving {
    socket: TcpListener,
    names: PeerNames,
}

impl Accept for Proving {
    fn accept(&mut self) -> BoxFuture<'_, io::Result<(BoxIo, String)>> {
        Box::pin(async {
            let (stream, from) = self.socket.accept().await?;
            let proven = Identified::new(Box::new(stream), self.names.clone());
            Ok((Box::new(proven) as BoxIo, from.ip().to_string()))
        })
    }
}

async fn proving(names: &[&str]) -> Proving {
    Proving {
        socket: TcpListener::bind("127.0.0.1:0").await.unwrap(),
        names: PeerNames::new(names.iter().copied()),
    }
}

#[tokio::test]
async fn a_connect_in_another_name_is_refused() {
    let other = another_dialer();
    for (names, may_be_a) in [
        (&["node-a"][..], true),
        (&["10.0.0.1", "NODE-A"], true),
        (&["node-b", "node-aa"], false),
        (&[], false),
    ] {
        let manager = builder(B, &[A, &other]).build().unwrap();
        let source = proving(names).await;
        let address = source.socket.local_addr().unwrap();
        let _serving = Listener::new().route(&manager).serve_on(source).unwrap();

        let (mut raw, response) = Raw::connect(address, &request(A, "debug")).await;
        assert_eq!(response.accepted, may_be_a, "{names:?}");
        if may_be_a {
            assert!(raw.round_trip().await.is_empty());
        } else {
            let told = response.rejected_reason.to_string();
            assert_eq!(
                told,
                "the peer's certificate does not prove that it is http://node-a:9000"
            );
            assert!(raw.read_to_end().await.is_empty());
        }
        // The name of another node, with a valid token.
        let (_raw, response) = Raw::connect(address, &request(&other, "debug")).await;
        let told = response.rejected_reason.to_string();
        assert!(!response.accepted && told.ends_with(&other), "{told}");
        // The checks of the protocol come first, with their own words.
        let (_raw, response) = Raw::connect(address, &request(&other, "no")).await;
        let told = response.rejected_reason.to_string();
        assert!(told.starts_with("auth token: "), "{told}");
    }
}

/// Where nothing is proven or disproven, as over plain TCP, the token alone decides.
#[tokio::test]
async fn without_certificates_any_name_of_the_list_will_do() {
    let other = another_dialer();
    let (address, _manager) = crate::accepting(&[A, &other], |builder| builder).await;
    for name in [A, &other] {
        let (_raw, response) = Raw::connect(address, &request(name, "debug")).await;
        assert!(response.accepted, "{name}");
    }
}

/// A node that answers under another name is not shown the token.
#[tokio::test]
async fn a_remote_that_proves_another_name_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dialer = Redirected {
        to: listener.local_addr().unwrap(),
        names: PeerNames::new(["node-c", "node-b.example.com"]),
    };
    let manager = builder(A, &[B]).dialer(dialer).build().unwrap();
    let mut raw = Raw::accept(&listener).await;
    assert!(matches!(raw.next().await, Next::End), "not a byte came");
    let link = manager.connection(B).unwrap();
    let text = node::down_because(&link, |cause| match cause {
        LinkCause::Unproven { name } if &**name == B => Some(cause.to_string()),
        _ => None,
    })
    .await;
    assert_eq!(
        text,
        "the peer's certificate does not prove that it is http://node-b:9000"
    );
}

#[tokio::test]
async fn a_remote_that_proves_its_name_is_connected() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dialer = Redirected {
        to: listener.local_addr().unwrap(),
        names: PeerNames::new(["node-b"]),
    };
    let manager = builder(A, &[B]).dialer(dialer).build().unwrap();
    let mut raw = Raw::accept(&listener).await;
    raw.serve_request().await;
    raw.send_response(true, "").await;
    node::connected(&manager.connection(B).unwrap()).await;
}

/// Dials one address, and says what stands there.
struct Redirected {
    to: std::net::SocketAddr,
    names: PeerNames,
}

impl Dialer for Redirected {
    fn dial<'a>(&'a self, _: &'a Target) -> BoxFuture<'a, io::Result<BoxIo>> {
        Box::pin(async {
            let stream = TcpStream::connect(self.to).await?;
            Ok(Box::new(Identified::new(Box::new(stream), self.names.clone())) as BoxIo)
        })
    }
}
