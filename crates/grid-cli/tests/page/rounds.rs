//! What looking at the mesh costs the others: one question each time, whoever looks, and none when nobody does.

use std::{
    io::Write,
    net::TcpStream,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use futures_util::future::{FutureExt, pending};

use crate::{
    browser::Browser,
    common::{Grid, PATIENCE},
    http::get,
    watched::{Answer, Watched, no_links},
};

/// Rows are not asked for again before.
const FRESH: Duration = Duration::from_millis(1_500);

/// How many rounds of questions there may have been since then.
fn most_since(begin: Instant) -> usize {
    let rounds = begin.elapsed().as_millis() / FRESH.as_millis() + 1;
    usize::try_from(rounds).expect("a count")
}

/// Looks at the status, which asks nobody, until so much time is over.
fn look_elsewhere(status: &str, time: Duration) {
    let begin = Instant::now();
    while begin.elapsed() < time {
        get(status, "/status").is(200);
    }
}

#[test]
fn many_who_look_at_once_cost_one_question_each_time() {
    let watched = Watched::start(|_| vec![no_links(), no_links()]);
    assert_eq!(watched.asked(), [0, 0]);
    let begin = Instant::now();
    let loads = AtomicUsize::new(0);
    thread::scope(|scope| {
        for client in 0..8 {
            let path = ["/", "/status?mesh=true"][client % 2];
            let (status, peers, loads) = (&*watched.status, &watched.peers, &loads);
            scope.spawn(move || {
                while peers[0].asked() < 3 {
                    let answer = get(status, path);
                    answer.is(200);
                    for peer in peers {
                        assert!(answer.body.contains(&peer.name), "{}", answer.body);
                    }
                    loads.fetch_add(1, Ordering::Relaxed);
                    assert!(begin.elapsed() < PATIENCE, "never asked again");
                }
            });
        }
    });
    let (asked, most) = (watched.asked(), most_since(begin));
    assert!(
        asked.iter().all(|asked| *asked <= most),
        "{asked:?} of {most}"
    );
    let loads = loads.into_inner();
    assert!(loads > 2 * asked[0], "{loads} loads, {asked:?}");

    // Whoever does not ask for the mesh asks nobody, nor does anybody for those who have gone.
    look_elsewhere(&watched.status, 2 * FRESH);
    let top = ["top", "--once", "--json", "--interval", "0.01"];
    let top = [&top[..], &["--status", &watched.status]].concat();
    let top = Grid::start(&top).ended(PATIENCE);
    assert_eq!(top.status.code(), Some(0), "{top:?}");
    assert!(!top.stdout.contains("\"mesh\""), "{top:?}");
    assert_eq!(watched.asked(), asked);
}

#[test]
fn who_goes_before_the_answer_takes_no_question_along() {
    // So each round takes as long as one may.
    let silent: Answer = Box::new(|| pending().boxed());
    let watched = Watched::start(|_| vec![silent]);
    let begin = Instant::now();
    let head = format!("GET / HTTP/1.1\r\nhost: {}\r\n\r\n", watched.status);
    for _ in 0..50 {
        let mut io = TcpStream::connect(&*watched.status).expect("it listens");
        io.write_all(head.as_bytes()).expect("it is read");
        while watched.peers[0].asked() == 0 {
            assert!(begin.elapsed() < PATIENCE, "never asked");
            thread::yield_now();
        }
        drop(io);
        // Answered on the same thread of the node, once it has seen that the other one has gone.
        get(&watched.status, "/status").is(200);
    }
    let page = get(&watched.status, "/");
    assert!(
        page.body.contains("title=\"deadline exceeded\""),
        "{}",
        page.body
    );
    let (asked, most) = (watched.peers[0].asked(), most_since(begin));
    assert!(asked <= most, "{asked} of {most}");
}

#[test]
fn a_browser_that_goes_asks_no_more() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let watched = Watched::start(|_| vec![no_links()]);
    let begin = Instant::now();
    browser.open(&format!("http://{}/", watched.status));
    browser.wait_until("document.documentElement.dataset.updates > 2");
    let most = most_since(begin);
    let asked = watched.peers[0].asked();
    assert!((2..=most).contains(&asked), "{asked} of {most}");
    drop(browser);
    // One that was under way may still come; four more would have, had it stayed.
    let asked = watched.peers[0].asked();
    look_elsewhere(&watched.status, Duration::from_secs(9));
    let later = watched.peers[0].asked();
    assert!(later <= asked + 1, "{asked}, and then {later}");
}
