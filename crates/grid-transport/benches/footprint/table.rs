//! What was measured beside what is wanted.

use std::cmp::Ordering;

/// One thing that was measured.
pub(crate) struct Row {
    what: String,
    value: f64,
    unit: &'static str,
    wanted: Option<Wanted>,
    note: String,
}

struct Wanted {
    /// [`Less`](Ordering::Less) where less is better.
    better: Ordering,
    bar: f64,
    goal: f64,
}

impl Row {
    pub(crate) fn new(what: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self {
            what: what.into(),
            value,
            unit,
            wanted: None,
            note: String::new(),
        }
    }

    pub(crate) fn at_most(self, bar: f64, goal: f64) -> Self {
        self.wanted(Ordering::Less, bar, goal)
    }

    pub(crate) fn at_least(self, bar: f64, goal: f64) -> Self {
        self.wanted(Ordering::Greater, bar, goal)
    }

    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    fn wanted(mut self, better: Ordering, bar: f64, goal: f64) -> Self {
        self.wanted = Some(Wanted { better, bar, goal });
        self
    }

    fn verdict(&self) -> &'static str {
        match &self.wanted {
            None => "",
            Some(wanted) if wanted.takes(self.value, wanted.goal) => "goal",
            Some(wanted) if wanted.takes(self.value, wanted.bar) => "bar",
            Some(_) => "MISSED",
        }
    }
}

impl Wanted {
    fn takes(&self, value: f64, limit: f64) -> bool {
        value
            .partial_cmp(&limit)
            .is_some_and(|order| order == self.better || order == Ordering::Equal)
    }
}

/// As Markdown.
pub(crate) fn print(rows: &[Row]) {
    println!();
    println!("| what | measured | bar | goal | met | note |");
    println!("| --- | --- | --- | --- | --- | --- |");
    for row in rows {
        let Row {
            what,
            value,
            unit,
            wanted,
            note,
        } = row;
        let (bar, goal) = wanted.as_ref().map_or_else(Default::default, |wanted| {
            let sign = if wanted.better == Ordering::Less {
                "≤"
            } else {
                "≥"
            };
            (
                format!("{sign} {}", wanted.bar),
                format!("{sign} {}", wanted.goal),
            )
        });
        let verdict = row.verdict();
        println!("| {what} | {value:.3} {unit} | {bar} | {goal} | {verdict} | {note} |");
    }
}
