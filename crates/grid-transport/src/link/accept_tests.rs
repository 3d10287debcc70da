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

/// What `count` displacements take, of a connection of the one by another, which is closed before the former comes again
/// if it hangs up.
async fn displaced(count: usize, numbers: [u8; 2], hangs_up: bool) -> Duration {
    let (handle, mut slot) = accept_slot(&Settings::new());
    let began = Instant::now();
    let mut peers = Vec::new();
    let (first, peer) = candidate(numbers[0]);
    peers.push(peer);
    handle.offer(first);
    drop(slot.next().await);
    for time in 0..count {
        let (since, replaced) = (Instant::now(), CancellationToken::new());
        let newer = numbers[if hangs_up { 1 } else { (time + 1) % 2 }];
        let (next, peer) = candidate(newer);
        handle.offer(next);
        peers.push(peer);
        tokio::select! {
            () = replaced.cancelled() => {}
            never = slot.supervise(since, &replaced) => match never {},
        }
        let by = slot.ended(since.elapsed()).unwrap();
        assert_eq!(&*by.from, "10.0.0.9");
        assert_eq!(by.another, numbers[0] != numbers[1]);
        assert_eq!(number(&slot.next().await), newer);
        if hangs_up {
            assert_eq!(slot.ended(Duration::ZERO), None);
            let (again, peer) = candidate(numbers[0]);
            handle.offer(again);
            peers.push(peer);
            assert_eq!(number(&slot.next().await), numbers[0]);
        }
    }
    began.elapsed()
}

/// Two who dial as soon as they are replaced, each under the same name; or of whom one hangs up as soon as it is in, so
/// that the other is back at once.
#[tokio::test(start_paused = true)]
async fn flapping_is_rare_in_the_long_run() {
    for hangs_up in [false, true] {
        // 1 + 2 + 4 + 8 + 16 s, one more as the first is forgotten by then, and after that every 30 s.
        for (count, seconds) in [(5, 31), (10, 4 * 30), (100, 94 * 30)] {
            let took = displaced(count, [1, 2], hangs_up).await;
            assert!(took >= seconds * SECOND, "{count} in {took:?}");
        }
    }
    // Of one process at one address each second time begins the row anew, and so does each end.
    let took = displaced(100, [1, 1], false).await;
    assert!(took >= 600 * SECOND, "{took:?}");
    let took = displaced(100, [1, 1], true).await;
    assert!(took < 101 * SECOND, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn one_that_replaces_and_is_gone_at_once_is_told_of() {
    let (handle, mut slot) = accept_slot(&Settings::new());
    let (live, _live_peer) = candidate(1);
    handle.offer(live);
    drop(slot.next().await);
    let (since, replaced) = (Instant::now(), CancellationToken::new());
    let (newer, newer_peer) = candidate(2);
    handle.offer(newer);
    supervise(&mut slot, since, &replaced, 2 * SECOND).await;
    assert!(replaced.is_cancelled());
    drop(newer_peer);
    supervise(&mut slot, since, &replaced, SECOND).await;
    let by = slot.ended(since.elapsed()).unwrap();
    assert!(by.another && &*by.from == "10.0.0.9", "{by:?}");
}

/// Whatever was before, a peer that has restarted is let in once the connection before is `replace_max` old.
#[tokio::test(start_paused = true)]
async fn an_honest_peer_is_back_within_replace_max() {
    let (handle, mut slot) = accept_slot(&Settings::new());
    for _ in 0..100 {
        slot.replacing = Some(candidate(9).0.who());
        slot.ended(Duration::ZERO);
    }
    let (live, _live_peer) = candidate(1);
    handle.offer(live);
    drop(slot.next().await);
    let (since, replaced) = (Instant::now(), CancellationToken::new());
    let (restarted, _peer) = candidate(2);
    handle.offer(restarted);
    supervise(&mut slot, since, &replaced, 30 * SECOND + SECOND / 1_000).await;
    assert!(replaced.is_cancelled());
    // And with nobody there, at once.
    slot.ended(since.elapsed());
    assert_eq!(number(&slot.next().await), 2);
}

/// Who dials all the time is the newest whenever a live connection may be replaced, be it its own; the other is let in
/// each second time all the same, and that counts.
#[tokio::test(start_paused = true)]
async fn who_dials_all_the_time_does_not_keep_the_other_out() {
    const TICK: Duration = Duration::from_millis(5);
    let (handle, mut slot) = accept_slot(&Settings::new());
    let (mut honest, mut others, mut peers) = (0, 0, Vec::new());
    let began = Instant::now();
    let mut offer = |number| {
        let (candidate, peer) = candidate(number);
        peers.push(peer);
        handle.offer(candidate);
    };
    offer(1);
    for _ in 0..20 {
        honest += usize::from(number(&slot.next().await) == 2);
        let (since, replaced) = (Instant::now(), CancellationToken::new());
        let mut ticks = 0;
        while !replaced.is_cancelled() {
            // The node each second, and the other one 20 times as often.
            if ticks % 200 == 4 {
                offer(2);
            }
            if ticks % 10 == 5 {
                offer(1);
            }
            supervise(&mut slot, since, &replaced, TICK).await;
            ticks += 1;
        }
        others += usize::from(slot.ended(since.elapsed()).unwrap().another);
    }
    assert_eq!((honest, others), (10, 20));
    // 1 + 2 + 4 + 8 + 16 s, and every 30 s then.
    assert!(began.elapsed() >= 14 * 30 * SECOND, "{:?}", began.elapsed());
}

/// Nor does it by hanging up before the other one's time has come.
#[tokio::test(start_paused = true)]
async fn who_hangs_up_is_followed_by_the_other_and_not_by_itself() {
    let (handle, mut slot) = accept_slot(&Settings::new());
    let (since, replaced) = (Instant::now(), CancellationToken::new());
    let (live, _live_peer) = candidate(1);
    handle.offer(live);
    drop(slot.next().await);
    let (other, _other_peer) = candidate(2);
    let (again, _again_peer) = candidate(1);
    let (newest, _newest_peer) = candidate(1);
    for candidate in [other, again] {
        handle.offer(candidate);
        supervise(&mut slot, since, &replaced, SECOND / 10).await;
    }
    handle.offer(newest);
    assert_eq!(slot.ended(since.elapsed()), None);
    assert_eq!(number(&slot.next().await), 2);
    // What was kept waits on, beside a live one of another now.
    let replaced = CancellationToken::new();
    supervise(&mut slot, Instant::now(), &replaced, 2 * SECOND).await;
    assert!(replaced.is_cancelled());
    assert!(slot.ended(SECOND).unwrap().another);
    assert_eq!(number(&slot.next().await), 1);
}

#[tokio::test(start_paused = true)]
async fn of_each_kind_only_the_newest_waits() {
    let (handle, mut slot) = accept_slot(&Settings::new());
    let (since, replaced) = (Instant::now(), CancellationToken::new());
    let (live, _live_peer) = candidate(0);
    handle.offer(live);
    drop(slot.next().await);
    let mut peers = Vec::new();
    for number in [0, 1, 0, 2, 3, 0] {
        let (candidate, peer) = candidate(number);
        peers.push(peer);
        handle.offer(candidate);
        supervise(&mut slot, since, &replaced, SECOND / 100).await;
    }
    let mut waiting = Vec::new();
    for (index, peer) in peers.iter_mut().enumerate() {
        if !is_closed(peer).await {
            waiting.push(index);
        }
    }
    assert_eq!(waiting, [4, 5]);
}
