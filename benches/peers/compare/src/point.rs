//! What is measured: one point of a plot, and what it came to.

use std::fmt;

use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Flavor {
    Mt,
    Ct,
}

impl Flavor {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Mt => "mt",
            Self::Ct => "ct",
        }
    }

    /// As a reader is told.
    pub(crate) const fn long(self) -> &'static str {
        match self {
            Self::Mt => "multi-thread runtime",
            Self::Ct => "current-thread runtime",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum What {
    Echo,
    Items,
    EchoItems,
}

impl What {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::Items => "items",
            Self::EchoItems => "echo-items",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Point {
    pub(crate) what: What,
    pub(crate) flavor: Flavor,
    pub(crate) size: usize,
    /// Or streams.
    pub(crate) callers: usize,
    /// Of a stream.
    pub(crate) capacity: u32,
}

impl Point {
    pub(crate) const fn echo(flavor: Flavor, size: usize, callers: usize) -> Self {
        Self {
            what: What::Echo,
            flavor,
            size,
            callers,
            capacity: 0,
        }
    }

    pub(crate) const fn stream(what: What, flavor: Flavor, callers: usize, capacity: u32) -> Self {
        Self {
            what,
            flavor,
            size: 512,
            callers,
            capacity,
        }
    }

    /// All of them, or those of the quick run.
    pub(crate) fn all(quick: bool) -> Vec<Self> {
        let mut points = Vec::new();
        let (sizes, callers): (&[usize], &[usize]) = if quick {
            (&[512], &[1, 64])
        } else {
            (&[16, 512, 65_536], &[1, 2, 16, 64, 256])
        };
        for flavor in [Flavor::Mt, Flavor::Ct] {
            for &size in sizes {
                points.extend(
                    callers
                        .iter()
                        .map(|&callers| Self::echo(flavor, size, callers)),
                );
            }
        }
        let streams: &[(What, usize, u32)] = if quick {
            &[(What::Items, 64, 100)]
        } else {
            &[
                (What::Items, 1, 1),
                (What::Items, 1, 100),
                (What::Items, 1, 512),
                (What::Items, 64, 100),
                (What::EchoItems, 1, 1),
                (What::EchoItems, 1, 100),
                (What::EchoItems, 1, 512),
                (What::EchoItems, 64, 100),
            ]
        };
        for flavor in [Flavor::Mt, Flavor::Ct] {
            points.extend(
                streams.iter().map(|&(what, callers, capacity)| {
                    Self::stream(what, flavor, callers, capacity)
                }),
            );
        }
        points
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, flavor) = (self.what.name(), self.flavor.name());
        write!(f, "{what} {flavor} {} B × {}", self.size, self.callers)?;
        match self.what {
            What::Echo => Ok(()),
            What::Items | What::EchoItems => write!(f, ", capacity {}", self.capacity),
        }
    }
}

/// What one run of a program reported.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Run {
    pub(crate) rate: f64,
    pub(crate) latency_ns: Option<Latency>,
    pub(crate) caller: Side,
    pub(crate) handler: Side,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) struct Latency {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
}

/// What one side used for each operation.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) struct Side {
    pub(crate) cpu_us: Option<f64>,
    pub(crate) allocations: Option<f64>,
    pub(crate) peak_bytes: Option<f64>,
}

/// The middle of several runs, with the least and the most.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// None of nothing.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        let median = if values.len() % 2 == 1 {
            *values.get(middle)?
        } else {
            (values.get(middle.checked_sub(1)?)? + values.get(middle)?) / 2.0
        };
        Some(Self {
            median,
            min: *values.first()?,
            max: *values.last()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_several() {
        assert_eq!(Spread::of([]), None);
        let spread = |median, min, max| Some(Spread { median, min, max });
        assert_eq!(Spread::of([3.0]), spread(3.0, 3.0, 3.0));
        assert_eq!(Spread::of([9.0, 1.0]), spread(5.0, 1.0, 9.0));
        assert_eq!(Spread::of([9.0, 1.0, 2.0]), spread(2.0, 1.0, 9.0));
    }
}
