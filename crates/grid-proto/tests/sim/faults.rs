//! What the simulation is worth: every planted fault is found.

use std::rc::Rc;

use grid_proto::conn::Fault;

use crate::history;

/// Histories in which a fault has to show.
const SEEDS: u64 = 5_000;

fn is_found(fault: Fault) {
    for seed in 0..SEEDS {
        let report = history::run(
            seed,
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
}
