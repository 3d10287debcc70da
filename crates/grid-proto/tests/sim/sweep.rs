//! One history, cut at each byte of one message in turn: of the handshake, of calls, of items, of ends.

use crate::{
    history::{History, Op, Step},
    node::Kind,
    run::run,
    suite::{nothing, outcome},
};

/// Histories that are swept, and frames of each end of each.
const HISTORIES: usize = 3;
const FRAMES: usize = 5;
/// Calls of such a history.
const CALLS: usize = 8;
/// Longer messages are more of the same; cuts of a history hit them too, at bytes that are drawn.
const LONGEST: usize = 220;

/// The calls of a history between two nodes, without whatever else happens in it.
fn quiet(seed: u64, guest: Kind) -> Option<History> {
    let mut history = History::new(seed);
    if history.style.nodes != 2 || history.style.guest != guest {
        return None;
    }
    history.style.skew = 0;
    history.steps.retain(|step| matches!(step.op, Op::Call(_)));
    history.steps.truncate(CALLS);
    for step in &mut history.steps {
        step.pause = step.pause.min(10_000);
    }
    Some(history)
}

/// Cuts at each byte of some frames, and gives how many cuts there were.
fn sweep(history: &History) -> usize {
    let whole = run(history, nothing(), false);
    assert_eq!(whole.outcome, Ok(()), "seed {}", history.seed);
    let mut cuts = 0;
    for (end, frames) in whole.frames.iter().enumerate() {
        let short = frames.iter().enumerate();
        let short: Vec<_> = short.filter(|(_, len)| **len <= LONGEST).collect();
        let apart = short.len().div_ceil(FRAMES).max(1);
        // The first is of the handshake.
        for (frame, len) in short.into_iter().step_by(apart) {
            for byte in 0..=*len {
                let mut torn = history.clone();
                let op = Op::Tear { end, frame, byte };
                torn.steps.insert(0, Step { pause: 0, op });
                let report = run(&torn, nothing(), false);
                if let Err(why) = report.outcome {
                    let again = run(&torn, nothing(), true);
                    println!("{}", again.trace.join("\n"));
                    panic!("{torn}\ncut at byte {byte} of frame {frame} of end {end}: {why}");
                }
                assert_eq!(report.seen.count("torn"), 1, "no cut: {torn}");
                cuts += 1;
            }
        }
    }
    cuts
}

fn swept(guest: Kind) {
    let histories = (0..).filter_map(|seed| quiet(seed, guest));
    let mut cuts = 0;
    for history in histories.take(HISTORIES) {
        // The link between the reader and the bytes may drop a part of a message, or hand it on.
        for reads_torn in [false, true] {
            let mut history = history.clone();
            history.style.reads_torn = reads_torn;
            cuts += sweep(&history);
        }
    }
    println!("{cuts} cuts");
    assert!(cuts > 1_000, "only {cuts} cuts");
}

#[test]
fn a_cut_at_every_byte_of_a_message() {
    swept(Kind::Ours);
}

#[test]
fn a_cut_at_every_byte_of_a_message_to_and_from_the_reference() {
    swept(Kind::Reference);
}

/// What the sweep counts as a cut is none of its own making.
#[test]
fn a_history_without_a_cut_is_torn_nowhere() {
    let history = (0..).find_map(|seed| quiet(seed, Kind::Ours));
    let history = history.expect("a history of two nodes");
    assert_eq!(outcome(&history, &nothing()), Ok(()));
    assert_eq!(run(&history, nothing(), false).seen.count("torn"), 0);
}
