use super::*;

const LEASE: Duration = Duration::from_secs(2);
const MILLI: Duration = Duration::from_millis(1);

const LOCK: Op = Op::Lock(Mode::Write);
const UNLOCK: Op = Op::Unlock(Mode::Write);
const RLOCK: Op = Op::Lock(Mode::Read);
const RUNLOCK: Op = Op::Unlock(Mode::Read);

/// A table that has been open for long, and the time.
struct Server {
    table: Table,
    now: Instant,
}

impl Server {
    fn new() -> Self {
        let now = Instant::now();
        let table = Table::new(now, LEASE);
        let now = now + 10 * LEASE;
        Self { table, now }
    }

    fn ask(&mut self, op: Op, owner: &str, uid: u64) -> Verdict {
        self.ask_for("config", op, owner, uid)
    }

    fn ask_for(&mut self, resource: &str, op: Op, owner: &str, uid: u64) -> Verdict {
        let resource = resource.to_owned();
        self.table
            .serve(self.now, op, owner, &Ask { resource, uid })
    }
}

fn held_by(owner: &str) -> Verdict {
    Verdict::HeldBy(owner.to_owned())
}

#[test]
fn a_writer_is_alone() {
    let mut server = Server::new();
    assert_eq!(server.ask(LOCK, "a", 1), Verdict::Granted);
    assert_eq!(server.ask(LOCK, "b", 2), held_by("a"));
    assert_eq!(server.ask(RLOCK, "b", 3), held_by("a"));
    assert_eq!(server.ask_for("other", LOCK, "b", 4), Verdict::Granted);
    assert_eq!(server.ask(UNLOCK, "a", 1), Verdict::Granted);
    assert_eq!(server.ask(LOCK, "b", 5), Verdict::Granted);
}

#[test]
fn readers_share_and_keep_writers_out_until_the_last_has_gone() {
    let mut server = Server::new();
    assert_eq!(server.ask(RLOCK, "a", 1), Verdict::Granted);
    assert_eq!(server.ask(RLOCK, "b", 2), Verdict::Granted);
    assert_eq!(server.ask(RUNLOCK, "a", 1), Verdict::Granted);
    assert_eq!(server.ask(LOCK, "c", 3), held_by("b"));
    assert_eq!(server.ask(RUNLOCK, "b", 2), Verdict::Granted);
    assert_eq!(server.ask(LOCK, "c", 4), Verdict::Granted);
}

#[test]
fn a_lease_ends_when_it_is_not_refreshed_and_no_sooner() {
    let mut server = Server::new();
    assert_eq!(server.ask(LOCK, "a", 1), Verdict::Granted);
    server.now += LEASE - MILLI;
    assert_eq!(server.ask(LOCK, "b", 2), held_by("a"));
    assert_eq!(server.ask(Op::Refresh, "a", 1), Verdict::Granted);
    server.now += LEASE - MILLI;
    assert_eq!(server.ask(LOCK, "b", 3), held_by("a"));
    server.now += MILLI;
    assert_eq!(server.ask(Op::Refresh, "a", 1), Verdict::NotHeld);
    assert_eq!(server.ask(LOCK, "b", 4), Verdict::Granted);
}

#[test]
fn a_reader_that_dies_does_not_take_the_others_with_it() {
    let mut server = Server::new();
    assert_eq!(server.ask(RLOCK, "a", 1), Verdict::Granted);
    assert_eq!(server.ask(RLOCK, "b", 2), Verdict::Granted);
    server.now += LEASE / 2;
    assert_eq!(server.ask(Op::Refresh, "b", 2), Verdict::Granted);
    server.now += LEASE / 2;
    assert_eq!(server.ask(Op::Refresh, "a", 1), Verdict::NotHeld);
    assert_eq!(server.ask(LOCK, "c", 3), held_by("b"));
}

#[test]
fn only_who_holds_a_lock_refreshes_or_releases_it() {
    let mut server = Server::new();
    assert_eq!(server.ask(LOCK, "a", 1), Verdict::Granted);
    for (op, owner, uid) in [
        (UNLOCK, "b", 1),
        (UNLOCK, "a", 2),
        (RUNLOCK, "a", 1),
        (Op::Refresh, "b", 1),
        (Op::Refresh, "a", 2),
    ] {
        let what = format!("{op:?} of {uid} by {owner}");
        assert_eq!(server.ask(op, owner, uid), Verdict::NotHeld, "{what}");
    }
    assert_eq!(server.ask(LOCK, "b", 3), held_by("a"));
}

#[test]
fn an_operator_throws_all_out() {
    let mut server = Server::new();
    assert_eq!(server.ask(RLOCK, "a", 1), Verdict::Granted);
    assert_eq!(server.ask(RLOCK, "b", 2), Verdict::Granted);
    assert_eq!(server.ask(Op::ForceUnlock, "c", 0), Verdict::Granted);
    assert_eq!(server.ask(Op::ForceUnlock, "c", 0), Verdict::NotHeld);
    assert_eq!(server.ask(Op::Refresh, "a", 1), Verdict::NotHeld);
    assert_eq!(server.ask(LOCK, "c", 3), Verdict::Granted);
}

#[test]
fn a_server_that_has_just_started_grants_nothing_for_a_lease() {
    let now = Instant::now();
    let table = Table::new(now, LEASE);
    let now = now + LEASE - MILLI;
    let mut server = Server { table, now };
    assert_eq!(server.ask(LOCK, "a", 1), Verdict::Starting);
    assert_eq!(server.ask(Op::Refresh, "b", 7), Verdict::NotHeld);
    server.now += MILLI;
    assert_eq!(server.ask(LOCK, "a", 2), Verdict::Granted);
}

#[test]
fn there_is_an_end_to_what_can_be_locked_and_what_expired_makes_room() {
    let mut server = Server::new();
    for uid in 0..MAX_RESOURCES as u64 {
        let verdict = server.ask_for(&uid.to_string(), RLOCK, "a", uid);
        assert_eq!(verdict, Verdict::Granted);
    }
    assert_eq!(server.ask(LOCK, "b", 1), Verdict::Full);
    for uid in 1..MAX_READERS as u64 {
        assert_eq!(server.ask_for("0", RLOCK, "b", uid), Verdict::Granted);
    }
    assert_eq!(server.ask_for("0", RLOCK, "b", 0), Verdict::Full);
    let name = "x".repeat(MAX_NAME + 1);
    assert_eq!(server.ask_for(&name, LOCK, "b", 1), Verdict::NameTooLong);
    server.now += LEASE;
    assert_eq!(server.ask(LOCK, "b", 1), Verdict::Granted);
    assert_eq!(server.table.resources.len(), 1);
}
