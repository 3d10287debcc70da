//! The open loop: operations are due on a schedule, whatever became of those before.
//!
//! The latency of each counts from when it was due. So one that had to wait because all workers
//! were stuck counts with its waiting, as it would for whoever had asked at that time; measuring
//! from the actual start would leave out just the worst ("coordinated omission").

use std::{sync::atomic::Ordering::Relaxed, thread, time::Duration};

use tokio::{sync::Semaphore, time::Instant};

use super::{Operation, Run, Turns};

/// The pacer looks at least so often whether it is still needed.
const SLICE: Duration = Duration::from_millis(50);
/// And no more often than this, however high the rate is.
const REST: Duration = Duration::from_micros(50);

/// When which operation is due.
#[derive(Clone, Copy, Debug)]
pub(in crate::load) struct Schedule {
    rate: f64,
    total: u64,
}

impl Schedule {
    /// So many operations a second, until the end of this time.
    pub(in crate::load) fn new(rate: f64, lasting: Duration) -> Self {
        let mut schedule = Self {
            rate,
            total: u64::MAX,
        };
        schedule.total = schedule.due(lasting);
        schedule
    }

    /// How long after the start an operation is due; the first at once.
    pub(super) fn offset(&self, number: u64) -> Duration {
        Duration::try_from_secs_f64(number as f64 / self.rate).unwrap_or(Duration::MAX)
    }

    /// How many are due before so long after the start.
    pub(super) fn due(&self, after: Duration) -> u64 {
        // A number that is no more than a rounding error above a whole one is that.
        let exact = after.as_secs_f64() * self.rate;
        ((exact - 1e-6).ceil().max(0.0) as u64).min(self.total)
    }
}

/// Makes operations when they are due, until all were.
///
/// # Cancel safety
///
/// Dropping the future gives up the operation that is open.
pub(super) async fn work<O: Operation>(run: &Run<O>, turns: &Turns) {
    // Closed when the run was interrupted.
    while let Ok(permit) = turns.permits.acquire().await {
        permit.forget();
        let number = turns.next.fetch_add(1, Relaxed);
        let begun = Instant::now();
        if number >= turns.schedule.total || !run.goes_on(begun) {
            return;
        }
        let due = run.recorder.start() + turns.schedule.offset(number);
        // The pacer's clock and this one are the same, but for what rounding does.
        run.make(Some(due.min(begun)), begun).await;
    }
}

/// Gives a turn for each operation that has become due, and at the end one to each worker, which
/// sends it home.
///
/// On a thread of its own, as the runtime's timers are only as fine as a millisecond, which is more
/// than an operation takes.
pub(super) fn pace<O: Operation>(run: &Run<O>, par: usize) {
    let Some(turns) = &run.turns else {
        return;
    };
    let mut given = 0;
    loop {
        let since = run.recorder.start().elapsed();
        let due = turns.schedule.due(since);
        give(turns, due.saturating_sub(given));
        given = due.max(given);
        if given >= turns.schedule.total {
            give(turns, par as u64);
            return;
        }
        if turns.permits.is_closed() {
            return;
        }
        let wait = turns.schedule.offset(given).saturating_sub(since);
        // tidy: sleep: the next operation is due then
        thread::sleep(wait.clamp(REST, SLICE));
    }
}

fn give(turns: &Turns, count: u64) {
    let most = Semaphore::MAX_PERMITS.saturating_sub(turns.permits.available_permits());
    turns
        .permits
        .add_permits(usize::try_from(count).unwrap_or(usize::MAX).min(most));
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::{
        task::JoinSet,
        time::{sleep, sleep_until},
    };

    use super::{
        super::{
            Plan,
            fake::{Fake, fake},
            run,
        },
        *,
    };
    use crate::signal::Signals;

    fn plan(par: usize, rate: f64) -> Plan {
        Plan {
            par,
            lasting: Duration::from_secs(1),
            rate: Some(rate),
            shards: 2,
        }
    }

    #[test]
    fn operations_are_due_at_even_distances() {
        let schedule = Schedule::new(1000.0, Duration::from_millis(2500));
        assert_eq!(schedule.total, 2500);
        assert_eq!(schedule.offset(0), Duration::ZERO);
        assert_eq!(schedule.offset(1500), Duration::from_millis(1500));
        for (micros, due) in [(0, 0), (1, 1), (999, 1), (1001, 2), (9_999_999, 2500)] {
            assert_eq!(schedule.due(Duration::from_micros(micros)), due, "{micros}");
        }
        for rate in [0.5, 3.0, 7.0, 333.3, 1e6] {
            let total = Schedule::new(rate, Duration::from_secs(3)).total;
            assert_eq!(total, (3.0 * rate).ceil() as u64, "{rate}");
        }
    }

    /// Runs on the schedule with paused time: the thread of [`pace`] knows no other than the real.
    async fn on_schedule(plan: Plan, fake: Fake) -> Arc<Run<Fake>> {
        let run = Arc::new(Run::new(plan, fake).unwrap());
        let mut workers = JoinSet::new();
        for _ in 0..plan.par {
            let run = run.clone();
            workers.spawn(async move { work(&run, run.turns.as_ref().unwrap()).await });
        }
        let turns = run.turns.as_ref().unwrap();
        for number in 0..turns.schedule.total {
            // tidy: sleep: the schedule says so
            sleep_until(run.recorder.start() + turns.schedule.offset(number)).await;
            give(turns, 1);
        }
        give(turns, plan.par as u64);
        while let Some(worker) = workers.join_next().await {
            worker.unwrap();
        }
        run
    }

    #[tokio::test(start_paused = true)]
    async fn workers_that_keep_up_measure_what_an_operation_takes() {
        let run = on_schedule(plan(4, 20.0), fake(100, None)).await;
        let total = run.recorder.total().unwrap();
        assert_eq!(total.operations(), 20);
        assert_eq!(total.late, 0);
        let p99 = total.latency.value_at_quantile(0.99);
        assert!((99_000_000..103_000_000).contains(&p99), "{p99}");
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_for_a_worker_counts() {
        // One worker manages 10 a second of the 20 that are due.
        let run = on_schedule(plan(1, 20.0), fake(100, None)).await;
        let total = run.recorder.total().unwrap();
        let turns = run.turns.as_ref().unwrap();
        assert_eq!(turns.schedule.total, 20);
        let made = total.operations();
        // Those due and not begun within the second are never begun.
        assert!((9..=11).contains(&made), "{made}");
        assert_eq!(total.late, made - 1);
        let waited = total.latency.max() / 1_000_000;
        assert!((500..=620).contains(&waited), "{waited}");
        assert!((99..=103).contains(&(total.service.max() / 1_000_000)));
    }

    #[tokio::test]
    async fn the_pacer_gives_every_turn_and_lets_all_workers_go() {
        let mut signals = Signals::catch().unwrap();
        let ran = run(plan(8, 2000.0), fake(0, None), &mut signals, |_| {})
            .await
            .unwrap();
        assert_eq!(ran.due, Some(2000));
        assert!(ran.tally.operations() > 0 && ran.tally.operations() <= 2000);
        assert!(!ran.interrupted && ran.abandoned == 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stopped_run_lets_its_workers_go() {
        let run = Arc::new(Run::new(plan(1, 1.0), fake(0, None)).unwrap());
        let worker = {
            let run = run.clone();
            tokio::spawn(async move { work(&run, run.turns.as_ref().unwrap()).await })
        };
        // tidy: sleep: the worker comes to wait in this time, which is paused
        sleep(Duration::from_millis(1)).await;
        run.stop();
        worker.await.unwrap();
        assert_eq!(run.recorder.counts(), (0, 0));
    }
}
