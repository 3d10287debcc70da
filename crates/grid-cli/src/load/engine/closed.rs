//! The closed loop: each worker begins an operation when its last one has ended.

use tokio::time::{Instant, sleep};

use super::{Operation, PAUSE, Run, never_sent};

/// Makes operations until the time is over.
///
/// # Cancel safety
///
/// Dropping the future gives up the operation that is open.
pub(super) async fn work<O: Operation>(run: &Run<O>) {
    let mut begun = Instant::now();
    while run.goes_on(begun) {
        let (ended, failed) = run.make(None, begun).await;
        // The end of one is the begin of the next, so what recording takes counts with the next: less than a look at
        // the clock, which would have to be told from the operation too.
        begun = ended;
        if failed.is_some_and(never_sent) {
            // tidy: sleep: a link that is down comes up no sooner for being asked all the time
            sleep(PAUSE).await;
            begun = Instant::now();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::{Plan, fake::fake, run};
    use crate::{fault::FaultKind, signal::Signals};

    fn plan(par: usize) -> Plan {
        Plan {
            par,
            lasting: Duration::from_secs(1),
            rate: None,
            shards: 2,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_begun_in_time_is_waited_for() {
        let mut signals = Signals::catch().unwrap();
        let mut looks = 0;
        let ran = run(plan(4), fake(300, None), &mut signals, |_| looks += 1)
            .await
            .unwrap();
        // Begun at 0, 300, 600 and 900 ms by each.
        assert_eq!(ran.tally.operations(), 16);
        assert_eq!(ran.tally.items, 16);
        assert_eq!(ran.elapsed.as_millis(), 1200);
        assert_eq!((ran.abandoned, ran.interrupted, ran.due), (0, false, None));
        assert!(ran.tally.service.is_empty());
        assert!(looks > 10, "{looks}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_never_sent_is_not_tried_without_a_pause() {
        let mut signals = Signals::catch().unwrap();
        let kind = FaultKind::NotConnected;
        let ran = run(plan(2), fake(0, Some(kind)), &mut signals, |_| {})
            .await
            .unwrap();
        assert_eq!(ran.tally.operations(), 0);
        // Every 20 ms, and the timer has a granularity of its own.
        assert!(
            (50..=102).contains(&ran.tally.errors[&kind]),
            "{:?}",
            ran.tally.errors
        );
    }
}
