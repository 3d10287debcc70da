//! The names of spans and their fields are those that the docs say.

#![allow(
    clippy::print_stdout,
    reason = "a test that has nothing to compare with says so"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    time::Duration,
};

use grid_transport::testing;
use tracing::Level;

use crate::{probe::*, record::Spans};

const CALLS: [&str; 3] = ["grid.call", "grid.handle", "grid.stream"];
const LINK: &str = "grid.link";

/// The fields of each span, its target before them.
type Table = BTreeMap<String, (String, BTreeSet<String>)>;

/// What a node of ours gives a subscriber, in a life with everything in it.
async fn shown() -> Table {
    let (spans, _guard) = Spans::capture(Level::TRACE);
    let pair = testing::pair(probe).await.unwrap();
    pair.a_to_b().request(ECHO, "x").await.unwrap();
    let mut stream = pair.a_to_b().stream(ITEMS, OUT_1, "1").await.unwrap();
    while stream.recv().await.is_some() {}
    pair.shutdown(Duration::ZERO).await;
    let mut table = Table::new();
    for span in spans.all() {
        assert_eq!(span.level, Some(Level::DEBUG), "{span:?}");
        let row = (
            span.target.to_owned(),
            span.declared
                .iter()
                .map(|field| (*field).to_owned())
                .collect(),
        );
        let before = table.insert(span.name.to_owned(), row.clone());
        // Both sides of a stream are one to a reader.
        assert!(
            before.is_none_or(|before| before == row),
            "{} differs",
            span.name
        );
    }
    table
}

/// The first cells of each row of the table that begins with these words.
fn rows<'a>(page: &'a str, heading: &str) -> Vec<[&'a str; 2]> {
    let (_, table) = page.split_once(heading).expect(heading);
    let lines = table.lines().skip(2);
    lines
        .take_while(|line| line.starts_with('|'))
        .filter_map(|line| {
            let mut cells = line.split('|').skip(1).map(str::trim);
            Some([cells.next()?, cells.next()?])
        })
        .collect()
}

fn names(cell: &str) -> impl Iterator<Item = String> {
    cell.split(", ").map(|name| name.replace('`', ""))
}

fn documented(page: &str) -> Table {
    let mut table: Table = rows(page, "| span | target | is of |")
        .into_iter()
        .map(|[span, target]| {
            let target = target.replace('`', "");
            (span.replace('`', ""), (target, BTreeSet::new()))
        })
        .collect();
    for [fields, spans] in rows(page, "| field | of | says |") {
        let of: Vec<_> = match spans {
            "all" => CALLS.iter().chain([&LINK]).copied().collect(),
            "calls" => CALLS.to_vec(),
            "links" => vec![LINK],
            other => panic!("{other}"),
        };
        for span in of {
            let (_, known) = table.get_mut(span).expect(span);
            for field in names(fields) {
                assert!(known.insert(field.clone()), "{field} is there twice");
            }
        }
    }
    table
}

#[tokio::test(start_paused = true)]
async fn the_tables_of_operations_list_all_spans_and_fields_pair() {
    ends(async {
        // A packaged crate is without the pages of the repository.
        let page = Path::new("../../docs/operations.md");
        let Ok(text) = fs::read_to_string(page) else {
            assert!(!page.with_file_name("architecture.md").exists());
            return println!("not compared: there is no docs/operations.md");
        };
        let shown = shown().await;
        assert_eq!(shown.len(), 4, "{shown:#?}");
        assert_eq!(documented(&text), shown);
    })
    .await;
}
