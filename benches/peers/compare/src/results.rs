//! All that was measured, by point and program.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::point::{Point, Run, Spread};

#[derive(Debug, Default)]
pub(crate) struct Results {
    cells: BTreeMap<Point, Vec<(&'static str, Cell)>>,
}

/// The runs of one program at one point.
#[derive(Debug, Default)]
pub(crate) struct Cell {
    runs: Vec<Run>,
    allocations: Option<(f64, f64)>,
}

/// A cell as the JSON has it.
#[derive(Debug, Serialize)]
pub(crate) struct Entry<'a> {
    program: &'a str,
    point: Point,
    rate: Option<Spread>,
    p50_ns: Option<Spread>,
    p99_ns: Option<Spread>,
    p999_ns: Option<Spread>,
    caller_cpu_us: Option<Spread>,
    handler_cpu_us: Option<Spread>,
    caller_allocations: Option<f64>,
    handler_allocations: Option<f64>,
    caller_peak_bytes: Option<Spread>,
    handler_peak_bytes: Option<Spread>,
    runs: &'a [Run],
}

impl Results {
    pub(crate) fn add(&mut self, name: &'static str, point: Point, run: Run) {
        self.cell(name, point).runs.push(run);
    }

    /// Keeps the allocations of a run, and nothing else of it.
    pub(crate) fn count(&mut self, name: &'static str, point: Point, run: &Run) {
        self.cell(name, point).allocations = run.caller.allocations.zip(run.handler.allocations);
    }

    fn cell(&mut self, name: &'static str, point: Point) -> &mut Cell {
        let cells = self.cells.entry(point).or_default();
        let index = match cells.iter().position(|(of, _)| *of == name) {
            Some(index) => index,
            None => {
                cells.push((name, Cell::default()));
                cells.len() - 1
            }
        };
        &mut cells[index].1
    }

    /// Whether a program was measured at all.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.points()
            .any(|(_, cells)| cells.iter().any(|(of, _)| *of == name))
    }

    pub(crate) fn points(&self) -> impl Iterator<Item = (Point, &[(&'static str, Cell)])> {
        self.cells
            .iter()
            .map(|(point, cells)| (*point, cells.as_slice()))
    }

    pub(crate) fn get(&self, name: &str, point: Point) -> Option<&Cell> {
        let cells = self.cells.get(&point)?;
        cells
            .iter()
            .find(|(of, _)| *of == name)
            .map(|(_, cell)| cell)
    }

    pub(crate) fn entries(&self) -> Vec<Entry<'_>> {
        let cells = self.points().flat_map(|(point, cells)| {
            cells
                .iter()
                .map(move |(program, cell)| (point, *program, cell))
        });
        cells
            .map(|(point, program, cell)| Entry {
                program,
                point,
                rate: cell.rate(),
                p50_ns: cell.spread(|run| Some(run.latency_ns?.p50)),
                p99_ns: cell.spread(|run| Some(run.latency_ns?.p99)),
                p999_ns: cell.spread(|run| Some(run.latency_ns?.p999)),
                caller_cpu_us: cell.spread(|run| run.caller.cpu_us),
                handler_cpu_us: cell.spread(|run| run.handler.cpu_us),
                caller_allocations: cell.allocations.map(|(caller, _)| caller),
                handler_allocations: cell.allocations.map(|(_, handler)| handler),
                caller_peak_bytes: cell.spread(|run| run.caller.peak_bytes),
                handler_peak_bytes: cell.spread(|run| run.handler.peak_bytes),
                runs: &cell.runs,
            })
            .collect()
    }
}

impl Cell {
    pub(crate) fn spread(&self, of: impl Fn(&Run) -> Option<f64>) -> Option<Spread> {
        Spread::of(self.runs.iter().filter_map(of))
    }

    pub(crate) fn rate(&self) -> Option<Spread> {
        self.spread(|run| Some(run.rate))
    }

    /// For each operation, on the calling and on the handling side.
    pub(crate) fn allocations(&self) -> Option<(f64, f64)> {
        self.allocations
    }

    /// Round by round against another: what was run within seconds of each other. None where one lacks a round.
    pub(crate) fn ratios(&self, other: &Self, of: impl Fn(&Run) -> Option<f64>) -> Option<Spread> {
        if self.runs.len() != other.runs.len() {
            return None;
        }
        let pairs = self.runs.iter().zip(&other.runs);
        Spread::of(pairs.filter_map(|(mine, others)| Some(of(mine)? / of(others)?)))
    }
}
