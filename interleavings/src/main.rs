//! Checks the hand-made synchronisation of grid-transport in every order that its steps can come in, or, of the models that
//! have too many, in every order within so many preemptions: each line says which.
//!
//! `interleavings` runs all, `interleavings guard shipped` one. What is checked are the very files that are shipped,
//! with the types of a model checker in place of their imports; and copies with a fault planted, each of which has to
//! be found. Why it is done so: `docs/decisions/0008-*`.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program of the command line talks to its terminal"
)]

mod explore;
mod sync;
mod variants;

use std::{
    env,
    process::{Command, ExitCode},
    time::Instant,
};

use variants::{VARIANTS, Variant};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match &*arguments {
        [] => all(),
        [subject, fault] => match VARIANTS
            .iter()
            .find(|one| one.subject == *subject && one.fault == *fault)
        {
            Some(variant) => check(variant),
            None => {
                eprintln!("there is no {subject} {fault}");
                ExitCode::from(2)
            }
        },
        _ => {
            eprintln!("usage: interleavings [SUBJECT FAULT]");
            ExitCode::from(2)
        }
    }
}

/// Runs the checks of one variant; a check that fails ends the process.
fn check(variant: &Variant) -> ExitCode {
    if variant.fault != "shipped" {
        explore::search();
    }
    for (name, check) in variant.checks {
        let began = Instant::now();
        let explored = check();
        println!(
            "{}: {name}: {explored}, {:.1?}",
            variant.subject,
            began.elapsed()
        );
    }
    ExitCode::SUCCESS
}

/// Each variant in a process of its own: a model that fails in the middle leaves nothing to go on with.
fn all() -> ExitCode {
    let mut wrong = 0;
    for Variant { subject, fault, .. } in VARIANTS {
        let child =
            env::current_exe().and_then(|own| Command::new(own).args([subject, fault]).output());
        let output = match child {
            Ok(output) => output,
            Err(error) => {
                eprintln!("can't run myself: {error}");
                return ExitCode::FAILURE;
            }
        };
        let said = String::from_utf8_lossy(&output.stderr);
        let why = said
            .lines()
            .find(|line| !line.is_empty() && !line.starts_with("thread"))
            .unwrap_or_default();
        let as_wanted = (*fault == "shipped") == output.status.success();
        let word = match (*fault, as_wanted) {
            ("shipped", true) => "holds",
            ("shipped", false) => "FAILS",
            (_, true) => "found",
            (_, false) => "NOT FOUND",
        };
        print!("{}", String::from_utf8_lossy(&output.stdout));
        println!("{subject}: {fault}: {word}: {why}");
        wrong += usize::from(!as_wanted);
    }
    println!("{} variants, {wrong} wrong", VARIANTS.len());
    if wrong == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
