//! Which of several connections of one remote takes over, and when.

use bytes::BytesMut;
use grid_proto::InstanceId;
use tokio::{
    io::{AsyncReadExt, DuplexStream, duplex},
    time::{advance, timeout},
};

use super::*;
use crate::ws::Role;

const SECOND: Duration = Duration::from_secs(1);

/// A candidate that is told apart by its id, and the other end of its connection.
fn candidate(number: u8) -> (Candidate, DuplexStream) {
    let (ours, theirs) = duplex(64);
    let ws = Ws::new(
        Box::new(ours),
        BytesMut::new(),
        Role::Server,
        &Settings::new(),
    );
    let peer = PeerInfo {
        id: InstanceId::new([number; 16]),
        extra: None,
    };
    (Candidate { ws, peer }, theirs)
}

fn number(candidate: &Candidate) -> u8 {
    candidate.peer.id.as_bytes()[0]
}

async fn is_closed(peer: &mut DuplexStream) -> bool {
    timeout(Duration::ZERO, peer.read_u8())
        .await
        .is_ok_and(|read| read.is_err())
}

/// Supervises for a while.
async fn supervise(
    slot: &mut AcceptSlot,
    since: Instant,
    replaced: &CancellationToken,
    time: Duration,
) {
    assert!(
        timeout(time, slot.supervise(since, replaced))
            .await
            .is_err()
    );
}

#[tokio::test(start_paused = true)]
async fn of_many_only_the_newest_waits() {
    let (handle, mut slot) = accept_slot(&Settings::new());
    let mut peers: Vec<DuplexStream> = (0..50)
        .map(|number| {
            let (candidate, peer) = candidate(number);
            handle.offer(candidate);
            peer
        })
        .collect();
    let mut newest = peers.pop().unwrap();
    for peer in &mut peers {
        assert!(is_closed(peer).await);
    }
    assert!(!is_closed(&mut newest).await);
    assert_eq!(number(&slot.next().await), 49);
}

#[tokio::test(start_paused = true)]
async fn it_takes_over_once_the_live_one_is_a_second_old() {
    let (handle, mut slot) = accept_slot(&Settings::new());
    let (since, replaced) = (Instant::now(), CancellationToken::new());
    let (first, mut first_peer) = candidate(1);
    let (second, _second_peer) = candidate(2);
    handle.offer(first);
    supervise(&mut slot, since, &replaced, SECOND / 2).await;
    handle.offer(second);
    supervise(
        &mut slot,
        since,
        &replaced,
        SECOND / 2 - Duration::from_millis(1),
    )
    .await;
    assert!(is_closed(&mut first_peer).await, "a newer one came");
    assert!(!replaced.is_cancelled());
    supervise(&mut slot, since, &replaced, Duration::from_millis(2)).await;
    assert!(replaced.is_cancelled());

    // One that comes while the old one goes down is newer still.
    let (third, _third_peer) = candidate(3);
    handle.offer(third);
    assert_eq!(number(&slot.next().await), 3);
}

#[tokio::test(start_paused = true)]
async fn an_old_connection_is_replaced_at_once() {
    let (handle, mut slot) = accept_slot(&Settings::new());
    let (since, replaced) = (Instant::now(), CancellationToken::new());
    advance(10 * SECOND).await;
    let (candidate, _peer) = candidate(1);
    handle.offer(candidate);
    supervise(&mut slot, since, &replaced, Duration::from_millis(1)).await;
    assert!(replaced.is_cancelled());
    assert_eq!(number(&slot.next().await), 1);
}

#[tokio::test(start_paused = true)]
async fn one_that_leaves_before_its_time_replaces_nobody() {
    let (handle, mut slot) = accept_slot(&Settings::new());
    let (since, replaced) = (Instant::now(), CancellationToken::new());
    let (candidate, peer) = candidate(1);
    handle.offer(candidate);
    supervise(&mut slot, since, &replaced, SECOND / 2).await;
    drop(peer);
    supervise(&mut slot, since, &replaced, 10 * SECOND).await;
    assert!(!replaced.is_cancelled());
    assert!(
        timeout(SECOND, slot.next()).await.is_err(),
        "it is forgotten"
    );
}

#[tokio::test(start_paused = true)]
async fn a_link_that_has_ended_keeps_none() {
    let (handle, slot) = accept_slot(&Settings::new());
    let (before, mut before_peer) = candidate(1);
    let (after, mut after_peer) = candidate(2);
    handle.offer(before);
    drop(slot);
    handle.offer(after);
    assert!(is_closed(&mut before_peer).await);
    assert!(is_closed(&mut after_peer).await);
}
