//! Every order in which the parts of a session can enter, leave, close and wait.

use std::{
    future::Future,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use super::guard::{Guard, Pass};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Enter(usize),
    Leave(usize),
    Close,
    Abandon,
    Wait,
}

struct CountWakes(AtomicUsize);

impl Wake for CountWakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// What each participant does, in its own order; all interleavings of them are run. Each step is
/// one critical section of the guard, so these are all histories there are.
fn interleavings(programs: &[&[Step]], run: &mut dyn FnMut(&[Step])) {
    fn go(
        programs: &[&[Step]],
        at: &mut Vec<usize>,
        so_far: &mut Vec<Step>,
        run: &mut dyn FnMut(&[Step]),
    ) {
        let mut ended = true;
        for i in 0..programs.len() {
            if at[i] < programs[i].len() {
                ended = false;
                so_far.push(programs[i][at[i]]);
                at[i] += 1;
                go(programs, at, so_far, run);
                at[i] -= 1;
                so_far.pop();
            }
        }
        if ended {
            run(so_far);
        }
    }
    go(programs, &mut vec![0; programs.len()], &mut Vec::new(), run);
}

/// Runs one history against the guard and against what it should do, step by step.
fn check(history: &[Step], members: usize) {
    let guard = Guard::<u8>::new();
    let mut passes: Vec<Option<Pass<u8>>> = (0..members).map(|_| None).collect();
    let (mut closing, mut abandoned) = (false, false);
    let wakes = Arc::new(CountWakes(AtomicUsize::new(0)));
    let waker = Waker::from(wakes.clone());
    let mut cx = Context::from_waker(&waker);
    let mut gone = pin!(guard.gone());
    // Some(n): the waiter sleeps since there were n wakes.
    let mut asleep: Option<usize> = None;
    let mut resolved = false;
    let mut poll = |gone: Pin<&mut dyn Future<Output = ()>>, asleep: &mut Option<usize>| {
        let ready = gone.poll(&mut cx) == Poll::Ready(());
        *asleep = (!ready).then(|| wakes.0.load(Ordering::SeqCst));
        ready
    };
    for step in history {
        match *step {
            Step::Enter(i) => {
                passes[i] = guard.enter(i as u8);
                assert_eq!(
                    passes[i].is_some(),
                    !closing,
                    "entering after the close: {history:?}"
                );
            }
            Step::Leave(i) => passes[i] = None,
            Step::Close => {
                assert_eq!(guard.close(), !closing, "{history:?}");
                closing = true;
            }
            Step::Abandon => {
                let left: usize = guard.abandon().iter().map(|(_, count)| count).sum();
                assert_eq!(left, passes.iter().flatten().count(), "{history:?}");
                abandoned = true;
            }
            Step::Wait => {
                if !resolved {
                    resolved = poll(gone.as_mut(), &mut asleep);
                }
            }
        }
        let is_gone = closing && (abandoned || passes.iter().flatten().count() == 0);
        if let Some(since) = asleep {
            let woken = wakes.0.load(Ordering::SeqCst) > since;
            assert_eq!(
                woken, is_gone,
                "a wake that was missed or came early after {step:?}: {history:?}"
            );
            if woken {
                resolved = poll(gone.as_mut(), &mut asleep);
                assert!(resolved, "woken for nothing: {history:?}");
            }
        }
        assert!(
            !resolved || is_gone,
            "gone while somebody was inside: {history:?}"
        );
    }
    // Whatever the order, with all left and the guard closed the session is gone.
    passes.clear();
    guard.close();
    if !resolved {
        resolved = poll(gone.as_mut(), &mut asleep);
    }
    assert!(resolved, "never gone: {history:?}");
}

#[test]
fn every_history_of_three_members_a_close_and_a_waiter() {
    use Step::{Close, Enter, Leave, Wait};
    let mut count = 0;
    interleavings(
        &[
            &[Enter(0), Leave(0)],
            &[Enter(1), Leave(1), Enter(1), Leave(1)],
            &[Enter(2), Leave(2)],
            &[Close, Close],
            &[Wait, Wait],
        ],
        &mut |history| {
            count += 1;
            check(history, 3);
        },
    );
    // 12! / (2! 4! 2! 2! 2!)
    assert_eq!(count, 1_247_400);
}

#[test]
fn every_history_with_a_member_that_does_not_leave() {
    use Step::{Abandon, Close, Enter, Leave, Wait};
    let mut count = 0;
    interleavings(
        &[
            &[Enter(0), Leave(0)],
            &[Enter(1), Leave(1)],
            &[Enter(2)],
            &[Close, Abandon],
            &[Wait, Wait],
        ],
        &mut |history| {
            count += 1;
            check(history, 3);
        },
    );
    // 9! / (2! 2! 2! 2!)
    assert_eq!(count, 22_680);
}

#[test]
fn those_left_behind_are_named() {
    let guard = Guard::<u8>::new();
    let _one = guard.enter(7);
    let _two = guard.enter(7);
    let three = guard.enter(9);
    guard.close();
    drop(three);
    assert_eq!(guard.abandon(), [(7, 2)]);
}
