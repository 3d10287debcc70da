//! One line that stands for the names of many nodes.

use std::ops::RangeInclusive;

/// The most names that one pattern may stand for.
pub const MOST_NAMES: usize = 10_000;

/// The names that a pattern with ranges stands for, in order: `http://node{1...3}:9000` is node1, node2 and node3. It is
/// the form in which operators of the reference write their lists, so the same line can be given to all nodes.
///
/// A range is two whole numbers with three dots between them, in braces; both ends are part of it. Where the first is
/// written with leading zeros, all have as many digits as it: `{01...10}`. With several ranges there is a name for every
/// combination, those that differ in the last range side by side. A text without ranges stands for itself. Whether what
/// comes of it are names is looked at by [`Builder::build`](crate::Builder::build).
///
/// # Errors
///
/// [`PatternError`], with the pattern in it.
///
/// ```
/// use grid_transport::pattern;
///
/// let names = pattern::expand("http://rack{1...2}-node{08...10}:9000")?;
/// assert_eq!(names.len(), 6);
/// assert_eq!(names[0], "http://rack1-node08:9000");
/// assert_eq!(names[5], "http://rack2-node10:9000");
/// # Ok::<(), pattern::PatternError>(())
/// ```
pub fn expand(pattern: &str) -> Result<Vec<String>, PatternError> {
    let parts = parse(pattern)?;
    let mut count = 1_usize;
    for part in &parts {
        count = count.saturating_mul(part.count());
    }
    if count > MOST_NAMES {
        return Err(PatternError::TooMany {
            pattern: pattern.into(),
            most: MOST_NAMES,
        });
    }
    let mut names = vec![String::new()];
    for part in &parts {
        names = match part {
            Part::Text(text) => names.into_iter().map(|name| name + text).collect(),
            Part::Range { numbers, width } => names
                .iter()
                .flat_map(|name| {
                    let numbers = numbers.clone();
                    numbers.map(move |number| format!("{name}{number:0width$}"))
                })
                .collect(),
        };
    }
    Ok(names)
}

/// Why a pattern stands for nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternError {
    /// A brace has no other half.
    #[error("'{pattern}' has a brace without its other half")]
    Unbalanced {
        /// All of it.
        pattern: String,
    },
    /// What stands between braces is no range.
    #[error(
        "'{{{range}}}' in '{pattern}' is no range, as in {{1...16}}: two whole numbers, the first not above the second"
    )]
    NotARange {
        /// All of it.
        pattern: String,
        /// What stands between the braces.
        range: String,
    },
    /// It stands for more names than anybody has nodes.
    #[error("'{pattern}' stands for more than {most} names")]
    TooMany {
        /// All of it.
        pattern: String,
        /// How many it may stand for.
        most: usize,
    },
}

enum Part<'a> {
    Text(&'a str),
    Range {
        numbers: RangeInclusive<u32>,
        width: usize,
    },
}

impl Part<'_> {
    fn count(&self) -> usize {
        match self {
            Self::Text(_) => 1,
            Self::Range { numbers, .. } => {
                let more = numbers.end() - numbers.start();
                usize::try_from(more).map_or(usize::MAX, |more| more.saturating_add(1))
            }
        }
    }
}

fn parse(pattern: &str) -> Result<Vec<Part<'_>>, PatternError> {
    let unbalanced = || PatternError::Unbalanced {
        pattern: pattern.into(),
    };
    let (mut parts, mut rest) = (Vec::new(), pattern);
    while let Some((text, behind)) = rest.split_once('{') {
        let (range, behind) = behind.split_once('}').ok_or_else(unbalanced)?;
        if text.contains('}') || range.contains('{') {
            return Err(unbalanced());
        }
        let range = self::range(range).ok_or_else(|| PatternError::NotARange {
            pattern: pattern.into(),
            range: range.into(),
        })?;
        parts.extend([Part::Text(text), range]);
        rest = behind;
    }
    if rest.contains('}') {
        return Err(unbalanced());
    }
    parts.push(Part::Text(rest));
    Ok(parts)
}

fn range(text: &str) -> Option<Part<'static>> {
    let (first, last) = text.split_once("...")?;
    let number = |digits: &str| {
        let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| digits.parse().ok()).flatten()
    };
    let numbers = number(first)?..=number(last)?;
    let width = if first.starts_with('0') {
        first.len()
    } else {
        1
    };
    // Wider than a number can be: a name of so many zeros is a slip.
    (!numbers.is_empty() && width <= 10).then_some(Part::Range { numbers, width })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(pattern: &str) -> Vec<String> {
        expand(pattern).unwrap()
    }

    #[test]
    fn a_range_stands_for_all_its_numbers() {
        assert_eq!(
            names("http://node{1...3}:9000"),
            [
                "http://node1:9000",
                "http://node2:9000",
                "http://node3:9000"
            ]
        );
        assert_eq!(names("a{9...11}"), ["a9", "a10", "a11"]);
        assert_eq!(names("a{7...7}b"), ["a7b"]);
        assert_eq!(names("{0...1}"), ["0", "1"]);
    }

    #[test]
    fn leading_zeros_make_all_as_wide() {
        assert_eq!(names("a{08...10}"), ["a08", "a09", "a10"]);
        assert_eq!(names("a{000...1}"), ["a000", "a001"]);
        assert_eq!(names("a{099...100}"), ["a099", "a100"]);
        assert_eq!(names("a{9...010}"), ["a9", "a10"]);
    }

    #[test]
    fn several_ranges_are_combined() {
        assert_eq!(names("r{1...2}n{1...2}"), ["r1n1", "r1n2", "r2n1", "r2n2"]);
    }

    #[test]
    fn a_text_without_ranges_stands_for_itself() {
        assert_eq!(names("http://a:9000"), ["http://a:9000"]);
        assert_eq!(names(""), [""]);
    }

    #[test]
    fn what_is_no_pattern_says_why() {
        for pattern in ["a{1...2", "a}", "a{1...2}}", "{{1...2}}", "a}{1...2}", "{"] {
            let error = expand(pattern).unwrap_err();
            assert!(matches!(error, PatternError::Unbalanced { .. }), "{error}");
            assert!(error.to_string().contains(pattern), "{error}");
        }
        for range in [
            "",
            "1",
            "1..2",
            "1...",
            "...2",
            "2...1",
            "a...c",
            "-1...2",
            "+1...2",
            "1....2",
            "1...4294967296",
            "00000000000...1",
            "1 ... 2",
        ] {
            let error = expand(&format!("a{{{range}}}")).unwrap_err();
            assert!(matches!(error, PatternError::NotARange { .. }), "{error}");
            assert!(error.to_string().contains(&format!("'{{{range}}}'")));
        }
    }

    #[test]
    fn nobody_has_so_many_nodes() {
        assert_eq!(names("{1...10000}").len(), MOST_NAMES);
        assert_eq!(names("{1...100}{1...100}").len(), MOST_NAMES);
        for pattern in [
            "{0...10000}",
            "{1...101}{1...100}",
            "{0...4294967295}{0...4294967295}{0...4294967295}",
        ] {
            let error = expand(pattern).unwrap_err();
            assert!(matches!(error, PatternError::TooMany { .. }), "{error}");
        }
    }
}
