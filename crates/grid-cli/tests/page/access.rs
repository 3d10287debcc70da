//! Who may read the status, and in which wrapping.

use crate::{
    common::{Grid, PATIENCE, TempDir},
    http::{get, get_with},
    nodes::Nodes,
};

const TOKEN: &str = "s3cret-status";

#[test]
fn the_page_is_html_that_may_do_nothing_but_ask_again() {
    let nodes = Nodes::start(1, 0, &[]);
    let page = get(&nodes.status, "/");
    page.is(200);
    for header in [
        "content-type: text/html; charset=utf-8",
        "x-content-type-options: nosniff",
        "x-frame-options: deny",
        "referrer-policy: no-referrer",
        "cache-control: no-store",
        "cross-origin-resource-policy: same-origin",
    ] {
        assert!(page.head.contains(header), "{header}: {}", page.head);
    }
    let policy = page
        .head
        .lines()
        .find(|line| line.starts_with("content-security-policy: "));
    let policy = policy.expect("a policy");
    assert!(policy.contains("default-src 'none';"), "{policy}");
    assert!(policy.contains("connect-src 'self';"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    assert!(page.body.contains(&nodes.names[0]), "{}", page.body);
    // The document and refusals are guarded as well.
    for (path, code) in [("/status", 200), ("/nothing", 404)] {
        let answer = get(&nodes.status, path);
        answer.is(code);
        assert!(answer.head.contains("nosniff"), "{}", answer.head);
        assert!(
            answer.head.contains("default-src 'none'"),
            "{}",
            answer.head
        );
    }
    // A page of somebody else whose name leads here asks by that name.
    for path in ["/", "/status"] {
        let other = get_with(&nodes.status, path, &[("host", "evil.example:9100")]);
        other.is(403);
        assert!(other.body.contains("--status-token-file"), "{}", other.body);
        get_with(&nodes.status, path, &[("host", "localhost:9100")]).is(200);
    }
}

#[test]
fn with_a_token_nothing_is_told_without_it() {
    let dir = TempDir::new();
    let file = dir.write("token", format!("{TOKEN}\n"));
    let file = file.to_str().expect("text");
    let wrong = dir.write("wrong", "another");
    let wrong = wrong.to_str().expect("text");
    let nodes = Nodes::start(1, 0, &["--status-token-file", file]);
    let address = &*nodes.status;
    for path in ["/", "/status", "/nothing"] {
        let answer = get(address, path);
        answer.is(401);
        assert!(
            answer.head.contains("www-authenticate: bearer"),
            "{}",
            answer.head
        );
        assert!(
            answer.head.contains("www-authenticate: basic"),
            "{}",
            answer.head
        );
        assert!(!answer.body.contains(&nodes.names[0]), "{}", answer.body);
        let bearer = |token: &str| {
            let header = format!("Bearer {token}");
            get_with(
                address,
                path,
                &[("host", address), ("authorization", &header)],
            )
        };
        bearer("another").is(401);
        bearer(TOKEN).is(if path == "/nothing" { 404 } else { 200 });
    }
    let top = |more: &[&str]| {
        let arguments = [
            &["top", "--once", "--interval", "0.01", "--status", address],
            more,
        ]
        .concat();
        Grid::start(&arguments).ended(PATIENCE)
    };
    let told = top(&["--status-token-file", file]);
    assert_eq!(told.status.code(), Some(0), "{told:?}");
    for (more, words) in [
        (&[][..], "asks for a token: give --status-token-file"),
        (
            &["--status-token-file", wrong],
            "another token than that of --status-token-file",
        ),
    ] {
        let refused = top(more);
        assert_eq!(refused.status.code(), Some(1), "{refused:?}");
        assert!(
            refused.stderr.iter().any(|line| line.contains(words)),
            "{refused:?}"
        );
        assert!(!format!("{refused:?}").contains(TOKEN), "{refused:?}");
    }
}

#[test]
fn a_query_that_is_not_known_is_named() {
    let nodes = Nodes::start(1, 0, &[]);
    let long = format!("/status?{}", "x".repeat(4_000));
    for (path, query, takes) in [
        ("/status?mesh=yes", "'?mesh=yes'", "?mesh=true or"),
        ("/status?mesh", "'?mesh'", "?mesh=true or"),
        (
            "/status?all=1&mesh=true",
            "'?all=1&mesh=true'",
            "?mesh=true or",
        ),
        (&long, "'?xxx", "?mesh=true or"),
        ("/?mesh=true", "'?mesh=true'", "the page takes none"),
    ] {
        let refused = get(&nodes.status, path);
        refused.is(400);
        let told = refused.body.contains(query) && refused.body.contains(takes);
        assert!(told && refused.body.len() < 400, "{}", refused.body);
        assert!(
            refused.head.contains("content-type: text/plain"),
            "{}",
            refused.head
        );
    }
    for path in ["/?", "/status?", "/status?mesh=false", "/status?mesh=true"] {
        get(&nodes.status, path).is(200);
    }
}

#[test]
fn an_address_that_others_reach_needs_a_token() {
    let node = |more: &[&str]| {
        let name = "http://127.0.0.1:1";
        let listen = [
            "node",
            "--local",
            name,
            "--peers",
            name,
            "--listen",
            "127.0.0.1:0",
        ];
        Grid::start(&[&listen, more].concat())
    };
    for open in ["0.0.0.0:0", "[::]:0", "[::ffff:0.0.0.0]:0"] {
        let ended = node(&["--status", open]).ended(PATIENCE);
        assert_eq!(ended.status.code(), Some(2), "{ended:?}");
        let line = ended.stderr.join("\n");
        let named =
            line.contains(&format!("--status: '{open}'")) && line.contains("--status-token-file");
        assert!(named, "{line}");
    }
    let dir = TempDir::new();
    let file = dir.write("token", TOKEN);
    let file = file.to_str().expect("text");
    let mut open = node(&["--status", "0.0.0.0:0", "--status-token-file", file]);
    open.wait_for(&["status on 0.0.0.0:"], PATIENCE);

    // What is wrong with the file is said of the file.
    let empty = dir.write("empty", "\n");
    let empty = empty.to_str().expect("text");
    let missing = format!("{}/missing", dir.text());
    for (file, why) in [(empty, "is empty"), (&missing, "can't be read")] {
        let ended = node(&["--status", "127.0.0.1:0", "--status-token-file", file]).ended(PATIENCE);
        assert_eq!(ended.status.code(), Some(2), "{ended:?}");
        let line = ended.stderr.join("\n");
        assert!(
            line.contains(&format!("--status-token-file: '{file}' {why}")),
            "{line}"
        );
    }
    // A token without a status protects nothing.
    let ended = node(&["--status-token-file", file]).ended(PATIENCE);
    assert_eq!(ended.status.code(), Some(2), "{ended:?}");
}
