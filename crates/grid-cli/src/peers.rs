//! `grid peers`: who dials whom.

use std::collections::HashSet;

use clap::Args;
use grid_proto::local_dials;

use crate::{failure::Failure, output, place, table::Table, values::NodeUrl};

#[derive(Args, Debug)]
#[command(after_help = "Example:
  grid peers http://10.0.0.1:9000 http://10.0.0.2:9000 http://10.0.0.3:9000
  grid peers --dot http://10.0.0.1:9000,http://10.0.0.2:9000 | dot -Tsvg > grid.svg")]
pub(crate) struct PeersArgs {
    /// The names of the nodes, exactly as the nodes have them; http://node{1...16}:9000 stands for
    /// sixteen of them.
    #[arg(value_name = "URL", value_delimiter = ',', required = true)]
    names: Vec<String>,
    /// Write a graph for Graphviz: an arrow from who dials.
    #[arg(long)]
    dot: bool,
}

/// Writes the table or the graph.
pub(crate) fn run(args: PeersArgs) -> Result<(), Failure> {
    let names = place::expand("URL", &args.names)?;
    let mut seen = HashSet::new();
    for name in &names {
        NodeUrl::parse("URL", name)?;
        if !seen.insert(name) {
            return Err(Failure::bad(format!("URL: '{name}' is there twice")));
        }
    }
    let text = if args.dot {
        graph(&names)
    } else {
        table(&names)
    };
    output::print(text.as_bytes(), "the table is cut")
}

/// Dialer and acceptor of every pair, in the order of the names.
fn pairs(names: &[String]) -> impl Iterator<Item = (&str, &str)> {
    let rest = |at| names.iter().skip(at + 1);
    names.iter().enumerate().flat_map(move |(at, one)| {
        rest(at).map(move |other| {
            if local_dials(one, other) {
                (one.as_str(), other.as_str())
            } else {
                (other.as_str(), one.as_str())
            }
        })
    })
}

fn table(names: &[String]) -> String {
    let mut table = Table::new().text("DIALS").text("LISTENS");
    for (dialer, acceptor) in pairs(names) {
        table.row([dialer.to_owned(), acceptor.to_owned()]);
    }
    let mut sums = Table::new()
        .text("NODE")
        .number("DIALS")
        .number("IS DIALED");
    for name in names {
        let dials = names
            .iter()
            .filter(|other| *other != name && local_dials(name, other))
            .count();
        let is_dialed = names.len() - 1 - dials;
        sums.row([name.clone(), dials.to_string(), is_dialed.to_string()]);
    }
    format!("{}\n{}", table.render(), sums.render())
}

fn graph(names: &[String]) -> String {
    let mut dot = String::from("digraph grid {\n");
    for name in names {
        dot.push_str(&format!("    \"{name}\";\n"));
    }
    for (dialer, acceptor) in pairs(names) {
        dot.push_str(&format!("    \"{dialer}\" -> \"{acceptor}\";\n"));
    }
    dot.push_str("}\n");
    dot
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_is_there_once() {
        let names: Vec<String> = (1..=5).map(|n| format!("http://n{n}:9000")).collect();
        let pairs: Vec<_> = pairs(&names).collect();
        assert_eq!(pairs.len(), 10);
        assert!(pairs.iter().all(|(one, other)| local_dials(one, other)));
        let table = table(&names);
        assert_eq!(table.lines().count(), 1 + 10 + 1 + 1 + 5);
        assert_eq!(graph(&names).matches(" -> ").count(), 10);
    }

    #[test]
    fn a_single_name_has_no_pairs() {
        let one = ["http://a:1".to_owned()];
        assert_eq!(
            table(&one),
            "DIALS  LISTENS\n\nNODE        DIALS  IS DIALED\nhttp://a:1      0          0\n"
        );
    }
}
