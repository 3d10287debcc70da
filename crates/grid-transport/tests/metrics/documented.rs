//! The names, kinds and labels are those that the docs say.

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use grid_transport::{
    metrics::{ALL, Kind, LABELS, Metric},
    testing,
};
use metrics_exporter_prometheus::PrometheusBuilder;

use crate::{
    probe::*,
    scrape::{recorder_of, scrape},
};

/// The metric that a name in the exporter's format belongs to.
pub(crate) fn metric(name: &str) -> Option<&'static Metric> {
    let stem = ["_bucket", "_sum", "_count"]
        .iter()
        .find_map(|suffix| name.strip_suffix(suffix));
    ALL.iter().find(|metric| match metric.kind {
        Kind::Histogram => metric.name == name || stem == Some(metric.name),
        _ => metric.name == name,
    })
}

/// The labels that a metric has in the exporter's format.
pub(crate) fn labels(metric: &Metric) -> BTreeSet<&'static str> {
    LABELS.iter().chain(metric.labels).copied().collect()
}

async fn documented(builder: PrometheusBuilder) {
    let (recorder, handle) = recorder_of(builder);
    let _guard = metrics::set_default_local_recorder(&recorder);
    let pair = testing::pair(probe).await.unwrap();
    pair.a_to_b().request(ECHO, "x").await.unwrap();
    let seen = scrape(&handle, &[&pair.a, &pair.b]);
    let mut shown = BTreeSet::new();
    for sample in &seen.samples {
        let metric = metric(&sample.name).unwrap_or_else(|| panic!("{sample:?}"));
        let mut own: BTreeSet<_> = sample.labels.keys().map(String::as_str).collect();
        if sample.name.ends_with("_bucket") {
            assert!(own.remove("le"), "{sample:?}");
        }
        assert_eq!(own, labels(metric), "{sample:?}");
        shown.insert(metric.name);
    }
    assert_eq!(shown, ALL.iter().map(|metric| metric.name).collect());
    for metric in ALL {
        assert_eq!(seen.kinds[metric.name], metric.kind.to_string());
        assert_eq!(seen.helps[metric.name], metric.help);
    }
    pair.shutdown(Duration::ZERO).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_shown_is_what_is_documented() {
    ends(async {
        documented(PrometheusBuilder::new()).await;
        // It adds suffixes to names that lack them.
        documented(PrometheusBuilder::new().with_recommended_naming(true)).await;
    })
    .await;
}

#[test]
fn names_say_units_and_kinds() {
    for metric in ALL {
        let name = metric.name;
        assert!(name.starts_with("grid_"), "{name}");
        assert_eq!(
            name.ends_with("_total"),
            metric.kind == Kind::Counter,
            "{name}"
        );
        assert_eq!(
            name.ends_with("_duration_seconds"),
            metric.kind == Kind::Histogram,
            "{name}"
        );
        let plain = name
            .bytes()
            .all(|byte| byte == b'_' || byte.is_ascii_lowercase());
        assert!(plain, "{name}");
    }
}

/// Name, kind and labels of each row of the table of metrics.
fn rows<'a>(text: &'a str, prefix: &str) -> Vec<[&'a str; 3]> {
    let mut rows = Vec::new();
    for line in text.lines().filter_map(|line| line.strip_prefix(prefix)) {
        let mut cells = line.split('|').skip(1).map(str::trim);
        if let (Some(name), Some(kind), Some(labels)) = (cells.next(), cells.next(), cells.next())
            && name.starts_with("`grid_")
        {
            rows.push([name, kind, labels]);
        }
    }
    rows
}

fn assert_documented(rows: &[[&str; 3]]) {
    let wanted = ALL.map(|metric| {
        let labels: Vec<_> = metric
            .labels
            .iter()
            .map(|label| format!("`{label}`"))
            .collect();
        [
            format!("`{}`", metric.name),
            metric.kind.to_string(),
            labels.join(", "),
        ]
    });
    assert_eq!(rows.len(), wanted.len());
    for (row, wanted) in rows.iter().zip(&wanted) {
        assert_eq!(row, wanted);
    }
}

#[test]
fn the_table_of_the_module_lists_all() {
    let module = fs::read_to_string("src/metrics/mod.rs").unwrap();
    assert_documented(&rows(&module, "//! "));
}

#[test]
fn the_table_of_operations_lists_all() {
    // A packaged crate is without the pages of the repository.
    let page = Path::new("../../docs/operations.md");
    let Ok(text) = fs::read_to_string(page) else {
        assert!(!page.with_file_name("architecture.md").exists());
        return println!("not compared: there is no docs/operations.md");
    };
    assert_documented(&rows(&text, ""));
}
