//! Who sees whom: a row for each node, as that node sees the others.

use std::collections::HashMap;

use super::html::Html;
use crate::status::{
    row::{Sight, State},
    seen::{MeshStatus, RowStatus},
};

/// The states with their classes, the word in a cell without a number, and what the legend says.
const STATES: [(State, &str, &str, &str); 4] = [
    (State::Connected, "up", "up", "connected"),
    (
        State::Connecting,
        "dial",
        "dials",
        "dials, and is not let in",
    ),
    (State::Waiting, "wait", "waits", "waits to be dialed"),
    (State::Closed, "shut", "shut", "closed for good"),
];

/// What is not known.
const UNKNOWN: (&str, &str, &str) = ("unknown", "?", "not known");

/// The class for a state by its word, which a peer may have made up.
pub(super) fn class(state: &str) -> &'static str {
    known(State::of(state)).map_or(UNKNOWN.0, |(_, class, _, _)| class)
}

fn known(state: State) -> Option<(State, &'static str, &'static str, &'static str)> {
    STATES.into_iter().find(|(known, ..)| *known == state)
}

pub(super) fn matrix(own: &str, mesh: &MeshStatus) -> Html {
    let mut html = Html::new();
    html.raw("<h2 id=\"mesh-title\">Who sees whom</h2>\n");
    if mesh.rows.len() < 2 {
        html.raw("<p id=\"mesh\" class=\"none scroll\">This node has no peers.</p>\n");
        return html;
    }
    html.raw("<div id=\"mesh\" class=\"scroll\" role=\"region\" aria-labelledby=\"mesh-title\" tabindex=\"0\">\n");
    html.raw("<table class=\"matrix\">\n<caption>Each row is how a node sees the others. Numbers are round-trip times of the last pings in milliseconds.");
    if mesh.more > 0 {
        html.raw(" ")
            .text(mesh.more)
            .raw(" more nodes are not shown.");
    }
    html.raw("</caption>\n<thead><tr><td></td>");
    for (number, row) in (1..).zip(&mesh.rows) {
        html.raw("<th scope=\"col\"><abbr title=\"").text(&row.node);
        html.raw("\">").text(number).raw("</abbr></th>");
    }
    html.raw("</tr></thead>\n<tbody>\n");
    for (number, row) in (1..).zip(&mesh.rows) {
        html.piece(&line(number, row, mesh, row.node == own));
    }
    html.raw("</tbody>\n</table>\n</div>\n<output id=\"sight\"></output>\n");
    html.raw("<ul id=\"legend\" aria-label=\"Colours\">");
    let states = STATES.map(|(_, class, _, meaning)| (class, meaning));
    for (class, meaning) in states.into_iter().chain([(UNKNOWN.0, UNKNOWN.2)]) {
        html.raw("<li class=\"").raw(class).raw("\">");
        html.raw(meaning).raw("</li>");
    }
    html.raw("</ul>\n");
    html
}

fn line(number: usize, row: &RowStatus, mesh: &MeshStatus, own: bool) -> Html {
    let name = &*row.node;
    let mut html = Html::new();
    html.raw("<tr><th scope=\"row\" data-name=\"").text(name);
    if let Some(why) = &row.unknown {
        html.raw("\" title=\"").text(why);
    }
    html.raw(if own { "\" class=\"own" } else { "" });
    html.raw("\"><span>").text(number).raw("</span> ");
    html.text(name.strip_prefix("http://").unwrap_or(name));
    html.raw("</th>");
    let links = row.links.iter();
    let seen: HashMap<&str, &Sight> = links.map(|link| (&*link.remote, link)).collect();
    for other in &mesh.rows {
        if other.node == name {
            html.raw("<td tabindex=\"-1\" class=\"self\">·</td>");
        } else {
            sight(&mut html, seen.get(&*other.node).copied());
        }
    }
    html.raw("</tr>\n");
    html
}

fn sight(html: &mut Html, sight: Option<&Sight>) {
    let state = sight.and_then(|sight| known(sight.state));
    let (class, word) = state.map_or((UNKNOWN.0, UNKNOWN.1), |(_, class, word, _)| (class, word));
    html.raw("<td tabindex=\"-1\" class=\"")
        .raw(class)
        .raw("\">");
    match sight.and_then(|sight| sight.round_trip_s) {
        Some(seconds) if class == "up" => {
            html.text(milliseconds(seconds));
        }
        _ => {
            html.raw(word);
        }
    }
    html.raw("</td>");
}

/// In a few characters.
fn milliseconds(seconds: f64) -> String {
    let milliseconds = seconds * 1e3;
    match milliseconds {
        0.0..9.995 => format!("{milliseconds:.2}"),
        0.0..99.95 => format!("{milliseconds:.1}"),
        _ => format!("{milliseconds:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::{
        Status,
        mesh::{MOST_NODES, Rows},
        row::Row,
        sample_status,
    };

    fn shown(status: &Status, rows: &Rows) -> String {
        matrix(&status.node, &MeshStatus::of(status, rows)).into_string()
    }

    fn sees(remote: &str, state: &str, round_trip_s: Option<f64>) -> Sight {
        Sight {
            remote: remote.into(),
            state: State::of(state),
            round_trip_s,
        }
    }

    /// The cells of the row of a node: class and text.
    fn cells(html: &str, name: &str) -> Vec<(String, String)> {
        let start = html.find(&format!("data-name=\"{name}\"")).unwrap();
        let row = &html[start..start + html[start..].find("</tr>").unwrap()];
        row.split("<td ")
            .skip(1)
            .map(|cell| {
                let class = cell.split("class=\"").nth(1).unwrap();
                let text = cell.split('>').nth(1).unwrap();
                let before = |text: &str, sign: char| text.split(sign).next().unwrap().to_owned();
                (before(class, '"'), before(text, '<'))
            })
            .collect()
    }

    #[test]
    fn each_row_is_how_that_node_sees_the_others() {
        let mut status = sample_status(["http://a:1", "http://b:1", "http://c:1"]);
        status.links[0].round_trip_s = Some(0.000_314);
        status.links[1].state = "connecting".into();
        let mut rows = Rows::new();
        let a = Row {
            links: vec![
                sees("http://node:1", "connected", Some(0.012_34)),
                sees("http://b:1", "waiting", Some(1.0)),
                sees("http://elsewhere:1", "connected", None),
                sees("http://c:1", "<b>", None),
            ],
        };
        rows.insert("http://a:1".into(), Ok(a));
        rows.insert("http://b:1".into(), Err("no <link> to it".into()));
        let html = shown(&status, &rows);
        let cell = |class: &str, text: &str| (class.to_owned(), text.to_owned());
        // The columns are a, b, c, node.
        assert_eq!(
            cells(&html, "http://node:1"),
            [
                cell("up", "0.31"),
                cell("dial", "dials"),
                cell("up", "up"),
                cell("self", "·")
            ]
        );
        assert_eq!(
            cells(&html, "http://a:1"),
            [
                cell("self", "·"),
                cell("wait", "waits"),
                cell("unknown", "?"),
                cell("up", "12.3")
            ]
        );
        assert!(cells(&html, "http://b:1").contains(&cell("unknown", "?")));
        assert!(html.contains("title=\"no &lt;link&gt; to it\""), "{html}");
        assert!(
            !html.contains("elsewhere") && !html.contains("<b>"),
            "{html}"
        );
    }

    #[test]
    fn times_are_milliseconds_in_a_few_characters() {
        for (seconds, text) in [
            (0.0, "0.00"),
            (0.009_99, "9.99"),
            (0.0999, "99.9"),
            (1.5, "1500"),
        ] {
            assert_eq!(milliseconds(seconds), text);
        }
    }

    #[test]
    fn a_large_mesh_counts_what_is_not_shown() {
        let names: Vec<String> = (0..200).map(|n| format!("http://m{n:03}:1")).collect();
        let status = sample_status(names.iter().map(String::as_str));
        let html = shown(&status, &Rows::new());
        assert_eq!(html.matches("scope=\"row\"").count(), MOST_NODES);
        assert!(html.contains("data-name=\"http://node:1\""));
        assert!(html.contains(" 137 more nodes are not shown."), "{html}");
    }
}
