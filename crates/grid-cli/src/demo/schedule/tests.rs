use super::*;

const DONE: Option<CutDone> = Some(CutDone {
    mid_frame: true,
    frames: 5,
});

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

fn span(least: f64, most: f64) -> Span {
    Span {
        least: seconds(least),
        most: seconds(most),
    }
}

/// A schedule with all links up since 0.
fn connected(pairs: usize, wanted: usize) -> Schedule {
    let mut schedule = Schedule::new(pairs, wanted, span(10.0, 20.0));
    for pair in 0..pairs {
        for end in 0..2 {
            schedule.link(Duration::ZERO, pair, end, true);
        }
    }
    schedule
}

fn lose_and_find(schedule: &mut Schedule, at: Duration, pair: usize) {
    for up in [false, true] {
        for end in 0..2 {
            schedule.link(at, pair, end, up);
        }
    }
}

#[test]
fn nothing_is_cut_before_its_time_or_while_a_link_is_down() {
    let mut schedule = connected(1, 4);
    assert_eq!(schedule.next_order(seconds(0.1)), None);
    schedule.link(seconds(1.0), 0, 1, false);
    assert_eq!(schedule.next_order(seconds(9.0)), None);
    schedule.link(seconds(9.0), 0, 1, true);
    assert_eq!(schedule.next_order(seconds(9.1)), None, "not settled");
    assert!(schedule.next_order(seconds(9.4)).is_some());
    assert_eq!(schedule.next_order(seconds(15.0)), None, "ordered already");
}

#[test]
fn all_pairs_and_all_kinds_get_their_share() {
    let mut schedule = connected(6, 12);
    let mut now = Duration::ZERO;
    while schedule.hits() < 12 {
        now += seconds(0.02);
        if let Some(order) = schedule.next_order(now) {
            schedule.carried_out(now, order, DONE);
            schedule.interrupted(order.pair, 64, 1);
            lose_and_find(&mut schedule, now, order.pair);
        }
        assert!(
            now < seconds(15.0),
            "cuts come late: {} of 12",
            schedule.hits()
        );
    }
    for kind in CutKind::ALL {
        assert_eq!(
            schedule
                .cuts()
                .iter()
                .filter(|cut| cut.kind == kind)
                .count(),
            4
        );
    }
    for pair in 0..6 {
        assert_eq!(
            schedule
                .cuts()
                .iter()
                .filter(|cut| cut.pair == pair)
                .count(),
            2
        );
    }
    assert!(schedule.is_done(seconds(15.0)));
    assert_eq!(schedule.next_order(seconds(16.0)), None, "enough");
}

#[test]
fn a_cut_that_hit_nothing_is_made_again() {
    let mut schedule = connected(1, 1);
    let order = schedule.next_order(seconds(8.0)).unwrap();
    schedule.carried_out(seconds(8.0), order, DONE);
    assert_eq!(
        schedule.next_order(seconds(18.0)),
        None,
        "it may still turn out to have hit"
    );
    lose_and_find(&mut schedule, seconds(18.0), 0);
    assert!(!schedule.is_done(seconds(18.5)));
    let order = schedule.next_order(seconds(18.5)).unwrap();
    schedule.carried_out(seconds(18.6), order, DONE);
    schedule.interrupted(0, 0, 1);
    assert!(!schedule.is_done(seconds(18.7)), "not healed");
    lose_and_find(&mut schedule, seconds(18.9), 0);
    assert!(schedule.is_done(seconds(18.9)));
    assert_eq!(
        schedule.cuts().last().unwrap().healed_after,
        Some(seconds(18.9) - seconds(18.6))
    );
}

#[test]
fn a_cut_heals_when_both_ends_have_lost_and_found_each_other() {
    let mut schedule = connected(1, 1);
    let order = schedule.next_order(seconds(8.0)).unwrap();
    // One end notices before the proxy has reported.
    schedule.link(seconds(8.1), 0, 0, false);
    schedule.carried_out(seconds(8.0), order, DONE);
    schedule.interrupted(0, 5, 0);
    schedule.link(seconds(8.2), 0, 0, true);
    assert!(
        schedule.cuts().iter().all(|cut| cut.healed_after.is_none()),
        "the other end has not noticed"
    );
    schedule.link(seconds(9.0), 0, 1, false);
    schedule.link(seconds(9.5), 0, 1, true);
    assert_eq!(
        schedule.cuts().first().unwrap().healed_after,
        Some(seconds(1.5))
    );
}

#[test]
fn ends_that_are_faster_than_the_proxys_report_are_believed() {
    let mut schedule = connected(1, 2);
    let order = schedule.next_order(seconds(8.0)).unwrap();
    assert!(schedule.carried_out(seconds(8.0), order, DONE).is_none());
    schedule.interrupted(0, 1, 0);
    lose_and_find(&mut schedule, seconds(8.1), 0);

    let order = schedule.next_order(seconds(16.0)).unwrap();
    schedule.interrupted(0, 7, 1);
    lose_and_find(&mut schedule, seconds(16.2), 0);
    let cut = schedule.carried_out(seconds(16.1), order, DONE).unwrap();
    assert_eq!((cut.calls, cut.streams), (7, 1));
    assert_eq!(
        cut.healed_after,
        Some(seconds(16.2).saturating_sub(seconds(16.1)))
    );
    assert_eq!(
        schedule.cuts().first().unwrap().calls,
        1,
        "not the one before"
    );
    assert!(schedule.is_done(seconds(18.0)));
}

#[test]
fn an_order_that_found_no_connection_counts_for_nothing() {
    let mut schedule = connected(1, 1);
    let order = schedule.next_order(seconds(8.0)).unwrap();
    schedule.carried_out(seconds(8.0), order, None);
    assert!(schedule.cuts().is_empty());
    assert!(schedule.next_order(seconds(18.0)).is_some());
}

#[test]
fn there_is_an_end_whatever_happens() {
    let mut schedule = connected(1, 3);
    assert!(!schedule.is_done(seconds(19.9)));
    assert!(schedule.is_done(seconds(20.0)));
    assert_eq!(schedule.next_order(seconds(20.0)), None);
}
