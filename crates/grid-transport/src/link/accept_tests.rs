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
    let from = "10.0.0.9".into();
    (Candidate { ws, peer, from }, theirs)
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

/// How long the live connection is kept from the next one, after those before it lived so long each.
fn protected_after(slot: &mut AcceptSlot, lives: &[u32]) -> Duration {
    for seconds in lives {
        slot.ended(SECOND * *seconds, true);
    }
    slot.protected_for()
}

#[tokio::test(start_paused = true)]
async fn one_who_flaps_waits_longer_each_time() {
    let (_handle, mut slot) = accept_slot(&Settings::new());
    let mut lives = Vec::new();
    for wanted in [1, 2, 4, 8, 16, 30, 30, 30] {
        let protected = protected_after(&mut slot, &lives);
        assert_eq!(protected, wanted * SECOND, "after {lives:?}");
        lives = vec![wanted.min(29)];
    }
    // One that lived long was no such thing, nor was one that ended by itself.
    assert_eq!(protected_after(&mut slot, &[30]), SECOND);
    assert_eq!(protected_after(&mut slot, &[1, 1]), 4 * SECOND);
    slot.ended(SECOND, false);
    assert_eq!(slot.protected_for(), SECOND);
    // However often it happens.
    assert_eq!(protected_after(&mut slot, &[1; 100]), 30 * SECOND);
}

/// Ten minutes of two who dial as soon as they are replaced, each under the same name.
#[tokio::test(start_paused = true)]
async fn flapping_is_rare_in_the_long_run() {
    let (handle, mut slot) = accept_slot(&Settings::new());
    let began = Instant::now();
    let (mut displaced, mut peers) = (0, Vec::new());
    while began.elapsed() < 600 * SECOND {
        let (since, replaced) = (Instant::now(), CancellationToken::new());
        let (next, peer) = candidate(1);
        handle.offer(next);
        peers.push(peer);
        tokio::select! {
            () = replaced.cancelled() => {}
            never = slot.supervise(since, &replaced) => match never {},
        }
        displaced += 1;
        let newer = slot.ended(since.elapsed(), true).map(str::to_owned);
        assert_eq!(newer.as_deref(), Some("10.0.0.9"));
        drop(slot.next().await);
    }
    // 1 + 2 + 4 + 8 + 16 s, and then every 30 s, of which each second one begins the row anew.
    assert!(displaced <= 60, "{displaced}");
}
