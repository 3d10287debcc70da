//! Plain tables for a terminal, and numbers as people read them.

use std::time::Duration;

/// Rows of cells under headers. Columns are as wide as their widest cell; those of numbers stand
/// to the right.
#[derive(Debug)]
pub(crate) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

#[derive(Debug)]
struct Column {
    header: &'static str,
    right: bool,
}

impl Table {
    pub(crate) fn new() -> Self {
        Self {
            columns: Vec::new(),
            rows: Vec::new(),
        }
    }

    /// Adds a column of text.
    #[must_use]
    pub(crate) fn text(mut self, header: &'static str) -> Self {
        self.columns.push(Column {
            header,
            right: false,
        });
        self
    }

    /// Adds a column of numbers.
    #[must_use]
    pub(crate) fn number(mut self, header: &'static str) -> Self {
        self.columns.push(Column {
            header,
            right: true,
        });
        self
    }

    /// Adds a row; cells beyond the columns are left out, missing ones are empty.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// The lines of the table, the header first, without white space at their ends.
    pub(crate) fn render(&self) -> String {
        let headers: Vec<String> = self
            .columns
            .iter()
            .map(|column| column.header.to_owned())
            .collect();
        let lines: Vec<&Vec<String>> = std::iter::once(&headers).chain(&self.rows).collect();
        let cell = |line: &'_ Vec<String>, at: usize| line.get(at).cloned().unwrap_or_default();
        let width = |at| {
            lines
                .iter()
                .map(|line| cell(line, at).chars().count())
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        let mut text = String::new();
        for line in lines {
            let cells =
                (0..)
                    .zip(self.columns.iter().zip(&widths))
                    .map(|(at, (column, &width))| {
                        let cell = cell(line, at);
                        if column.right {
                            format!("{cell:>width$}")
                        } else {
                            format!("{cell:<width$}")
                        }
                    });
            let joined = cells.collect::<Vec<_>>().join("  ");
            text.push_str(joined.trim_end());
            text.push('\n');
        }
        text
    }
}

/// A count with its thousands apart: `1,234,567`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number of bytes with three digits or so: `1.23 MiB`.
pub(crate) fn bytes(number: u64) -> String {
    let mut value = number as f64;
    let mut unit = "B";
    for larger in ["KiB", "MiB", "GiB", "TiB"] {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = larger;
    }
    match (unit, value) {
        ("B", _) => format!("{number} B"),
        (_, 0.0..10.0) => format!("{value:.2} {unit}"),
        (_, 0.0..100.0) => format!("{value:.1} {unit}"),
        _ => format!("{value:.0} {unit}"),
    }
}

/// A time with three digits or so: `1.23 ms`.
pub(crate) fn duration(time: Duration) -> String {
    let micros = time.as_secs_f64() * 1e6;
    match micros {
        0.0..1e3 => format!("{micros:.0} µs"),
        0.0..1e4 => format!("{:.2} ms", micros / 1e3),
        0.0..1e5 => format!("{:.1} ms", micros / 1e3),
        0.0..1e6 => format!("{:.0} ms", micros / 1e3),
        _ => format!("{:.2} s", micros / 1e6),
    }
}

/// A time with its two largest units: `3d 04h`, `2m 05s`, `7s`.
pub(crate) fn age(seconds: f64) -> String {
    // A cast keeps to the range of the type.
    let seconds = seconds as u64;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    if days > 0 {
        format!("{days}d {:02}h", hours % 24)
    } else if hours > 0 {
        format!("{hours}h {:02}m", minutes % 60)
    } else if minutes > 0 {
        format!("{minutes}m {:02}s", seconds % 60)
    } else {
        format!("{seconds}s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new().text("pair").number("n").text("rest");
        table.row(["1–2".into(), "12,345".into(), "x".into()]);
        table.row(["longer".into(), "7".into()]);
        assert_eq!(
            table.render(),
            "pair         n  rest\n\
             1–2     12,345  x\n\
             longer       7\n"
        );
    }

    #[test]
    fn numbers_are_readable() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(count(number), text);
        }
        for (number, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.00 KiB"),
            (12_345, "12.1 KiB"),
            (123_456_789, "118 MiB"),
            (u64::MAX, "16777216 TiB"),
        ] {
            assert_eq!(bytes(number), text);
        }
        for (micros, text) in [
            (0, "0 µs"),
            (999, "999 µs"),
            (1_234, "1.23 ms"),
            (12_345, "12.3 ms"),
            (250_000, "250 ms"),
            (1_500_000, "1.50 s"),
        ] {
            assert_eq!(duration(Duration::from_micros(micros)), text);
        }
    }

    #[test]
    fn ages_have_two_units() {
        for (seconds, text) in [
            (0.9, "0s"),
            (59.9, "59s"),
            (125.0, "2m 05s"),
            (3600.0, "1h 00m"),
            (273_000.0, "3d 03h"),
            (-1.0, "0s"),
            (f64::NAN, "0s"),
        ] {
            assert_eq!(age(seconds), text);
        }
        assert!(age(f64::INFINITY).ends_with('h'));
    }
}
