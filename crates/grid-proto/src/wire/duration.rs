//! Durations as other nodes print them: `10m0.001s`, `1h0m0s`, `1.5ms`.

use std::fmt;
use std::time::Duration;

const MICROSECOND: u128 = 1_000;
const MILLISECOND: u128 = 1_000_000;
const SECOND: u128 = 1_000_000_000;
const MINUTE: u128 = 60 * SECOND;
const HOUR: u128 = 60 * MINUTE;

/// A unit's name and its length in nanoseconds; a name stands before any that is its prefix.
const UNITS: [(&str, u128); 7] = [
    ("ns", 1),
    ("µs", MICROSECOND),
    ("us", MICROSECOND),
    ("ms", MILLISECOND),
    ("s", SECOND),
    ("m", MINUTE),
    ("h", HOUR),
];

/// Prints `duration`; no more than the 292 years that fit in 64 bits of nanoseconds, as other nodes do.
pub(super) fn print(duration: Duration, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let nanos = duration.as_nanos().min(i64::MAX.unsigned_abs().into());
    match nanos {
        0 => f.write_str("0s"),
        1..MICROSECOND => write!(f, "{nanos}ns"),
        MICROSECOND..MILLISECOND => print_fraction(nanos, MICROSECOND, "µs", f),
        MILLISECOND..SECOND => print_fraction(nanos, MILLISECOND, "ms", f),
        _ => {
            if nanos >= HOUR {
                write!(f, "{}h", nanos / HOUR)?;
            }
            if nanos >= MINUTE {
                write!(f, "{}m", nanos % HOUR / MINUTE)?;
            }
            print_fraction(nanos % MINUTE, SECOND, "s", f)
        }
    }
}

/// Reads what [`print`] prints, and more than that: a caller that needs the same text back compares.
pub(super) fn parse(mut text: &str) -> Option<Duration> {
    if text.is_empty() {
        return None;
    }
    let mut nanos = 0_u128;
    while !text.is_empty() {
        let (whole, fraction);
        (whole, text) = split_digits(text);
        (fraction, text) = match text.strip_prefix('.') {
            Some(rest) => split_digits(rest),
            None => ("", text),
        };
        let unit;
        (unit, text) = UNITS
            .iter()
            .find_map(|(name, unit)| text.strip_prefix(name).map(|rest| (*unit, rest)))?;
        nanos = nanos.checked_add(whole.parse::<u128>().ok()?.checked_mul(unit)?)?;
        nanos = nanos.checked_add(fraction_nanos(fraction, unit)?)?;
    }
    let secs = u64::try_from(nanos / SECOND).ok()?;
    Some(Duration::new(secs, u32::try_from(nanos % SECOND).ok()?))
}

fn print_fraction(nanos: u128, unit: u128, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "{}", nanos / unit)?;
    let (mut rest, mut unit) = (nanos % unit, unit);
    if rest > 0 {
        f.write_str(".")?;
    }
    while rest > 0 {
        unit /= 10;
        write!(f, "{}", rest / unit)?;
        rest %= unit;
    }
    f.write_str(name)
}

fn split_digits(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

fn fraction_nanos(digits: &str, unit: u128) -> Option<u128> {
    let scale = 10_u128.checked_pow(u32::try_from(digits.len()).ok()?)?;
    match digits {
        "" => Some(0),
        _ => digits
            .parse::<u128>()
            .ok()?
            .checked_mul(unit)?
            .checked_div(scale),
    }
}

#[cfg(test)]
mod tests {
    use std::fmt;
    use std::time::Duration;

    struct Printed(Duration);

    impl fmt::Display for Printed {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            super::print(self.0, f)
        }
    }

    #[test]
    fn printed_and_read_back() {
        for (nanos, text) in [
            (0, "0s"),
            (1, "1ns"),
            (1_100, "1.1µs"),
            (2_200_000, "2.2ms"),
            (3_300_000_000, "3.3s"),
            (245_000_000_000, "4m5s"),
            (245_001_000_000, "4m5.001s"),
            (600_000_067_784, "10m0.000067784s"),
            (18_367_001_000_000, "5h6m7.001s"),
            (3_600_000_000_000, "1h0m0s"),
            (i64::MAX.unsigned_abs(), "2562047h47m16.854775807s"),
        ] {
            let duration = Duration::from_nanos(nanos);
            assert_eq!(Printed(duration).to_string(), text);
            assert_eq!(super::parse(text), Some(duration), "{text}");
        }
        assert_eq!(
            Printed(Duration::MAX).to_string(),
            "2562047h47m16.854775807s"
        );
    }

    #[test]
    fn other_texts_are_no_durations() {
        for text in [
            "",
            "s",
            "1",
            "1x",
            "-1s",
            ".5s",
            "1m 2s",
            "99999999999999999999999999999999999999999h",
        ] {
            assert_eq!(super::parse(text), None, "{text}");
        }
    }
}
