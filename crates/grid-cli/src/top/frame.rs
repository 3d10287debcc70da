//! What of a sample fits on a screen, and how far the reader has moved in it.

use std::time::Instant;

use super::{
    report::{self, MOST_SHIFT},
    sample::Sample,
};
use crate::{
    failure::{Failure, printable},
    status::Status,
    table::age,
};

/// A way to move in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Move {
    Up,
    Down,
    Left,
    Right,
    PageUp,
    PageDown,
    Start,
    End,
}

/// What is shown: the newest sample, and what is wrong since.
#[derive(Debug)]
pub(super) struct Frame {
    sample: Sample,
    trouble: Option<Trouble>,
    /// The first link that is shown.
    top: usize,
    /// How many links fit, since the last time that it was drawn.
    page: usize,
    shift: usize,
}

/// The node does not answer.
#[derive(Debug)]
struct Trouble {
    since: Instant,
    text: String,
}

impl Frame {
    pub(super) fn new(status: Status) -> Self {
        Self {
            sample: Sample::first(status),
            trouble: None,
            top: 0,
            page: 1,
            shift: 0,
        }
    }

    /// The node has answered.
    pub(super) fn answered(&mut self, status: Status) {
        self.sample = Sample::after(&self.sample.status, status);
        self.trouble = None;
    }

    /// It has not; the last sample stays.
    pub(super) fn failed(&mut self, failure: &Failure, now: Instant) {
        let since = self.trouble.as_ref().map_or(now, |trouble| trouble.since);
        self.trouble = Some(Trouble {
            since,
            text: failure.line(),
        });
    }

    pub(super) fn is_in_trouble(&self) -> bool {
        self.trouble.is_some()
    }

    pub(super) fn scroll(&mut self, by: Move) {
        // Too far down is brought back when it is drawn.
        match by {
            Move::Up => self.top = self.top.saturating_sub(1),
            Move::Down => self.top = self.top.saturating_add(1),
            Move::PageUp => self.top = self.top.saturating_sub(self.page),
            Move::PageDown => self.top = self.top.saturating_add(self.page),
            Move::Start => self.top = 0,
            Move::End => self.top = usize::MAX,
            Move::Left => self.shift = self.shift.saturating_sub(1),
            Move::Right => self.shift = (self.shift + 1).min(MOST_SHIFT),
        }
    }

    /// The lines for a screen of this size: no more than its height, none wider than its width.
    pub(super) fn lines(&mut self, width: usize, height: usize, now: Instant) -> Vec<String> {
        let mut lines = report::heading(&self.sample).to_vec();
        lines.push(self.message(now));
        let mut table = report::table(&self.sample, self.shift).into_iter();
        lines.extend(table.next());
        let links: Vec<String> = table.collect();
        let room = height.saturating_sub(lines.len());
        if links.len() <= room {
            (self.top, self.page) = (0, room.max(1));
            lines.extend(links);
        } else {
            let page = room.saturating_sub(1);
            self.top = self.top.min(links.len() - page);
            self.page = page.max(1);
            let below = links.len() - page - self.top;
            lines.extend(links.into_iter().skip(self.top).take(page));
            lines.push(rest(self.top, below));
        }
        lines.truncate(height);
        lines
            .into_iter()
            .map(|line| line.chars().take(width).collect())
            .collect()
    }

    /// The line that says what is wrong, or else what the keys do.
    fn message(&self, now: Instant) -> String {
        match &self.trouble {
            Some(trouble) => format!(
                "NO ANSWER for {}, trying again: {}",
                age(now.duration_since(trouble.since).as_secs_f64()),
                printable(&trouble.text)
            ),
            None => "q quits; arrows, PageUp, PageDown, Home and End move".to_owned(),
        }
    }
}

/// The line below links of which some don't fit.
fn rest(above: usize, below: usize) -> String {
    let links = |number| if number == 1 { "link" } else { "links" };
    match (above, below) {
        (0, below) => format!("… and {below} more {}", links(below)),
        (above, 0) => format!("… {above} {} above", links(above)),
        (above, below) => format!("… and {below} more {}, {above} above", links(below)),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::status::sample_status;

    fn frame(links: usize) -> Frame {
        let names: Vec<String> = (0..links).map(|n| format!("http://n{n:02}:1")).collect();
        Frame::new(sample_status(names.iter().map(String::as_str)))
    }

    /// The links that are shown, by their numbers, and the line below them.
    fn shown(frame: &mut Frame, height: usize) -> (Vec<usize>, String) {
        let lines = frame.lines(200, height, Instant::now());
        assert!(lines.len() <= height);
        let number = |line: &String| line.strip_prefix("http://n")?.get(..2)?.parse().ok();
        let links = lines.iter().skip(2).filter_map(number).collect();
        let last = lines.last().cloned().unwrap_or_default();
        (
            links,
            if last.starts_with('…') {
                last
            } else {
                String::new()
            },
        )
    }

    #[test]
    fn what_does_not_fit_is_counted_and_can_be_moved_to() {
        let mut frame = frame(20);
        assert_eq!(shown(&mut frame, 24), ((0..20).collect(), String::new()));
        let first = (vec![0, 1, 2, 3, 4], "… and 15 more links".to_owned());
        assert_eq!(shown(&mut frame, 10), first);
        frame.scroll(Move::Down);
        let second = (
            vec![1, 2, 3, 4, 5],
            "… and 14 more links, 1 above".to_owned(),
        );
        assert_eq!(shown(&mut frame, 10), second);
        frame.scroll(Move::PageDown);
        assert_eq!(shown(&mut frame, 10).0, [6, 7, 8, 9, 10]);
        frame.scroll(Move::End);
        let last = (vec![15, 16, 17, 18, 19], "… 15 links above".to_owned());
        assert_eq!(shown(&mut frame, 10), last);
        // It does not go further than the end, nor back from beyond it.
        frame.scroll(Move::Down);
        assert_eq!(shown(&mut frame, 10), last);
        frame.scroll(Move::Up);
        assert_eq!(shown(&mut frame, 10).1, "… and 1 more link, 14 above");
        frame.scroll(Move::PageUp);
        frame.scroll(Move::PageUp);
        frame.scroll(Move::PageUp);
        assert_eq!(shown(&mut frame, 10), first);
        frame.scroll(Move::End);
        frame.scroll(Move::Start);
        assert_eq!(shown(&mut frame, 10), first);
        // A larger screen shows all again.
        frame.scroll(Move::End);
        assert_eq!(shown(&mut frame, 24).0.len(), 20);
    }

    #[test]
    fn nothing_is_wider_or_higher_than_the_screen() {
        let mut frame = frame(30);
        for by in [Move::Right, Move::PageDown, Move::Up, Move::Left] {
            for (width, height) in [(60, 10), (1, 1), (200, 5), (0, 0), (80, 4), (7, 100)] {
                let lines = frame.lines(width, height, Instant::now());
                assert!(lines.len() <= height, "{width}×{height}: {lines:#?}");
                assert!(lines.iter().all(|line| line.chars().count() <= width));
                frame.scroll(by);
            }
        }
        frame.scroll(Move::Start);
        let lines = frame.lines(60, 10, Instant::now());
        assert_eq!(lines.len(), 10);
        assert!(lines[3].starts_with("REMOTE"), "{lines:#?}");
    }

    #[test]
    fn a_node_that_is_silent_keeps_its_table_and_its_answer_ends_the_trouble() {
        let begin = Instant::now();
        let later = begin + Duration::from_secs(65);
        let mut frame = frame(1);
        frame.failed(&Failure::NotConnected("no\u{1b}node".into()), begin);
        frame.failed(&Failure::NotConnected("no\u{1b}socket".into()), later);
        assert!(frame.is_in_trouble());
        let lines = frame.lines(100, 24, later);
        let message = "NO ANSWER for 1m 05s, trying again: no\\u{1b}socket";
        assert_eq!(lines[2], message);
        assert!(lines[4].starts_with("http://n00:1"), "{lines:#?}");
        frame.answered(sample_status(["http://n00:1"]));
        assert!(!frame.is_in_trouble());
        assert!(frame.lines(100, 24, later)[2].starts_with("q quits"));
    }
}
