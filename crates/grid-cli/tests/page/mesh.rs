//! Rows of others: over the grid, within a deadline, and never of those who do not know the question.

use std::time::{Duration, Instant};

use grid_cli::probe::single;
use grid_transport::{Manager, StaticToken};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::{
    common::{Grid, PATIENCE},
    http::get,
    nodes::{Nodes, word_after},
};

/// The row of a node in the page.
pub(crate) fn row<'a>(page: &'a str, name: &str) -> &'a str {
    let start = page.find(&format!("data-name=\"{name}\"")).expect("a row");
    let rest = &page[start..];
    rest.split("</tr>").next().expect("its end")
}

/// Loads the page until it is as wanted.
fn page_when(address: &str, what: &str, wanted: impl Fn(&str) -> bool) -> String {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let page = get(address, "/");
        page.is(200);
        if wanted(&page.body) {
            return page.body;
        }
        assert!(Instant::now() < deadline, "never {what}: {}", page.body);
    }
}

#[test]
fn each_node_tells_its_own_row() {
    let nodes = Nodes::start(3, 1, &[]);
    let [a, b, c, away] = &nodes.names[..] else {
        panic!("four names");
    };
    let seen = |page: &str, name: &str| row(page, name).matches("class=\"up\"").count();
    let page = page_when(&nodes.status, "three rows", |page| {
        [a, b, c].iter().all(|name| seen(page, name) == 2)
    });
    for name in [a, b, c] {
        // Each knows that one is away, whichever of the two dials.
        let row = row(&page, name);
        let lost = row.matches("class=\"dial\"").count() + row.matches("class=\"wait\"").count();
        assert_eq!(lost, 1, "{row}");
        assert!(!row.contains("unknown"), "{row}");
    }
    let away = row(&page, away);
    assert_eq!(away.matches("class=\"unknown\"").count(), 3, "{away}");
    assert!(away.contains("title=\"no link to it\""), "{away}");

    // The document has the same where it is asked for it.
    let status = get(&nodes.status, "/status");
    assert!(!status.body.contains("\"mesh\""), "{}", status.body);
    let status = get(&nodes.status, "/status?mesh=true");
    let status: Value = serde_json::from_str(&status.body).expect("JSON");
    let mesh = &status["mesh"];
    assert_eq!(mesh["more"], 0);
    let mut names = nodes.names.clone();
    names.sort();
    let rows = mesh["rows"].as_array().expect("rows");
    let told: Vec<&Value> = rows.iter().map(|row| &row["node"]).collect();
    assert_eq!(told, names.iter().collect::<Vec<_>>());
    for row in rows {
        let links = row["links"].as_array().expect("links");
        if row["node"] == *nodes.names[3] {
            assert_eq!((&row["unknown"], links.len()), (&json!("no link to it"), 0));
            continue;
        }
        assert!(row["unknown"].is_null(), "{row}");
        let others = names.iter().filter(|name| row["node"] != **name);
        let seen: Vec<&Value> = links.iter().map(|link| &link["remote"]).collect();
        assert_eq!(seen, others.collect::<Vec<_>>());
        for link in links {
            let up = link["state"] == "connected";
            assert_eq!(up, link["remote"] != *nodes.names[3], "{row}");
            let time = &link["round_trip_s"];
            assert!(time.is_null() || up && time.as_f64() >= Some(0.0), "{row}");
        }
    }
}

/// A node of another program, which has the probe's handlers by hand.
#[tokio::test(flavor = "multi_thread")]
async fn who_runs_another_program_has_no_row_and_is_not_asked_again() {
    let socket = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let other = format!("http://{}", socket.local_addr().expect("an address"));
    let name = "http://127.0.0.1:1";
    let manager = Manager::builder(&*other)
        .peers([name, &*other])
        .auth(StaticToken::new("secret"))
        .dialer(Nowhere)
        .single(
            single::ECHO,
            |request: grid_transport::Request| async move { Ok(request.into_payload()) },
        )
        .build()
        .expect("a node");
    // Whoever dials: the node of the program listens where its name does not lead.
    let peers = format!("{name},{other}");
    let mut node = Grid::start(&[
        "node",
        "--local",
        name,
        "--peers",
        &peers,
        "--listen",
        "127.0.0.1:0",
        "--status",
        "127.0.0.1:0",
    ]);
    let status = word_after(&mut node, "status on ");
    let address = word_after(&mut node, "listening on ");
    TO.set(address).expect("once");
    let serving = manager.serve(socket).expect("it serves");
    let up = manager.connection(name).expect("a remote");
    tokio::time::timeout(PATIENCE, up.connected())
        .await
        .expect("in time")
        .expect("connected");

    let found = tokio::task::spawn_blocking(move || {
        let page = page_when(&status, "known", |page| {
            row(page, &other).contains("title=\"it runs another program, or an older one\"")
        });
        assert!(row(&page, name).contains("class=\"up\""), "{page}");
        assert!(row(&page, &other).contains("class=\"unknown\""), "{page}");
        (status, other)
    });
    let (status, other) = found.await.expect("the page");
    let refused = || manager.stats().iter().map(|link| link.refused).sum::<u64>();
    assert_eq!(refused(), 1);
    // Rows are asked for again by now, but not that one.
    let again = tokio::task::spawn_blocking(move || {
        let begin = Instant::now();
        page_when(&status, "later", |page| {
            begin.elapsed() > Duration::from_secs(4)
                && row(page, &other).contains("another program")
        })
    });
    again.await.expect("the page");
    assert_eq!(refused(), 1);
    drop(node);
    manager.shutdown(Duration::ZERO).await;
    serving.stop().await;
}

/// Where the node of the program listens, once it is known.
static TO: std::sync::OnceLock<String> = std::sync::OnceLock::new();

struct Nowhere;

impl grid_transport::Dialer for Nowhere {
    fn dial<'a>(
        &'a self,
        _: &'a grid_transport::Target,
    ) -> futures_util::future::BoxFuture<'a, std::io::Result<grid_transport::BoxIo>> {
        Box::pin(async {
            let to = TO
                .get()
                .ok_or_else(|| std::io::Error::other("not known yet"))?;
            let io = tokio::net::TcpStream::connect(to).await?;
            Ok(Box::new(io) as grid_transport::BoxIo)
        })
    }
}
