//! What an exporter shows, as data.

#![allow(dead_code, reason = "each test target uses its own part")]

use std::collections::BTreeMap;

use grid_transport::{Manager, metrics::DURATION_BUCKETS};
use metrics_exporter_prometheus::{
    Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};

/// A recorder for one test: `metrics::set_default_local_recorder` makes it that of the thread, where everything of the
/// test runs.
pub(crate) fn recorder() -> (PrometheusRecorder, PrometheusHandle) {
    recorder_of(PrometheusBuilder::new())
}

pub(crate) fn recorder_of(builder: PrometheusBuilder) -> (PrometheusRecorder, PrometheusHandle) {
    let durations = Matcher::Suffix("_duration_seconds".to_owned());
    let recorder = builder
        .set_buckets_for_metric(durations, &DURATION_BUCKETS)
        .unwrap()
        .build_recorder();
    let handle = recorder.handle();
    (recorder, handle)
}

/// One line.
#[derive(Debug)]
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) value: f64,
}

/// All lines.
pub(crate) struct Scrape {
    pub(crate) samples: Vec<Sample>,
    /// By the names of metrics.
    pub(crate) kinds: BTreeMap<String, String>,
    pub(crate) helps: BTreeMap<String, String>,
}

/// Publishes what these nodes have, and shows it.
pub(crate) fn scrape(handle: &PrometheusHandle, nodes: &[&Manager]) -> Scrape {
    nodes.iter().for_each(|node| node.record_metrics());
    Scrape::parse(&handle.render())
}

impl Scrape {
    fn parse(text: &str) -> Self {
        let mut scrape = Self {
            samples: Vec::new(),
            kinds: BTreeMap::new(),
            helps: BTreeMap::new(),
        };
        for line in text.lines().filter(|line| !line.is_empty()) {
            if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').unwrap();
                scrape.kinds.insert(name.to_owned(), kind.to_owned());
            } else if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, help) = help.split_once(' ').unwrap();
                scrape.helps.insert(name.to_owned(), help.to_owned());
            } else {
                scrape.samples.push(sample(line));
            }
        }
        scrape
    }

    /// The series of this name that have these labels among theirs.
    pub(crate) fn all<'a>(
        &'a self,
        name: &'a str,
        labels: &'a [(&'a str, &'a str)],
    ) -> impl Iterator<Item = &'a Sample> {
        self.samples.iter().filter(move |sample| {
            let has = |(label, value): &(&str, &str)| {
                sample.labels.get(*label).is_some_and(|own| own == value)
            };
            sample.name == name && labels.iter().all(has)
        })
    }

    /// The value of the only such series.
    pub(crate) fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let found: Vec<_> = self.all(name, labels).collect();
        assert_eq!(found.len(), 1, "{name} {labels:?}: {found:?}");
        found[0].value
    }

    pub(crate) fn has(&self, name: &str, labels: &[(&str, &str)]) -> bool {
        self.all(name, labels).next().is_some()
    }
}

/// `name{label="value",…} value`; no value here has a comma or a quote in it.
fn sample(line: &str) -> Sample {
    let (series, value) = line.rsplit_once(' ').unwrap();
    let (name, labels) = series.split_once('{').unwrap();
    let labels = labels.strip_suffix('}').unwrap().split(',');
    Sample {
        name: name.to_owned(),
        labels: labels
            .map(|label| {
                let (name, value) = label.split_once('=').unwrap();
                (name.to_owned(), value.trim_matches('"').to_owned())
            })
            .collect(),
        value: value.parse().unwrap(),
    }
}
