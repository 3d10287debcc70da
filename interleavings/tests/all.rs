//! Every subject as it is shipped, and with each of its planted faults; each in a process of its own, since a model that
//! fails in the middle leaves nothing to go on with.

use std::process::Command;

const PROGRAM: &str = env!("CARGO_BIN_EXE_interleavings");

/// The fault names are those of the file that the program was built from.
const FAULTS: &str = include_str!("../faults.txt");

fn run(subject: &str, fault: &str) -> (bool, String) {
    let output = Command::new(PROGRAM)
        .args([subject, fault])
        .output()
        .unwrap();
    let told = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&told).into_owned(),
    )
}

fn check(subject: &str) {
    let (holds, told) = run(subject, "shipped");
    assert!(holds, "{subject}: {told}");
    for line in told.lines().filter(|line| line.contains(" histories, ")) {
        assert!(
            line.contains(" histories, every order"),
            "which orders? {line}"
        );
    }
    assert!(told.contains(" histories, "), "{subject}: {told}");
    let faults = FAULTS.lines().filter_map(|line| line.strip_prefix("=== "));
    let mut count = 0;
    for head in faults.filter(|head| head.split(' ').next() == Some(subject)) {
        let fault = head.split(' ').nth(1).unwrap();
        let (holds, told) = run(subject, fault);
        assert!(!holds, "{subject}: {fault} was not found: {told}");
        // Found by a check, and not because there is no such thing.
        assert!(told.contains("panicked at"), "{subject}: {fault}: {told}");
        count += 1;
    }
    assert!(count > 0, "no fault was planted into {subject}");
}

// proves: I18
#[test]
fn the_guard() {
    check("guard");
}

#[test]
fn the_lock_of_a_session() {
    check("monitor");
}

#[test]
fn a_streams_inbox() {
    check("inbox");
}

#[test]
fn the_place_of_the_newest_connection() {
    check("place");
}

#[test]
fn room_of_the_node() {
    check("room");
}

#[test]
fn permits_to_run() {
    check("permits");
}

#[test]
fn the_reconnect_loop() {
    check("reconnect");
}
