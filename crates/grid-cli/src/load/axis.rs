//! An axis of a plot that has its marks where they are wanted.

use std::ops::Range;

use plotters::{
    coord::ranged1d::{DefaultFormatting, KeyPointHint},
    prelude::Ranged,
};

/// From one value to another, with these marks.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    range: Range<f64>,
    marks: Vec<f64>,
}

impl Axis {
    pub(super) const fn new(range: Range<f64>, marks: Vec<f64>) -> Self {
        Self { range, marks }
    }
}

impl Ranged for Axis {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }

    fn map(&self, value: &f64, (from, to): (i32, i32)) -> i32 {
        let part = (value - self.range.start) / (self.range.end - self.range.start);
        from + (f64::from(to - from) * part).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        // Lighter lines between the marks are not wanted.
        if hint.weight().allow_light_points() {
            return Vec::new();
        }
        self.marks.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_in_proportion() {
        let axis = Axis::new(1.0..3.0, vec![2.0]);
        let pixels = [1.0, 1.5, 3.0].map(|value| axis.map(&value, (100, 300)));
        assert_eq!(pixels, [100, 150, 300]);
        // Upwards on a screen is towards 0.
        assert_eq!(axis.map(&3.0, (300, 100)), 100);
    }
}
