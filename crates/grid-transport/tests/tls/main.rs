#![cfg(feature = "tls")]
//! Links over TLS: who is let in, what is said of who is not, and new certificates.

#[path = "../common/kept.rs"]
mod kept;
#[path = "../common/node.rs"]
mod node;
#[path = "../common/raw.rs"]
mod raw;
#[path = "../common/recorded.rs"]
mod recorded;

mod causes;
mod certificates;
mod checksums;
mod files;
#[cfg(feature = "http")]
mod mounted;
mod rotation;
mod unread;

use std::{net::SocketAddr, time::Duration};

use grid_transport::{Connection, HandlerId, LinkCause, Manager, tls::Tls};
use tokio::net::TcpListener;

use crate::{
    certificates::{Authority, tls},
    node::{builder, connected, down_because, link},
};

const ECHO: HandlerId = HandlerId::new(9);

/// The two hosts: one socket address for each, so that a certificate tells them apart.
const DIALER: &str = "127.0.0.2";
const ACCEPTOR: &str = "127.0.0.3";

/// Two nodes with `https` names, of which the first dials.
struct Pair {
    dialer: Manager,
    acceptor: Manager,
    to_acceptor: Connection,
    to_dialer: Connection,
    address: SocketAddr,
}

async fn pair(of_dialer: &Tls, of_acceptor: &Tls) -> Pair {
    let socket = TcpListener::bind((ACCEPTOR, 0)).await.unwrap();
    let address = socket.local_addr().unwrap();
    let acceptor_name = format!("https://{address}");
    let dialer_name = dialer_of(&acceptor_name);
    let acceptor = node(&acceptor_name, &dialer_name, of_acceptor);
    acceptor
        .serve_on(of_acceptor.accept(socket).unwrap())
        .unwrap();
    let dialer = node(&dialer_name, &acceptor_name, of_dialer);
    Pair {
        to_acceptor: link(&dialer, &acceptor),
        to_dialer: link(&acceptor, &dialer),
        dialer,
        acceptor,
        address,
    }
}

/// The name of a node at [`DIALER`] that dials the other.
fn dialer_of(acceptor: &str) -> String {
    (1..=u16::MAX)
        .map(|port| format!("https://{DIALER}:{port}"))
        .find(|name| grid_proto::local_dials(name, acceptor))
        .unwrap()
}

fn node(local: &str, remote: &str, tls: &Tls) -> Manager {
    builder(local, &[remote])
        .dialer(tls.dialer())
        .single(ECHO, |request| async move { Ok(request.into_payload()) })
        .build()
        .unwrap()
}

impl Pair {
    /// The dialer begins anew.
    async fn redial(&mut self, tls: &Tls) {
        self.dialer.shutdown(Duration::ZERO).await;
        self.dialer = node(self.dialer.local(), self.acceptor.local(), tls);
        self.to_acceptor = link(&self.dialer, &self.acceptor);
    }

    /// Both see each other, and call each other.
    async fn is_up(&self) {
        for peer in [&self.to_acceptor, &self.to_dialer] {
            connected(peer).await;
            let large = vec![7; 300_000];
            for payload in [b"over TLS".to_vec(), large] {
                let answer = peer.request(ECHO, payload.clone()).await.unwrap();
                assert_eq!(answer.as_slice(), payload);
            }
        }
    }

    /// What the dialer says of the link, once it has said that.
    async fn says(&self, words: &str) {
        down_because(&self.to_acceptor, |cause| {
            cause.to_string().contains(words).then_some(())
        })
        .await;
    }

    async fn end(self) {
        self.dialer.shutdown(Duration::ZERO).await;
        self.acceptor.shutdown(Duration::ZERO).await;
    }
}

#[tokio::test]
async fn nodes_with_certificates_of_one_authority_meet() {
    let authority = Authority::new();
    let acceptor = tls(&authority.certify(&[ACCEPTOR]), &authority)
        .build()
        .unwrap();
    // Without mutual TLS a node that only dials needs none of its own.
    let only_dials = certificates::builder()
        .roots([authority.root.clone()])
        .build()
        .unwrap();
    let pair = pair(&only_dials, &acceptor).await;
    pair.is_up().await;
    pair.end().await;
}

#[tokio::test]
async fn a_pinned_certificate_is_enough_whatever_is_in_it() {
    let authority = Authority::new();
    let own = authority.certify_expired(&["elsewhere.test"]);
    let acceptor = tls(&own, &authority).build().unwrap();
    let dialer = certificates::builder()
        .pinned([own.certificate.clone()])
        .build()
        .unwrap();
    let pair = pair(&dialer, &acceptor).await;
    pair.is_up().await;
    pair.end().await;
}

#[tokio::test]
async fn with_mutual_tls_a_node_has_the_name_of_its_certificate_and_no_other() {
    let authority = Authority::new();
    let acceptor = tls(&authority.certify(&[ACCEPTOR]), &authority)
        .mutual()
        .build()
        .unwrap();
    let own = tls(&authority.certify(&[DIALER]), &authority)
        .build()
        .unwrap();
    let up = pair(&own, &acceptor).await;
    up.is_up().await;
    up.end().await;

    // It has the token, and a certificate of the authority; but that of another node.
    let stolen = tls(&authority.certify(&["127.0.0.9"]), &authority)
        .build()
        .unwrap();
    let refused = pair(&stolen, &acceptor).await;
    down_because(&refused.to_acceptor, |cause| match cause {
        LinkCause::Rejected(why) => {
            let name = refused.dialer.local();
            let words = format!("the peer's certificate does not prove that it is {name}");
            assert_eq!(why.to_string(), words);
            Some(())
        }
        _ => None,
    })
    .await;
    assert!(!refused.to_dialer.state().is_connected());
    refused.end().await;
}

#[tokio::test]
async fn who_never_finishes_its_handshake_holds_up_nobody() {
    let authority = Authority::new();
    let acceptor = tls(&authority.certify(&[ACCEPTOR]), &authority)
        .build()
        .unwrap();
    let mut pair = pair(&acceptor, &acceptor).await;
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(tokio::net::TcpStream::connect(pair.address).await.unwrap());
    }
    pair.redial(&acceptor).await;
    pair.is_up().await;
    drop(silent);
    pair.end().await;
}
