//! What a load came to, as numbers; `--json` prints them as they stand here.

use std::{cmp::Reverse, collections::BTreeMap};

use hdrhistogram::Histogram;
use serde::Serialize;

use super::{
    engine::Ran,
    usage::{Each, Used},
};
use crate::{failure::Failure, fault::Fault, table};

/// The version of the JSON object. Whoever changes or removes a field counts it up; new fields come
/// without that.
const VERSION: u32 = 1;

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Settings {
    #[serde(skip)]
    pub(super) to: String,
    #[serde(skip)]
    pub(super) handler: String,
    pub(super) par: u32,
    pub(super) seconds: f64,
    #[serde(rename = "warmup_s")]
    pub(super) warmup: f64,
    /// The bytes of a payload or an item.
    pub(super) size: u64,
    /// The items of a stream.
    pub(super) count: Option<u64>,
    pub(super) rate: Option<f64>,
    #[serde(rename = "timeout_s")]
    pub(super) timeout: f64,
    pub(super) threads: u64,
}

/// The report.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Report {
    version: u32,
    program: &'static str,
    pub(super) to: String,
    pub(super) handler: String,
    pub(super) settings: Settings,
    pub(super) interrupted: bool,
    pub(super) elapsed_s: f64,
    /// That succeeded.
    pub(super) operations: u64,
    pub(super) rate: f64,
    pub(super) errors: BTreeMap<&'static str, u64>,
    /// Open when the run was interrupted, and given up.
    pub(super) abandoned: u64,
    /// All of the warm-up, failed ones included.
    pub(super) warmup_operations: u64,
    pub(super) warmup_errors: u64,
    pub(super) latency_ns: Option<Quantiles>,
    pub(super) open_loop: Option<OpenLoop>,
    pub(super) items: Option<u64>,
    pub(super) items_per_s: Option<f64>,
    bytes_out: u64,
    bytes_in: u64,
    pub(super) bytes_out_per_s: f64,
    pub(super) bytes_in_per_s: f64,
    pub(super) cpu_s_per_million: Each<f64>,
    pub(super) peak_memory_bytes: Each<u64>,
    pub(super) rate_over_time: Vec<(u64, u64)>,
    /// For those who read the words: why the first one failed.
    #[serde(skip)]
    pub(super) fault: Option<Fault>,
}

/// Latencies in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Quantiles {
    pub(super) min: u64,
    pub(super) p50: u64,
    pub(super) p90: u64,
    pub(super) p99: u64,
    pub(super) p999: u64,
    pub(super) max: u64,
    pub(super) mean: f64,
}

/// What only a schedule has.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct OpenLoop {
    pub(super) due: u64,
    /// Begun more than a millisecond after they were due.
    pub(super) late: u64,
    /// Due, and not begun when the time was over.
    pub(super) never_started: u64,
    /// The latency from when an operation was begun.
    pub(super) service_ns: Option<Quantiles>,
}

/// How many were made before the measured run.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Warmup {
    pub(super) operations: u64,
    pub(super) errors: u64,
}

impl Report {
    pub(super) fn new(
        settings: &Settings,
        ran: &Ran,
        warmup: Warmup,
        before: &Used,
        after: &Used,
    ) -> Self {
        let tally = &ran.tally;
        let operations = tally.operations();
        let elapsed_s = ran.elapsed.as_secs_f64();
        let per_second = |count: u64| {
            if elapsed_s > 0.0 {
                count as f64 / elapsed_s
            } else {
                0.0
            }
        };
        let spent = after.seconds_since(before);
        let per_million = |seconds: Option<f64>| {
            seconds
                .filter(|_| operations > 0)
                .map(|seconds| seconds * 1e6 / operations as f64)
        };
        let open_loop = ran.due.map(|due| OpenLoop {
            due,
            late: tally.late,
            never_started: due.saturating_sub(operations + tally.failed() + ran.abandoned),
            service_ns: Quantiles::of(&tally.service),
        });
        Self {
            version: VERSION,
            program: crate::version(),
            to: settings.to.clone(),
            handler: settings.handler.clone(),
            settings: settings.clone(),
            interrupted: ran.interrupted,
            elapsed_s,
            operations,
            rate: per_second(operations),
            errors: tally
                .errors
                .iter()
                .map(|(kind, count)| (kind.name(), *count))
                .collect(),
            abandoned: ran.abandoned,
            warmup_operations: warmup.operations,
            warmup_errors: warmup.errors,
            latency_ns: Quantiles::of(&tally.latency),
            open_loop,
            items: settings.count.map(|_| tally.items),
            items_per_s: settings.count.map(|_| per_second(tally.items)),
            bytes_out: tally.bytes_out,
            bytes_in: tally.bytes_in,
            bytes_out_per_s: per_second(tally.bytes_out),
            bytes_in_per_s: per_second(tally.bytes_in),
            cpu_s_per_million: Each {
                caller: per_million(spent.caller),
                handler: per_million(spent.handler),
                via: per_million(spent.via),
            },
            peak_memory_bytes: after.peaks(),
            rate_over_time: (0..).zip(tally.seconds.iter().copied()).collect(),
            fault: tally.fault.as_ref().map(|(_, fault)| fault.clone()),
        }
    }

    /// The one object that `--json` prints.
    pub(super) fn json(&self) -> Result<Vec<u8>, Failure> {
        let mut json = serde_json::to_vec(self)
            .map_err(|error| Failure::failed(format!("the report has no JSON form: {error}")))?;
        json.push(b'\n');
        Ok(json)
    }

    /// `3 remote, 1 deadline`: the most frequent first.
    pub(super) fn errors_by_kind(&self) -> String {
        let mut kinds: Vec<_> = self.errors.iter().collect();
        kinds.sort_by_key(|(_, count)| Reverse(**count));
        let words = kinds
            .into_iter()
            .map(|(kind, count)| format!("{} {kind}", table::count(*count)));
        words.collect::<Vec<_>>().join(", ")
    }

    /// Whether the load went well.
    pub(super) fn verdict(&self) -> Result<(), Failure> {
        if self.interrupted {
            return Err(Failure::Interrupted(format!(
                "interrupted after {:.1} s: the report is of what was measured until then",
                self.elapsed_s
            )));
        }
        let failed: u64 = self.errors.values().sum();
        if failed > 0 {
            let first = match &self.fault {
                Some(fault) => format!("; the first: {fault}"),
                None => String::new(),
            };
            let noun = if failed == 1 {
                "operation"
            } else {
                "operations"
            };
            return Err(Failure::failed(format!(
                "{} {noun} failed: {}{first}",
                table::count(failed),
                self.errors_by_kind()
            )));
        }
        if self.warmup_errors > 0 {
            return Err(Failure::failed(format!(
                "{} operations of the warm-up failed, none of those that were measured",
                table::count(self.warmup_errors)
            )));
        }
        if self.operations == 0 {
            return Err(Failure::failed("no operation came to its end"));
        }
        Ok(())
    }
}

impl Quantiles {
    /// None of nothing.
    fn of(histogram: &Histogram<u64>) -> Option<Self> {
        (!histogram.is_empty()).then(|| Self {
            min: histogram.min(),
            p50: histogram.value_at_quantile(0.5),
            p90: histogram.value_at_quantile(0.9),
            p99: histogram.value_at_quantile(0.99),
            p999: histogram.value_at_quantile(0.999),
            max: histogram.max(),
            mean: histogram.mean(),
        })
    }
}

#[cfg(test)]
pub(super) mod tests;
