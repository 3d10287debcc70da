//! How many bytes may be held or wait.

use std::{
    future::{Future, IntoFuture},
    time::Duration,
};

use grid_proto::{
    conn::QUEUED_COST,
    wire::{MuxConnectError, Op},
};
use grid_transport::{CallError, LinkCause, LinkStats, Refusal, Settings};
use tokio::{task::yield_now, time::timeout};

use crate::{
    around,
    hostile::{SIZED, STUCK, UNKNOWN, call, dialers, dialing, let_in, serving},
    node::{self, A},
    raw::PATIENCE,
};

/// More than the buffers of a socket hold, at both its ends.
const LARGE: usize = 32 * 1024 * 1024;

/// Waits until the numbers of a link are as they should be.
async fn until(stats: impl Fn() -> LinkStats, wanted: impl Fn(&LinkStats) -> bool) {
    let found = async {
        while !wanted(&stats()) {
            yield_now().await;
        }
    };
    if timeout(PATIENCE, found).await.is_err() {
        panic!("still {:?}", stats());
    }
}

/// Longer than a peer may leave its answers unread.
fn over_a_second() -> impl Future<Output = ()> {
    // tidy: sleep: only time tells a peer that doesn't read
    tokio::time::sleep(Duration::from_millis(1_200))
}

#[tokio::test]
async fn max_inbound_of_a_link() {
    let limit = 100_000;
    for held in around(limit) {
        let (address, manager) = serving(node::settings().max_inbound(limit), &[]).await;
        let mut raw = let_in(address, A).await;
        raw.send_message(&call(Op::Request, STUCK, 1, vec![0; held]))
            .await;
        raw.send_message(&call(Op::Request, STUCK, 2, "x")).await;
        let refused = raw.round_trip().await;
        assert_eq!(refused.len(), usize::from(held >= limit), "{held}");
        if let Some(refused) = refused.first() {
            assert_eq!(refused.op, Op::MuxConnectError);
            MuxConnectError::decode(&refused.payload).unwrap();
        }
        // What it holds is held over a reconnect.
        let mut again = let_in(address, A).await;
        again.send_message(&call(Op::Request, STUCK, 3, "x")).await;
        let refused = again.round_trip().await;
        assert_eq!(refused.len(), usize::from(held + 1 >= limit), "{held}");
        manager.shutdown(Duration::ZERO).await;
    }
}

#[tokio::test]
async fn max_inbound_of_a_node() {
    let limit = 100_000;
    let names = dialers(2);
    for held in around(limit) {
        let (address, manager) = serving(node::settings().max_inbound_node(limit), &names).await;
        let mut one = let_in(address, &names[0]).await;
        let mut two = let_in(address, &names[1]).await;
        one.send_message(&call(Op::Request, STUCK, 1, vec![0; held]))
            .await;
        assert!(one.round_trip().await.is_empty());
        two.send_message(&call(Op::Request, STUCK, 1, "x")).await;
        let refused = two.round_trip().await;
        assert_eq!(refused.len(), usize::from(held >= limit), "{held}");
        manager.shutdown(Duration::ZERO).await;
    }
}

#[tokio::test]
async fn max_queued_of_a_link_and_of_a_node() {
    let limit = 100_000;
    let patient = || {
        node::settings()
            .write_timeout(Duration::from_secs(600))
            .room_timeout(Duration::from_millis(50))
    };
    for of_node in [false, true] {
        for queued in around(limit) {
            let settings = match of_node {
                false => patient().max_queued(limit),
                true => patient().max_queued_node(limit),
            };
            let (raw, manager, link) = dialing(settings).await;
            // The writer has this in hand, and the peer reads nothing.
            let first = tokio::spawn(IntoFuture::into_future(link.request(STUCK, vec![0; LARGE])));
            until(
                || link.stats(),
                |stats| stats.open_requests == 1 && stats.queued_bytes == 0,
            )
            .await;
            let second = tokio::spawn(IntoFuture::into_future(
                link.request(STUCK, vec![0; queued - QUEUED_COST]),
            ));
            until(|| link.stats(), |stats| stats.open_requests == 2).await;
            let third = link
                .request(STUCK, "x")
                .timeout(Duration::from_millis(1_500))
                .await
                .unwrap_err();
            if queued < limit {
                assert!(matches!(third, CallError::Deadline), "{queued}: {third:?}");
            } else {
                let refused = matches!(third, CallError::Refused(Refusal::Overloaded));
                assert!(refused, "{queued}: {third:?}");
            }
            drop(raw);
            manager.shutdown(Duration::ZERO).await;
            assert!(first.await.unwrap().is_err() && second.await.unwrap().is_err());
        }
    }
}

/// A node whose writer is stuck, and `count` refusals that wait behind it.
async fn refusals(limit: usize, count: usize) -> Unread {
    let settings: Settings = node::settings()
        .max_control(limit)
        .write_timeout(Duration::from_secs(600));
    let (address, manager) = serving(settings, &[]).await;
    let mut raw = let_in(address, A).await;
    let link = manager.connection(A).unwrap();
    raw.send_message(&call(Op::Request, SIZED, 1, LARGE.to_string()))
        .await;
    until(
        || link.stats(),
        |stats| stats.messages_out == 1 && stats.queued_bytes == 0,
    )
    .await;
    let mut unread = Unread {
        raw,
        manager,
        sent: 0,
    };
    unread.more(count).await;
    unread
}

struct Unread {
    raw: crate::raw::Raw,
    manager: grid_transport::Manager,
    sent: u64,
}

impl Unread {
    /// Has so many more calls refused.
    async fn more(&mut self, count: usize) {
        for _ in 0..count {
            self.sent += 1;
            let unknown = call(Op::Request, UNKNOWN, 100_000 + self.sent, "x");
            self.raw.send_message(&unknown).await;
        }
        let link = self.manager.connection(A).unwrap();
        until(|| link.stats(), |stats| stats.refused == self.sent).await;
    }

    fn is_connected(&self) -> bool {
        self.manager.connection(A).unwrap().state().is_connected()
    }

    async fn closes_for_it(self) {
        let link = self.manager.connection(A).unwrap();
        node::down_because(&link, |cause| {
            matches!(cause, LinkCause::PeerNotReading).then_some(())
        })
        .await;
        self.manager.shutdown(Duration::ZERO).await;
    }
}

#[tokio::test]
async fn max_control_for_a_second_and_fourfold_at_once() {
    let one = {
        let (address, manager) = serving(node::settings(), &[]).await;
        let mut raw = let_in(address, A).await;
        raw.send_message(&call(Op::Request, UNKNOWN, 100_001, "x"))
            .await;
        let refusal = raw.read_message().await.unwrap();
        manager.shutdown(Duration::ZERO).await;
        refusal.encoded_len()
    };
    let limit = 10 * one;
    // For as long as no more than the limit waits nothing happens; one above it may wait for a second.
    for count in [9, 10, 11] {
        let mut unread = refusals(limit, count).await;
        over_a_second().await;
        unread.more(1).await;
        if count <= 10 {
            assert!(unread.is_connected(), "{count}");
            unread.manager.shutdown(Duration::ZERO).await;
        } else {
            unread.closes_for_it().await;
        }
    }
    // Four times as much is too much at any time.
    for count in [39, 40, 41] {
        let unread = refusals(limit, count).await;
        if count <= 40 {
            assert!(unread.is_connected(), "{count}");
            unread.manager.shutdown(Duration::ZERO).await;
        } else {
            unread.closes_for_it().await;
        }
    }
    // And a byte decides, for either.
    for spare in [0, 1] {
        let mut unread = refusals(limit - spare, 10).await;
        over_a_second().await;
        unread.more(1).await;
        if spare == 0 {
            assert!(unread.is_connected());
            unread.manager.shutdown(Duration::ZERO).await;
        } else {
            unread.closes_for_it().await;
        }
        let unread = refusals(limit - spare, 40).await;
        if spare == 0 {
            assert!(unread.is_connected());
            unread.manager.shutdown(Duration::ZERO).await;
        } else {
            unread.closes_for_it().await;
        }
    }
}
