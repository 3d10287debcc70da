//! Recorded conversations of the reference, replayed into the machine.
//!
//! Every file under `tests/vectors/transcripts` is either replayed here or belongs to the transport's tests over raw
//! TCP ([`assigned`](replay::assigned)). A replay takes the role of one end that is a grid node; where both ends are,
//! both roles are replayed. What the peer sent comes from the recording, at the recorded times under virtual time. What
//! the application does (call, take an item, answer, cancel) comes from a table written by hand, one entry a file,
//! whose steps are tied to what the peer sent or to a time, and never to what the machine under test does.
//!
//! What the machine sends is compared message by message with what the recorded end sent on the same mux: order, op,
//! seq, flags, deadline, handler, payload and subroute. Not compared: when a message is sent, how messages are merged,
//! and the order between muxes. Two things of the recording are put in order first:
//!
//! - A cancel is sent once, with seq 0. Where the recorded end sent it twice, with the running number and with 0
//!   (annex 39: it does so about every other time), the one with the running number is left out of the recording.
//! - A ping of the link carries the time of the node that sends it, so ours.
//!
//! Where ours differs on purpose it is listed in [`differences`](replay::differences).
#![allow(clippy::print_stdout, reason = "the number of mutants is told")]

mod replay {
    pub(crate) mod assigned;
    pub(crate) mod cancels;
    pub(crate) mod compare;
    pub(crate) mod deadlines;
    pub(crate) mod differences;
    pub(crate) mod mutants;
    pub(crate) mod node;
    pub(crate) mod observed;
    pub(crate) mod pings;
    pub(crate) mod recording;
    pub(crate) mod refusals;
    pub(crate) mod routes;
    pub(crate) mod run;
    pub(crate) mod script;
    pub(crate) mod scripted_client;
    pub(crate) mod scripted_server;
    pub(crate) mod singles;
    pub(crate) mod streams_oneway;
    pub(crate) mod streams_twoway;
}

use std::collections::BTreeSet;

use replay::{
    assigned::{OVER_TCP, files, replays},
    compare,
    differences::{DIFFERENCES, NOTHING, OVER_TCP_DIFFERENCES},
    mutants::mutants,
    observed,
    run::Run,
};

#[test]
fn every_file_is_replayed_or_left_to_the_transport() {
    let replayed: BTreeSet<&str> = replays().map(|replay| replay.file).collect();
    let over_tcp: BTreeSet<&str> = OVER_TCP.iter().copied().collect();
    assert_eq!(
        replayed.len(),
        replays().count(),
        "a file has one entry in the tables"
    );
    assert_eq!(over_tcp.len(), OVER_TCP.len());
    assert_eq!(
        replayed.intersection(&over_tcp).collect::<Vec<_>>(),
        Vec::<&&str>::new()
    );
    let files = files();
    let assigned: BTreeSet<String> = replayed
        .union(&over_tcp)
        .map(|file| (*file).to_owned())
        .collect();
    assert_eq!(assigned, files.iter().cloned().collect());
    assert_eq!(replayed.len() + over_tcp.len(), files.len());
}

#[test]
fn every_grid_node_of_a_replayed_file_is_taken_once() {
    for replay in replays() {
        let recording = replay.recording();
        for (script, role) in replay.roles() {
            assert_eq!(
                script.is_some(),
                recording.is_grid(role),
                "{}: {role:?}",
                replay.file
            );
        }
        assert!(!replay.runs().is_empty(), "{}", replay.file);
    }
}

#[test]
fn the_machine_sends_what_the_recorded_end_sent() {
    let wrong: Vec<String> = runs()
        .filter_map(|run| {
            compare::same(&run.expected(), &run.outcome.sent)
                .err()
                .map(|difference| format!("{run}: {difference}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn the_application_sees_what_was_observed() {
    let wrong: Vec<String> = runs()
        .filter_map(|run| {
            observed::same(&run, run.change())
                .err()
                .map(|difference| format!("{run}: {difference}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn nothing_is_left_in_the_machine() {
    for run in runs() {
        assert_eq!(
            run.outcome.idle, !run.replay.setup.stays_open,
            "{run}: {:?}",
            run.outcome.left
        );
    }
}

#[test]
fn every_mutant_fails_its_replay() {
    let (mut tried, mut survivors) = (0, Vec::new());
    for run in runs() {
        let expected = run.expected();
        for mutant in mutants(&run.outcome.sent) {
            tried += 1;
            if compare::same(&expected, &mutant.sent).is_ok() {
                survivors.push(format!("{run}: {}", mutant.what));
            }
        }
    }
    println!("{tried} mutants, {} survived", survivors.len());
    assert!(survivors.is_empty(), "{}", survivors.join("\n"));
    assert!(tried > 4000, "only {tried} mutants");
}

#[test]
fn every_difference_is_named_and_needed() {
    assert!(DIFFERENCES.len() + OVER_TCP_DIFFERENCES.len() <= 12);
    for difference in DIFFERENCES {
        assert!((1..=53).contains(&difference.annex) && difference.reason.len() > 20);
        let changed = runs()
            .filter(|run| run.replay.file == difference.file)
            .filter(|run| compare::same(&run.recorded(), &run.outcome.sent).is_err())
            .count();
        let listed = [difference.caller, difference.handler]
            .iter()
            .filter(|change| !change.edits.is_empty())
            .count();
        assert!(listed > 0, "{}: nothing is changed", difference.file);
        assert_eq!(
            changed, listed,
            "{}: the replay passes without it",
            difference.file
        );
    }
    for run in runs() {
        let change = run.change().unwrap_or(&NOTHING);
        for left_out in 0..change.edits.len() {
            let mut lines = run.recorded();
            let others = (0..).zip(change.edits).filter(|(i, _)| *i != left_out);
            others.for_each(|(_, edit)| edit.apply(&mut lines));
            assert!(
                compare::same(&lines, &run.outcome.sent).is_err(),
                "{run}: edit {left_out} is not needed"
            );
        }
        if change.disconnected_after.is_some() {
            assert!(observed::same(&run, None).is_err(), "{run}");
        }
    }
    for file in OVER_TCP_DIFFERENCES {
        assert!(OVER_TCP.contains(file), "{file}");
    }
}

/// Every replay, run.
fn runs() -> impl Iterator<Item = Run> {
    replays().flat_map(|replay| replay.runs())
}
