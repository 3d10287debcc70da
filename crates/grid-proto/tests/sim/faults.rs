//! What the simulation is worth: every planted fault is found.

use std::rc::Rc;

use grid_proto::conn::Fault;

use crate::{history::History, run::run, shrink::shrink, suite::outcome, world::Tune};

/// Histories in which a fault has to show.
const SEEDS: u64 = 5_000;

fn is_found(fault: Fault) {
    for seed in 0..SEEDS {
        let report = run(
            &History::new(seed),
            Rc::new(move |config| config.fault = Some(fault)),
            false,
        );
        if let Err(why) = report.outcome {
            println!("{fault:?}: seed {seed}: {why}");
            return;
        }
    }
    panic!("{fault:?} is not found in {SEEDS} histories");
}

#[test]
fn a_fault_is_shown_by_a_few_steps() {
    for fault in [
        Fault::ItemTwice,
        Fault::CleanEndOnClose,
        Fault::DeadlineIgnored,
    ] {
        let tune: Tune = Rc::new(move |config| config.fault = Some(fault));
        let found = (0..SEEDS).find_map(|seed| {
            let history = History::new(seed);
            let why = outcome(&history, &tune).err()?;
            Some((history, why))
        });
        let (history, why) = found.expect("a history that shows the fault");
        let before = history.steps.len();
        let (small, reason) = shrink(history, &why, &|history| outcome(history, &tune));
        println!(
            "{fault:?}: {before} steps, then {}: {reason}",
            small.steps.len()
        );
        assert!(small.steps.len() <= 3, "{small}");
        assert_eq!(outcome(&small, &tune), Err(reason));
    }
}

macro_rules! faults {
    ($($name:ident: $fault:ident,)*) => {
        $(
            #[test]
            fn $name() {
                is_found(Fault::$fault);
            }
        )*

        #[test]
        fn every_fault_has_its_test() {
            assert_eq!([$(Fault::$fault),*], Fault::ALL);
        }
    };
}

faults! {
    credit_lost: CreditLost,
    credit_twice: CreditTwice,
    eof_overtakes_item: EofOvertakesItem,
    answer_across_generations: AnswerAcrossGenerations,
    wrong_seq_after_ping: WrongSeqAfterPing,
    missed_wake: MissedWake,
    clean_end_on_close: CleanEndOnClose,
    capacity_off_by_one: CapacityOffByOne,
    held_end_forgotten: HeldEndForgotten,
    ack_forgotten: AckForgotten,
    cancel_not_sent: CancelNotSent,
    served_leaks: ServedLeaks,
    stale_handler: StaleHandler,
    items_swapped: ItemsSwapped,
    item_twice: ItemTwice,
    item_dropped: ItemDropped,
    error_as_clean_end: ErrorAsCleanEnd,
    deadline_ignored: DeadlineIgnored,
    timer_leaks: TimerLeaks,
    answer_to_neighbour: AnswerToNeighbour,
    credit_counted: CreditCounted,
}
