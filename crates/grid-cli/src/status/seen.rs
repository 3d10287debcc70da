//! Who sees whom, as the document and the page tell it: a row for each node, as that node sees the others.

use std::collections::{BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use super::{
    Status,
    mesh::{MOST_NODES, Rows},
    row::{Sight, State},
};

/// Times that make sense, in seconds.
const TIMES: std::ops::Range<f64> = 0.0..86_400.0;

/// Who sees whom.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct MeshStatus {
    /// By name.
    pub(crate) rows: Vec<RowStatus>,
    /// Nodes that have none.
    pub(crate) more: u64,
}

/// How a node sees the others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct RowStatus {
    pub(crate) node: String,
    /// Why it is not known.
    pub(crate) unknown: Option<String>,
    /// Each of the others that have a row, where it tells of it.
    pub(crate) links: Vec<Sight>,
}

impl MeshStatus {
    /// With the node's own row, and what is known of the others'.
    pub(super) fn of(status: &Status, rows: &Rows) -> Self {
        let (names, more) = names(status);
        let row = |node: &&str| {
            let (unknown, links) = if *node == status.node {
                (None, own_links(status, &names))
            } else {
                match rows.get(*node) {
                    Some(Ok(row)) => {
                        let links = row.links.iter();
                        let links =
                            links.map(|link| (&*link.remote, (link.state, link.round_trip_s)));
                        (None, in_order(node, &names, &links.collect()))
                    }
                    Some(Err(why)) => (Some(why.clone()), Vec::new()),
                    None => (Some("not asked yet".to_owned()), Vec::new()),
                }
            };
            RowStatus {
                node: (*node).to_owned(),
                unknown,
                links,
            }
        };
        Self {
            rows: names.iter().map(row).collect(),
            more: more as u64,
        }
    }
}

/// The nodes that are shown, by name, and how many are not. This one is always shown.
fn names(status: &Status) -> (Vec<&str>, usize) {
    let others = status.links.iter().map(|link| &*link.remote);
    let all: BTreeSet<&str> = others.chain([&*status.node]).collect();
    let count = all.len();
    let mut names: Vec<&str> = all.into_iter().collect();
    names.truncate(MOST_NODES);
    if !names.contains(&&*status.node) {
        names.pop();
        names.push(&status.node);
    }
    let more = count - names.len();
    (names, more)
}

fn own_links(status: &Status, names: &[&str]) -> Vec<Sight> {
    let links = status.links.iter().map(|link| {
        let seen = (State::of(&link.state), link.round_trip_s);
        (&*link.remote, seen)
    });
    in_order(&status.node, names, &links.collect())
}

fn in_order(node: &str, names: &[&str], seen: &HashMap<&str, (State, Option<f64>)>) -> Vec<Sight> {
    let others = names.iter().filter(|name| **name != node);
    let links = others.filter_map(|name| {
        let (state, round_trip_s) = *seen.get(name)?;
        Some(Sight {
            remote: (*name).to_owned(),
            state,
            round_trip_s: round_trip_s.filter(|seconds| TIMES.contains(seconds)),
        })
    });
    links.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::{row::Row, sample_status};

    #[test]
    fn each_row_is_how_that_node_sees_the_others() {
        let mut status = sample_status(["http://b:1", "http://a:1"]);
        status.links[0].state = "connecting".into();
        status.links[1].round_trip_s = Some(0.000_314);
        let a = Row {
            links: vec![
                Sight::of("http://node:1", State::Connected, Some(0.25)),
                Sight::of("http://a:1", State::Connected, None),
                Sight::of("http://elsewhere:1", State::Connected, None),
            ],
        };
        let mut rows = Rows::new();
        rows.insert("http://a:1".into(), Ok(a));
        let why = || Some("not asked yet".to_owned());
        let row = |node: &str, unknown, links| RowStatus {
            node: node.to_owned(),
            unknown,
            links,
        };
        let own = vec![
            Sight::of("http://a:1", State::Connected, Some(0.000_314)),
            Sight::of("http://b:1", State::Connecting, None),
        ];
        let of_a = vec![Sight::of("http://node:1", State::Connected, Some(0.25))];
        let mut wanted = MeshStatus {
            rows: vec![
                row("http://a:1", None, of_a),
                row("http://b:1", why(), vec![]),
                row("http://node:1", None, own),
            ],
            more: 0,
        };
        assert_eq!(MeshStatus::of(&status, &rows), wanted);
        rows.insert("http://b:1".into(), Err("no link to it".into()));
        wanted.rows[1].unknown = Some("no link to it".into());
        assert_eq!(MeshStatus::of(&status, &rows), wanted);
    }

    #[test]
    fn times_that_make_no_sense_are_not_told() {
        for wrong in [f64::NAN, -1.0, f64::INFINITY, 1e9] {
            let mut status = sample_status(["http://a:1"]);
            status.links[0].round_trip_s = Some(wrong);
            let mesh = MeshStatus::of(&status, &Rows::new());
            assert_eq!(mesh.rows[1].links[0].round_trip_s, None, "{wrong}");
        }
    }

    #[test]
    fn a_large_mesh_has_this_node_and_counts_the_rest() {
        let names: Vec<String> = (0..200).map(|n| format!("http://m{n:03}:1")).collect();
        let status = sample_status(names.iter().map(String::as_str));
        let mesh = MeshStatus::of(&status, &Rows::new());
        assert_eq!((mesh.rows.len(), mesh.more), (MOST_NODES, 137));
        let own = mesh.rows.last().unwrap();
        assert_eq!(own.node, "http://node:1");
        assert_eq!(own.links.len(), MOST_NODES - 1);
    }
}
