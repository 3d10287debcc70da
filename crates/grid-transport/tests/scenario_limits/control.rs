//! How many answers that belong to no mux may wait for a peer that does not read. Its second is exact, as the clock stands
//! still, and however slow the machine is, what is sent at once comes at once.

use std::time::Duration;

use grid_proto::wire::Op;
use grid_transport::{LinkCause, Manager};

use crate::{
    hostile::{SIZED, UNKNOWN, call},
    node::{self, A},
    times::{MS, accepting, let_in, pass},
    wire::Wire,
};

/// More than the connection holds.
const LARGE: usize = 1 << 20;

/// A node whose writer is stuck, and refusals that wait behind it.
struct Unread {
    wire: Wire,
    manager: Manager,
    sent: u64,
}

/// So many refusals at once.
async fn refusals(limit: usize, count: usize) -> Unread {
    let settings = node::settings()
        .max_control(limit)
        .ping_interval(Duration::from_secs(600))
        .write_timeout(Duration::from_secs(600));
    let (dial, manager) = accepting(settings);
    let mut wire = let_in(&dial, 1 << 16).await;
    wire.send_message(&call(Op::Request, SIZED, 1, LARGE.to_string()))
        .await;
    pass(MS).await;
    let stats = manager.connection(A).unwrap().stats();
    assert_eq!((stats.messages_out, stats.queued_bytes), (1, 0));
    let mut unread = Unread {
        wire,
        manager,
        sent: 0,
    };
    unread.more(count).await;
    unread
}

impl Unread {
    /// Has so many more calls refused.
    async fn more(&mut self, count: usize) {
        for _ in 0..count {
            self.sent += 1;
            let unknown = call(Op::Request, UNKNOWN, 100_000 + self.sent, "x");
            self.wire.send_message(&unknown).await;
        }
        pass(MS).await;
        let stats = self.manager.connection(A).unwrap().stats();
        assert_eq!(stats.refused, self.sent);
    }

    /// Whether the link lives on.
    async fn lives(self) -> bool {
        let link = self.manager.connection(A).unwrap();
        let lives = link.state().is_connected();
        if !lives {
            node::down_because(&link, |cause| {
                matches!(cause, LinkCause::PeerNotReading).then_some(())
            })
            .await;
        }
        self.manager.shutdown(Duration::ZERO).await;
        lives
    }
}

/// What one refusal takes.
async fn one() -> usize {
    let (dial, manager) = accepting(node::settings());
    let mut wire = let_in(&dial, 1 << 16).await;
    wire.send_message(&call(Op::Request, UNKNOWN, 100_001, "x"))
        .await;
    let refusal = wire.message().await.unwrap();
    manager.shutdown(Duration::ZERO).await;
    refusal.encoded_len()
}

#[tokio::test(start_paused = true)]
async fn max_control_for_a_second_and_fourfold_at_once() {
    let limit = 10 * one().await;
    let second = Duration::from_secs(1);
    // For as long as no more than the limit waits nothing happens; one above it may wait for a second.
    for (count, wait, lives) in [
        (9, 2 * second, true),
        (10, 2 * second, true),
        (11, second - 3 * MS, true),
        (11, second + 3 * MS, false),
    ] {
        let mut unread = refusals(limit, count).await;
        pass(wait).await;
        unread.more(usize::from(count > 9)).await;
        assert_eq!(unread.lives().await, lives, "{count}, {wait:?}");
    }
    // Four times as much is too much at any time.
    for count in [39, 40, 41] {
        let unread = refusals(limit, count).await;
        assert_eq!(unread.lives().await, count <= 40, "{count}");
    }
    // And a byte decides, for either.
    for spare in [0, 1] {
        let mut unread = refusals(limit - spare, 10).await;
        pass(2 * second).await;
        unread.more(1).await;
        assert_eq!(unread.lives().await, spare == 0);
        let unread = refusals(limit - spare, 40).await;
        assert_eq!(unread.lives().await, spare == 0);
    }
}
