//! Every subject as it is shipped, and with each of its planted faults; each in a process of its own, since a model that
//! fails in the middle leaves nothing to go on with.

use std::process::Command;

const PROGRAM: &str = env!("CARGO_BIN_EXE_interleavings");

/// The fault names are those of the file that the program was built from.
const FAULTS: &str = include_str!("../faults.txt");

/// The models that are too large for all of their orders, and within how many preemptions each is run; as decision 8
/// says. What a new one leaves out has to be said there too.
const BOUNDED: &[(&str, &str, usize)] = &[
    ("monitor", "the writer hears of what is queued", 4),
    ("monitor", "two submit and the writer hears of both", 3),
    ("monitor", "the writer hears of items", 3),
    (
        "monitor",
        "nothing begins after the end, whoever ends it",
        3,
    ),
    ("pen", "what is begun early is written", 4),
    ("pen", "what is written early is not written again", 3),
    ("pen", "drained when what was begun early is written", 3),
    ("waiter", "one call after another", 3),
    (
        "place",
        "two offer at once and each is taken or returned",
        3,
    ),
    ("room", "two who wait both hear of it", 3),
    ("permits", "one who waits until none is out", 3),
    ("reconnect", "a wish ends a pause", 3),
    ("reconnect", "stopped while a connection runs", 2),
    (
        "reconnect",
        "a newer connection begins when all of the older is gone",
        2,
    ),
    (
        "reconnect",
        "an end reaches handlers and callers before the link goes on",
        3,
    ),
];

/// What the program says of a model: its name, and within how many preemptions it was run if not in every order. `None`
/// for a line of something else.
fn model(line: &str) -> Option<(&str, Option<usize>)> {
    let (name, ran) = line.rsplit_once(": ")?;
    let mut parts = ran.split(", ");
    parts.next()?.strip_suffix(" histories")?;
    let orders = parts.next().unwrap_or_default();
    if orders == "every order" {
        return Some((name, None));
    }
    let bound = orders
        .strip_prefix("every order within ")
        .and_then(|rest| rest.strip_suffix(" preemptions"))
        .and_then(|bound| bound.parse().ok());
    assert!(bound.is_some(), "which orders? {line}");
    Some((name, bound))
}

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
    let models: Vec<_> = told
        .lines()
        .filter_map(|line| model(line.strip_prefix(subject)?.strip_prefix(": ")?))
        .collect();
    assert!(!models.is_empty(), "{subject}: {told}");
    let bounded: Vec<_> = models
        .iter()
        .filter_map(|(name, bound)| Some((*name, (*bound)?)))
        .collect();
    let wanted: Vec<_> = BOUNDED
        .iter()
        .filter(|(of, ..)| *of == subject)
        .map(|(_, name, bound)| (*name, *bound))
        .collect();
    assert_eq!(bounded, wanted, "the models of {subject} with a bound");
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
fn who_may_write() {
    check("pen");
}

#[test]
fn one_who_waits_for_an_answer() {
    check("waiter");
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
fn a_websockets_pongs() {
    check("control");
}

#[test]
fn the_reconnect_loop() {
    check("reconnect");
}
