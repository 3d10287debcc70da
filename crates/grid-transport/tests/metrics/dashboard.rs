//! The dashboard asks for what there is, and for all of it.

use std::{collections::BTreeSet, fs, path::Path};

use grid_transport::metrics::{ALL, Kind, LINK_RUNNING_HANDLERS};
use serde_json::Value;

use crate::documented::{labels, metric};

/// What no panel shows: the handlers themselves are shown, and these are the same by remotes.
const NOT_SHOWN: [&str; 1] = [LINK_RUNNING_HANDLERS];

/// `None` in a packaged crate, which is without the pages of the repository.
fn dashboard() -> Option<Value> {
    let page = Path::new("../../docs/grafana-dashboard.json");
    let Ok(text) = fs::read_to_string(page) else {
        assert!(!page.with_file_name("architecture.md").exists());
        println!("not compared: there is no docs/grafana-dashboard.json");
        return None;
    };
    Some(serde_json::from_str(&text).unwrap())
}

/// All texts under one of these keys, wherever they are.
fn texts<'a>(value: &'a Value, keys: &[&str], found: &mut Vec<&'a str>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                match value {
                    Value::String(text) if keys.contains(&&**key) => found.push(text),
                    value => texts(value, keys, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| texts(item, keys, found)),
        _ => {}
    }
}

fn queries(dashboard: &Value) -> Vec<&str> {
    let mut found = Vec::new();
    texts(dashboard, &["expr", "query", "definition"], &mut found);
    found.retain(|text| text.contains("grid_"));
    assert!(found.len() > 20, "{found:#?}");
    found
}

fn is_word(c: char) -> bool {
    c == '_' || c.is_ascii_alphanumeric()
}

/// What a query asks for.
struct Asked<'a> {
    name: &'a str,
    /// The labels that it is filtered by.
    filters: Vec<&'a str>,
    /// What is done with it first.
    function: &'a str,
}

fn asked(query: &str) -> Vec<Asked<'_>> {
    let mut found = Vec::new();
    let starts = query.match_indices("grid_").map(|(start, _)| start);
    for start in starts.filter(|start| !query[..*start].ends_with(is_word)) {
        let rest = &query[start..];
        let (name, rest) = rest.split_at(rest.find(|c| !is_word(c)).unwrap_or(rest.len()));
        let filters = rest.strip_prefix('{').map_or(Vec::new(), |filters| {
            let (filters, _) = filters.split_once('}').unwrap();
            let name = |filter: &'_ str| filter.find(|c| !is_word(c)).unwrap();
            filters
                .split(',')
                .map(|filter| &filter[..name(filter)])
                .collect()
        });
        let before = query[..start].strip_suffix('(').unwrap_or("");
        let function = before
            .rfind(|c| !is_word(c))
            .map_or(before, |end| &before[end + 1..]);
        found.push(Asked {
            name,
            filters,
            function,
        });
    }
    found
}

/// The labels by which a query sums.
fn sums(query: &str) -> impl Iterator<Item = &str> {
    let groups = query.split(" by (").skip(1);
    groups.flat_map(|group| {
        group
            .split(')')
            .next()
            .unwrap_or("")
            .split(',')
            .map(str::trim)
    })
}

#[test]
fn queries_ask_for_what_there_is() {
    let Some(dashboard) = dashboard() else { return };
    for query in queries(&dashboard) {
        let asked = asked(query);
        assert!(!asked.is_empty(), "{query}");
        for Asked {
            name,
            filters,
            function,
        } in asked
        {
            let metric = metric(name).unwrap_or_else(|| panic!("no {name}: {query}"));
            let own = labels(metric);
            for label in filters {
                assert!(own.contains(label), "{name} has no {label}: {query}");
            }
            for label in sums(query) {
                let le = label == "le" && name.ends_with("_bucket");
                assert!(le || own.contains(label), "{name} has no {label}: {query}");
            }
            if query.starts_with("label_values(") {
                let label = query.rsplit(", ").next().unwrap().trim_end_matches(')');
                assert!(own.contains(label), "{name} has no {label}: {query}");
                continue;
            }
            // The sum of a counter since the start of a process says nothing, and a gauge has no rate.
            let rates = ["rate", "increase"].contains(&function);
            assert_eq!(rates, metric.kind != Kind::Gauge, "{query}");
        }
    }
}

#[test]
fn every_metric_is_shown_or_left_out_on_purpose() {
    let Some(dashboard) = dashboard() else { return };
    let mut expressions = Vec::new();
    texts(&dashboard, &["expr"], &mut expressions);
    let asked = expressions.iter().flat_map(|query| asked(query));
    let shown: BTreeSet<_> = asked
        .filter_map(|asked| metric(asked.name))
        .map(|metric| metric.name)
        .collect();
    for metric in ALL {
        let left_out = NOT_SHOWN.contains(&metric.name);
        assert_ne!(shown.contains(metric.name), left_out, "{}", metric.name);
    }
    assert!(NOT_SHOWN.iter().all(|name| metric(name).is_some()));
}

/// Legends name labels that the sums have kept; all panels use the data source that was chosen, and none lies on another.
#[test]
fn the_panels_fit_together() {
    let Some(dashboard) = dashboard() else { return };
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let names: Vec<_> = variables
        .iter()
        .map(|variable| variable["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["datasource", "path", "local", "remote", "handler"]);
    assert_eq!(variables[0]["type"], "datasource");
    let (mut ids, mut taken) = (BTreeSet::new(), BTreeSet::new());
    for panel in dashboard["panels"].as_array().unwrap() {
        let title = panel["title"].as_str().unwrap();
        assert!(
            !title.is_empty() && ids.insert(panel["id"].as_u64().unwrap()),
            "{title}"
        );
        let [x, y, w, h] =
            ["x", "y", "w", "h"].map(|side| panel["gridPos"][side].as_u64().unwrap());
        for place in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
            assert!(
                place.0 < 24 && taken.insert(place),
                "{title} lies on another"
            );
        }
        if panel["type"] == "row" {
            continue;
        }
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
        for target in panel["targets"].as_array().unwrap() {
            let (query, legend) = (
                target["expr"].as_str().unwrap(),
                target["legendFormat"].as_str().unwrap(),
            );
            let kept: BTreeSet<_> = match query.contains(" by (") {
                true => sums(query).collect(),
                false => asked(query)
                    .iter()
                    .filter_map(|asked| metric(asked.name))
                    .flat_map(labels)
                    .collect(),
            };
            for label in legend
                .split("{{")
                .skip(1)
                .map(|rest| rest.split("}}").next().unwrap())
            {
                assert!(kept.contains(label), "{title} keeps no {label}: {query}");
            }
            for variable in query.split('$').skip(1) {
                let variable = &variable[..variable.find(|c| !is_word(c)).unwrap()];
                let known = variable == "__rate_interval" || names.contains(&variable);
                assert!(known, "{title} has no {variable}: {query}");
            }
        }
    }
}
