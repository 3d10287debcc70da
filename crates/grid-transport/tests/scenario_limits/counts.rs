//! How many of something there may be at one time.

use std::{sync::Arc, time::Duration};

use grid_proto::wire::{Message, MuxConnectError, MuxRejection, Op};
use grid_transport::{HandlerId, Manager, Settings, SingleHandler};
use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
    time::timeout,
};

use crate::{
    around,
    hostile::{NO_INPUT, STUCK, call, dialers, let_in, merged, read_until, serving},
    node::{self, A, B},
    raw::{self, PATIENCE, Raw, upgrade_request},
};

const LIMIT: usize = 5;

/// How many of the answers are refusals, all for the one reason.
fn refusals(answers: &[Message]) -> usize {
    let refused = answers
        .iter()
        .filter(|answer| answer.op == Op::MuxConnectError);
    for answer in refused.clone() {
        let error = MuxConnectError::decode(&answer.payload).unwrap().error;
        assert_eq!(
            MuxRejection::from_text(error.as_bytes()),
            MuxRejection::Overloaded
        );
    }
    refused.count()
}

/// Makes calls; returns how many of them were refused.
async fn refused(raw: &mut Raw, op: Op, handler: HandlerId, count: usize) -> usize {
    let calls: Vec<Message> = (1..=count as u64)
        .map(|mux| call(op, handler, mux, "x"))
        .collect();
    raw.send_frame(&merged(&calls)).await;
    refusals(&raw.round_trip().await)
}

#[tokio::test]
async fn max_requests() {
    for count in around(LIMIT) {
        let (address, manager) = serving(node::settings().max_requests(LIMIT), &[]).await;
        let mut raw = let_in(address, A).await;
        let refused = refused(&mut raw, Op::Request, STUCK, count).await;
        assert_eq!(refused, count.saturating_sub(LIMIT));
        manager.shutdown(Duration::ZERO).await;
    }
}

#[tokio::test]
async fn max_streams() {
    for count in around(LIMIT) {
        let (address, manager) = serving(node::settings().max_streams(LIMIT), &[]).await;
        let mut raw = let_in(address, A).await;
        let refused = refused(&mut raw, Op::ConnectMux, NO_INPUT, count).await;
        assert_eq!(refused, count.saturating_sub(LIMIT));
        let stats = manager.connection(A).unwrap().stats();
        assert_eq!(stats.serving_streams, count.min(LIMIT));
        manager.shutdown(Duration::ZERO).await;
    }
}

#[tokio::test]
async fn max_handlers_of_all_links_together() {
    let names = dialers(2);
    for count in around(LIMIT) {
        let (address, manager) = serving(node::settings().max_handlers(LIMIT), &names).await;
        let mut one = let_in(address, &names[0]).await;
        let mut two = let_in(address, &names[1]).await;
        assert_eq!(refused(&mut one, Op::Request, STUCK, 3).await, 0);
        let over = refused(&mut two, Op::Request, STUCK, count - 3).await;
        assert_eq!(over, count.saturating_sub(LIMIT));
        manager.shutdown(Duration::ZERO).await;
    }
}

#[tokio::test]
async fn max_handshakes() {
    for count in around(LIMIT) {
        let (address, manager) = serving(node::settings().max_handshakes(LIMIT), &[]).await;
        let mut others = Vec::new();
        for _ in 1..count {
            others.push(Raw::upgrade(address, raw::PATH).await);
        }
        let mut last = Raw::dial(address).await;
        last.send_head(&upgrade_request(raw::PATH)).await;
        if count <= LIMIT {
            assert!(last.read_head().await[0].contains("101"));
        } else {
            assert!(last.read_to_end().await.is_empty(), "closed without a word");
        }
        // Those who were there go on.
        let asked = raw::request(A, "debug");
        assert!(others[0].greet(&asked).await.unwrap().accepted);
        manager.shutdown(Duration::ZERO).await;
    }
}

#[tokio::test]
async fn max_blocking() {
    const BLOCKING: HandlerId = HandlerId::new(90);
    for count in around(LIMIT) {
        let (running, gate) = (Arc::new(watch::Sender::new(0)), Arc::new(Semaphore::new(0)));
        let (counted, gated) = (running.clone(), gate.clone());
        let blocking = SingleHandler::new(BLOCKING, move |request| {
            let (running, gate) = (counted.clone(), gated.clone());
            async move {
                running.send_modify(|running| *running += 1);
                gate.acquire().await?.forget();
                running.send_modify(|running| *running -= 1);
                Ok(request.into_payload())
            }
        })
        .blocking();
        let manager: Manager = node::builder(B, &[A])
            .settings(node::settings().max_blocking(LIMIT))
            .register(blocking)
            .build()
            .unwrap();
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = manager.serve(socket).unwrap().local_addr().unwrap();
        let mut raw = let_in(address, A).await;
        assert_eq!(refused(&mut raw, Op::Request, BLOCKING, count).await, 0);
        let most = count.min(LIMIT);
        let mut seen = running.subscribe();
        timeout(PATIENCE, seen.wait_for(|running| *running == most))
            .await
            .unwrap()
            .unwrap();
        assert!(
            raw.round_trip().await.is_empty(),
            "none has ended, and no other runs"
        );
        // tidy: sleep: that no other begins shows only in that none does
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(*running.borrow(), most);
        gate.add_permits(count);
        let answers = read_until(&mut raw, |came| came.len() == count).await;
        assert!(answers.iter().all(|answer| answer.op == Op::Response));
        manager.shutdown(Duration::ZERO).await;
    }
}

#[tokio::test]
async fn limits_of_nothing_are_refused_when_the_node_is_built() {
    let none: [(&str, Settings); 14] = [
        ("max_message", Settings::new().max_message(0)),
        (
            "max_handshake_message",
            Settings::new().max_handshake_message(0),
        ),
        ("max_head", Settings::new().max_head(0)),
        ("max_handshakes", Settings::new().max_handshakes(0)),
        ("max_requests", Settings::new().max_requests(0)),
        ("max_handlers", Settings::new().max_handlers(0)),
        ("max_streams", Settings::new().max_streams(0)),
        ("max_blocking", Settings::new().max_blocking(0)),
        ("max_queued", Settings::new().max_queued(0)),
        ("max_queued_node", Settings::new().max_queued_node(0)),
        ("max_control", Settings::new().max_control(0)),
        ("max_inbound", Settings::new().max_inbound(0)),
        ("max_inbound_node", Settings::new().max_inbound_node(0)),
        ("read_chunk", Settings::new().read_chunk(0)),
    ];
    for (name, settings) in none {
        let error = node::builder(B, &[A])
            .settings(settings)
            .build()
            .unwrap_err();
        assert_eq!(error.to_string(), format!("setting {name} can't be 0"));
    }
}
