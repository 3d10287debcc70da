//! Spoils what was sent, one message and one way at a time.

use grid_proto::wire::{Flags, Op};

use super::compare::Line;

/// What was sent, with one thing spoilt.
#[derive(Debug)]
pub(crate) struct Mutant {
    pub(crate) what: String,
    pub(crate) sent: Vec<Line>,
}

/// Every mutant of `sent`.
pub(crate) fn mutants(sent: &[Line]) -> Vec<Mutant> {
    let mut mutants = Vec::new();
    for i in 0..sent.len() {
        for (what, line) in spoilt(&sent[i]) {
            let mut spoilt = sent.to_vec();
            spoilt[i] = line;
            mutants.push(mutant(i, &what, spoilt));
        }
        let mut dropped = sent.to_vec();
        dropped.remove(i);
        mutants.push(mutant(i, "dropped", dropped));
        let mut doubled = sent.to_vec();
        doubled.insert(i, sent[i].clone());
        mutants.push(mutant(i, "doubled", doubled));
        let later = (i + 1..sent.len()).find(|later| sent[*later].mux == sent[i].mux);
        // Two that are the same stay the same.
        if let Some(later) = later.filter(|later| sent[*later] != sent[i]) {
            let mut swapped = sent.to_vec();
            swapped.swap(i, later);
            mutants.push(mutant(i, "sent after the next of its mux", swapped));
        }
    }
    mutants
}

fn mutant(i: usize, what: &str, sent: Vec<Line>) -> Mutant {
    Mutant {
        what: format!("message {}: {what}", i + 1),
        sent,
    }
}

fn spoilt(line: &Line) -> Vec<(String, Line)> {
    let mut all = Vec::new();
    let mut spoil = |what: String, change: &dyn Fn(&mut Line)| {
        let mut changed = line.clone();
        change(&mut changed);
        all.push((what, changed));
    };
    spoil("seq one more".into(), &|line| {
        line.seq = line.seq.wrapping_add(1);
    });
    spoil("seq one less".into(), &|line| {
        line.seq = line.seq.wrapping_sub(1);
    });
    spoil("deadline one more".into(), &|line| line.deadline_ms += 1);
    spoil("deadline one less".into(), &|line| {
        line.deadline_ms = line.deadline_ms.wrapping_sub(1);
    });
    for bit in 0..8 {
        let flag = Flags::from_bits_retain(1 << bit);
        spoil(format!("flag {flag} turned over"), &|line| {
            line.flags ^= flag;
        });
    }
    spoil("payload longer".into(), &|line| line.payload.push(0));
    if !line.payload.is_empty() {
        let last = line.payload.len() - 1;
        spoil("payload shorter".into(), &|line| {
            line.payload.truncate(last);
        });
        for at in [0, last / 2, last] {
            spoil(format!("payload changed at {at}"), &|line| {
                line.payload[at] ^= 1;
            });
        }
    }
    spoil("handler one more".into(), &|line| {
        line.handler = line.handler.wrapping_add(1);
    });
    spoil("another op".into(), &|line| {
        line.op = Op::from_u8(line.op.as_u8() ^ 1);
    });
    spoil("subroute changed".into(), &|line| {
        line.subroute = line.subroute.is_none().then_some([7; 32]);
    });
    all
}
