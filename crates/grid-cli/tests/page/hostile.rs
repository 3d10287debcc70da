//! Peers that answer the question for their row with anything else: what is shown stays bounded, is text, and says so.

use std::time::Instant;

use futures_util::future::{FutureExt, pending};
use serde_json::{Value, json};

use crate::{
    common::PATIENCE,
    http::get,
    mesh::row,
    watched::{Answer, Watched, always, json},
};

const TAGS: &str = "</th></td><script>alert(1)</script><img src=x onerror=alert(1)>";
/// What a terminal obeys, and what turns around what stands beside it.
const UNRULY: &str = "\u{1b}[2J\u{9b}31m\0\u{7f}\r\n\u{202e}\u{2066}\u{200f}\u{2028}\u{feff}";

/// The most bytes of the page and of the document, with ten nodes.
const MOST: usize = 128 * 1024;

/// What each peer answers.
fn answers(node: &str) -> Vec<Answer> {
    let links =
        |links: &[String]| always(Ok(json(&format!("{{\"links\":[{}]}}", links.join(",")))));
    let link = |remote: &str, state: &str, time: &str| {
        let (remote, state) = (json!(remote), json!(state));
        format!("{{\"remote\":{remote},\"state\":{state},\"round_trip_s\":{time}}}")
    };
    let mut many: Vec<String> = (0..4_096)
        .map(|number| link(&format!("http://x{number}:1"), "connected", "1"))
        .collect();
    many.push(link(node, "connected", "1"));
    let lies = [
        link(&format!("http://{TAGS}:1"), "connected", "1"),
        link(&format!("{node}{UNRULY}"), "connected", "1"),
        link(node, &format!("{TAGS}{UNRULY}"), "1e300"),
        link(node, "connected", "0.001"),
    ];
    vec![
        always(Ok(vec![0; 1 << 20])),
        always(Ok(vec![0xff; 1_000])),
        always(Ok(vec![0xc0])),
        always(Ok(json(&"[".repeat(100_000)))),
        links(&many),
        links(&lies),
        always(Err(format!("{TAGS}{UNRULY}").repeat(1_000))),
        always(Err(UNRULY.repeat(1_000))),
        Box::new(|| pending().boxed()),
    ]
}

/// Why the rows of these are not known; the beginning of it, where the words are the peer's.
const WHY: [Option<&str>; 9] = [
    Some("its answer has 1048576 bytes, of which 524288 are read"),
    Some("its answer can't be read"),
    Some("its answer is empty"),
    Some("its answer can't be read"),
    None,
    None,
    Some("</th></td><script>"),
    Some(""),
    Some(LATE),
];

/// Why there is no row of one that did not answer in time.
const LATE: &str = "deadline exceeded";

/// What no text may have in it.
fn assert_tame(text: &str) {
    let unruly = |c: char| c != '\n' && (c.is_control() || !c.is_ascii() && UNRULY.contains(c));
    let found = text.char_indices().find(|(_, c)| unruly(*c));
    assert!(found.is_none(), "{found:?}: {text}");
    assert!(text.len() < MOST, "{}", text.len());
}

/// Asks until each row has its reason: a machine that stands still for a while may be too slow for all of them. Only the
/// last of them is late on purpose.
fn settled(watched: &Watched, path: &str, is_late: impl Fn(&str, usize) -> bool) -> String {
    let begin = Instant::now();
    loop {
        let answer = get(&watched.status, path);
        answer.is(200);
        if !(0..WHY.len() - 1).any(|at| is_late(&answer.body, at)) {
            return answer.body;
        }
        assert!(begin.elapsed() < PATIENCE, "{}", answer.body);
    }
}

fn parsed(body: &str) -> Value {
    serde_json::from_str(body).expect("JSON")
}

/// The row of a peer.
fn of<'a>(status: &'a Value, watched: &Watched, peer: usize) -> &'a Value {
    let rows = status["mesh"]["rows"].as_array().expect("rows");
    let name = &*watched.peers[peer].name;
    let row = rows.iter().find(|row| row["node"] == name);
    row.expect("a row")
}

#[test]
fn whatever_peers_answer_is_bounded_and_only_text() {
    let watched = Watched::start(answers);
    let body = settled(&watched, "/status?mesh=true", |body, at| {
        of(&parsed(body), &watched, at)["unknown"] == LATE
    });
    let status = parsed(&body);
    // The end of its one line.
    assert_tame(&body);
    assert_eq!(body.matches('\n').count(), 1, "{body}");
    assert_eq!(status["mesh"]["more"], 0);
    let rows = status["mesh"]["rows"].as_array().expect("rows");
    assert_eq!(rows.len(), WHY.len() + 1);
    for (at, why) in WHY.into_iter().enumerate() {
        let row = of(&status, &watched, at);
        let Some(why) = why else {
            assert!(row["unknown"].is_null(), "{row}");
            continue;
        };
        let told = row["unknown"].as_str().expect("a reason");
        assert!(told.starts_with(why) && told.len() <= 256, "{told}");
        assert_eq!(row["links"], json!([]));
    }
    // Of thousands only the first are looked at, and of lies what is about nodes that are here.
    assert_eq!(of(&status, &watched, 4)["links"], json!([]));
    let seen = json!([{"remote": watched.name, "state": "unknown", "round_trip_s": null}]);
    assert_eq!(of(&status, &watched, 5)["links"], seen);
    let own = rows.iter().find(|row| row["node"] == *watched.name);
    let own = own.expect("a row")["links"].as_array().expect("links");
    assert!(
        own.iter().all(|link| link["state"] == "connected"),
        "{own:?}"
    );
    assert_eq!(own.len(), WHY.len());

    let page = settled(&watched, "/", |page, at| {
        row(page, &watched.peers[at].name).contains(LATE)
    });
    assert_tame(&page);
    assert_eq!(
        page.matches("<tr><th scope=\"row\" data-name=").count(),
        WHY.len() + 1
    );
    assert_eq!(page.matches("<script>").count(), 1);
    assert!(!page.contains("<img") && !page.contains("</th></td>"));
    for (at, why) in WHY.into_iter().enumerate() {
        let row = row(&page, &watched.peers[at].name);
        let unknown = row.matches("class=\"unknown\"").count();
        assert_eq!(unknown, WHY.len(), "{row}");
        let Some(why) = why else {
            assert!(!row.contains("title="), "{row}");
            continue;
        };
        let why = why
            .replace('\'', "&#39;")
            .replace('<', "&lt;")
            .replace('>', "&gt;");
        assert!(row.contains(&format!("title=\"{why}")), "{row}");
    }
}
