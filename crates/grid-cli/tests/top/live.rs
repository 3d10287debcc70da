//! The live table on a pseudo-terminal.

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use vt100::Screen;

use crate::{
    common::{Grid, TempDir},
    pair::Pair,
    terminal::Terminal,
};

fn watch(pair: &Pair, columns: u16, rows: u16) -> Terminal {
    let arguments = ["top", "--via", &pair.via, "--interval", "0.2"];
    Terminal::start(&arguments, columns, rows)
}

fn lines(screen: &Screen) -> Vec<String> {
    screen.contents().lines().map(str::to_owned).collect()
}

/// The row of the link to `remote`, which is the first.
fn row(screen: &Screen, remote: &str) -> Option<Vec<String>> {
    let lines = lines(screen);
    let row = lines.get(4)?.split_whitespace().map(str::to_owned);
    Some(row.collect()).filter(|row: &Vec<String>| row.first().is_some_and(|name| name == remote))
}

fn is_in_state(screen: &Screen, remote: &str, state: &str) -> bool {
    row(screen, remote).is_some_and(|row| row.get(1).is_some_and(|cell| cell == state))
}

#[track_caller]
fn is_given_back(terminal: &Terminal) {
    assert!(terminal.is_as_before());
    assert!(terminal.look(|screen| {
        !screen.alternate_screen() && !screen.hide_cursor() && screen.contents().is_empty()
    }));
}

#[test]
fn the_table_stays_in_its_place_and_q_gives_the_terminal_back() {
    let mut pair = Pair::connected();
    let mut terminal = watch(&pair, 180, 24);
    terminal.wait_for("table", |screen| {
        screen.alternate_screen()
            && screen.hide_cursor()
            && is_in_state(screen, &pair.dialer, "connected")
    });
    assert!(!terminal.is_as_before());
    // The first look has no rates; those of later ones come to the same place.
    terminal.wait_for("rates", |screen| {
        let lines = lines(screen);
        lines[0].starts_with(&pair.acceptor)
            && lines[0].contains("links 1/1 connected")
            && !lines[1].contains("cpu -")
            && lines[3].starts_with("REMOTE")
            && lines.len() == 5
    });
    pair.dialer_node.take().expect("it runs").kill();
    terminal.wait_for("link that is down", |screen| {
        let lines = lines(screen);
        is_in_state(screen, &pair.dialer, "waiting")
            && lines[0].contains("links 0/1 connected")
            && lines.len() == 5
    });
    terminal.press("q");
    assert_eq!(terminal.ended(), 0);
    is_given_back(&terminal);
}

#[test]
fn every_other_way_out_gives_the_terminal_back_too() {
    let pair = Pair::connected();
    for way in ["\u{3}", "\u{1b}", "SIGINT", "SIGTERM", "half a key"] {
        let mut terminal = watch(&pair, 180, 24);
        terminal.wait_for("table", |screen| {
            is_in_state(screen, &pair.dialer, "connected")
        });
        let pid = Pid::from_raw(terminal.pid());
        match way {
            "SIGINT" => kill(pid, Signal::SIGINT).expect("it runs"),
            "SIGTERM" => kill(pid, Signal::SIGTERM).expect("it runs"),
            "half a key" => {
                // The reader of keys waits for the rest of an arrow that does not come. It has
                // begun to once the node has been asked again.
                terminal.press("\u{1b}[");
                let before = terminal.look(lines);
                terminal.wait_for("next look", |screen| lines(screen) != before);
                kill(pid, Signal::SIGTERM).expect("it runs");
            }
            key => terminal.press(key),
        }
        assert_eq!(terminal.ended(), 0, "{way:?}");
        is_given_back(&terminal);
    }
}

#[test]
fn a_smaller_terminal_is_filled_and_no_more() {
    let pair = Pair::connected();
    let mut terminal = watch(&pair, 180, 24);
    terminal.wait_for("last column", |screen| {
        lines(screen)
            .get(3)
            .is_some_and(|line| line.ends_with("LAST CAUSE"))
    });
    terminal.resize(60, 10);
    let columns_at = |word: &'static str| {
        move |screen: &Screen| {
            let lines = lines(screen);
            let wide = lines.iter().all(|line| line.chars().count() <= 60);
            wide && lines.len() == 5 && lines[3].contains(word)
        }
    };
    terminal.wait_for("narrow table", |screen| {
        columns_at("RTT")(screen) && is_in_state(screen, &pair.dialer, "connected")
    });
    // The columns that don't fit come by the arrow keys.
    terminal.press("\u{1b}[C");
    terminal.press(&"l".repeat(20));
    terminal.wait_for("last column", |screen| {
        lines(screen)
            .get(3)
            .is_some_and(|line| line.starts_with("REMOTE") && line.ends_with("LAST CAUSE"))
    });
    terminal.resize(60, 3);
    terminal.wait_for("heading alone", |screen| {
        let lines = lines(screen);
        lines.len() == 3 && lines[2].starts_with("q quits")
    });
    terminal.press("q");
    assert_eq!(terminal.ended(), 0);
    is_given_back(&terminal);
}

#[test]
fn links_that_do_not_fit_are_counted_and_moved_to() {
    let dir = TempDir::new();
    let via = format!("unix:{}/control", dir.text());
    let peers: Vec<String> = (1..=31).map(|n| format!("http://127.0.0.1:{n}")).collect();
    let mut node = Grid::start(&[
        "node",
        "--local",
        &peers[0],
        "--peers",
        &peers.join(","),
        "--listen",
        "127.0.0.1:0",
        "--control",
        &via,
    ]);
    node.address();
    let mut terminal = Terminal::start(&["top", "--via", &via], 80, 12);
    let last = |line: &'static str| {
        move |screen: &Screen| {
            let lines = lines(screen);
            lines.len() == 12 && lines[3].starts_with("REMOTE") && lines[11] == line
        }
    };
    terminal.wait_for("count", last("… and 23 more links"));
    terminal.press("\u{1b}[6~");
    terminal.wait_for("second page", last("… and 16 more links, 7 above"));
    terminal.press("kj\u{1b}[B");
    terminal.wait_for("next row", last("… and 15 more links, 8 above"));
    terminal.press("G");
    terminal.wait_for("end", last("… 23 links above"));
    terminal.press("\u{1b}[5~\u{1b}[A");
    terminal.wait_for("row before", last("… and 8 more links, 15 above"));
    terminal.press("q");
    assert_eq!(terminal.ended(), 0);
    is_given_back(&terminal);
}

#[test]
fn a_node_that_goes_is_told_and_found_again() {
    let mut pair = Pair::connected();
    let mut terminal = watch(&pair, 180, 24);
    terminal.wait_for("table", |screen| {
        is_in_state(screen, &pair.dialer, "connected")
    });
    pair.acceptor_node.take().expect("it runs").kill();
    terminal.wait_for("word of it, above the last table", |screen| {
        let lines = lines(screen);
        lines[2].starts_with("NO ANSWER for ") && is_in_state(screen, &pair.dialer, "connected")
    });
    pair.start_acceptor();
    pair.wait_for_link();
    terminal.wait_for("the new node", |screen| {
        lines(screen)[2].starts_with("q quits")
            && is_in_state(screen, &pair.dialer, "connected")
            && row(screen, &pair.dialer).is_some_and(|row| row.iter().any(|cell| cell == "0"))
    });
    terminal.press("q");
    assert_eq!(terminal.ended(), 0);
    is_given_back(&terminal);
}
