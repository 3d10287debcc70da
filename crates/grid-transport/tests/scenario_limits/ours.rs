//! How many calls of our own there may be at one time, to a peer that never answers.

use std::{future::IntoFuture, time::Duration};

use grid_proto::wire::Op;
use grid_transport::{CallError, Capacity, Refusal};
use tokio::time::timeout;

use crate::{
    around,
    hostile::{STUCK, dialing},
    node,
    raw::PATIENCE,
};

const LIMIT: usize = 5;

/// Refused here, and nothing has left.
fn is_refused(error: &CallError) {
    let overloaded = matches!(error, CallError::Refused(Refusal::Overloaded));
    assert!(overloaded && error.is_retryable(), "{error:?}");
}

#[tokio::test]
async fn max_requests_of_ours() {
    for count in around(LIMIT) {
        let (mut raw, manager, link) = dialing(node::settings().max_requests(LIMIT)).await;
        let mut open = Vec::new();
        for _ in 0..count.min(LIMIT) {
            let call = link.request(STUCK, "x").timeout(PATIENCE).into_future();
            open.push(tokio::spawn(call));
            assert_eq!(raw.read_message().await.unwrap().op, Op::Request);
        }
        assert_eq!(link.stats().open_requests, count.min(LIMIT));
        if count > LIMIT {
            let one_more = link.request(STUCK, "x").timeout(PATIENCE);
            let refused = timeout(PATIENCE / 2, one_more.into_future()).await;
            is_refused(&refused.unwrap().unwrap_err());
            assert!(raw.round_trip().await.is_empty());
            // Where one is given up there is room again.
            open.pop().unwrap().abort();
            let again = link.request(STUCK, "x").timeout(PATIENCE).into_future();
            open.push(tokio::spawn(again));
            while raw.read_message().await.unwrap().op != Op::Request {}
        }
        assert!(link.state().is_connected());
        manager.shutdown(Duration::ZERO).await;
    }
}

#[tokio::test]
async fn max_streams_of_ours() {
    for count in around(LIMIT) {
        let (mut raw, manager, link) = dialing(node::settings().max_streams(LIMIT)).await;
        let mut open = Vec::new();
        for _ in 0..count.min(LIMIT) {
            let stream = link.stream(STUCK, Capacity::new(0, 4), "s").await.unwrap();
            assert_eq!(raw.read_message().await.unwrap().op, Op::ConnectMux);
            open.push(stream);
        }
        assert_eq!(link.stats().open_streams, count.min(LIMIT));
        if count > LIMIT {
            let one_more = link.stream(STUCK, Capacity::new(0, 4), "s");
            let refused = timeout(PATIENCE, one_more.into_future()).await.unwrap();
            is_refused(&refused.unwrap_err());
            assert!(raw.round_trip().await.is_empty());
            drop(open.pop());
            let ended = raw.read_message().await.unwrap();
            assert_eq!(ended.op, Op::DisconnectServerMux);
            open.push(link.stream(STUCK, Capacity::new(0, 4), "s").await.unwrap());
            assert_eq!(raw.read_message().await.unwrap().op, Op::ConnectMux);
        }
        assert!(link.state().is_connected());
        manager.shutdown(Duration::ZERO).await;
    }
}
