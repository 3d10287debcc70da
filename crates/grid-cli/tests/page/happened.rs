//! The events that are shown: the newest ones, and no others.

use std::time::Instant;

use grid_proto::local_dials;
use grid_transport::{Manager, StaticToken};
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::{
    common::{Grid, PATIENCE, cluster::reserve},
    figures::table,
    http::get,
    nodes::{address, word_after},
};

/// As many as the status keeps.
const KEPT: usize = 50;
/// Peers that come and go: two events each.
const PEERS: usize = 30;

/// What has happened to the link of a peer, newest first: by the document, and by the page.
fn shown(status: &str) -> [Vec<(String, bool)>; 2] {
    let document = get(status, "/status").body;
    let document: Value = serde_json::from_str(&document).expect("JSON");
    let events = document["events"].as_array().expect("events");
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let told = events
        .iter()
        .map(|event| (word(&event["remote"]), word(&event["cause"])));
    let page = get(status, "/").body;
    let (header, rows) = table(&page, "events-title");
    assert_eq!(header[3..], ["Remote", "State or cause"]);
    let seen = rows.iter().map(|row| (row[3].clone(), row[4].clone()));
    let up = |(remote, cause): (String, String)| (remote, cause.starts_with("connected to "));
    [told.map(up).collect(), seen.map(up).collect()]
}

#[test]
fn of_more_events_the_newest_fifty_are_shown() {
    let runtime = Runtime::new().expect("a runtime");
    let port = reserve();
    let name = format!("http://{}", address(&port));
    // They dial, so that the node tells of nothing but their coming and going.
    let peers: Vec<String> = (1..)
        .map(|port| format!("http://127.0.0.1:{port}"))
        .filter(|peer| *peer != name && local_dials(peer, &name))
        .take(PEERS)
        .collect();
    let all = [&peers[..], std::slice::from_ref(&name)].concat().join(",");
    let options = ["--threads", "1", "--status", "127.0.0.1:0"];
    let node = ["node", "--local", &name, "--peers", &all];
    let mut node = Grid::start(&[&node[..], &options].concat());
    let status = word_after(&mut node, "status on ");

    let mut happened = Vec::new();
    for peer in &peers {
        let manager = runtime.block_on(async {
            let manager = Manager::builder(&**peer)
                .peers([&name, peer])
                .auth(StaticToken::new("secret"));
            manager.build().expect("a node")
        });
        // Each is awaited, so that their order is known.
        let remote = format!("remote=\"{peer}\"");
        node.wait_for(&["link state", &remote, "connected to "], PATIENCE);
        runtime.block_on(manager.shutdown(PATIENCE));
        node.wait_for(&["link state", &remote, "waiting to be dialed"], PATIENCE);
        happened.extend([(peer.clone(), true), (peer.clone(), false)]);
    }
    assert!(happened.len() > KEPT);
    happened.reverse();
    happened.truncate(KEPT);
    // A line of the log may be there a moment before the event is kept.
    let begin = Instant::now();
    let kept = loop {
        let kept = shown(&status);
        if kept.iter().all(|kept| kept.first() == happened.first()) {
            break kept;
        }
        assert!(begin.elapsed() < PATIENCE, "{kept:?}");
    };
    assert_eq!(kept, [happened.clone(), happened]);
}
