//! Options of TLS, tokens and lists that can't be used: one line that names the option and the value, exit code 2.

use crate::{
    certificates::Authority,
    common::{Grid, PATIENCE, TempDir},
};

const LOCAL: &str = "https://127.0.0.1:1";
const PEERS: &str = "https://127.0.0.1:1,https://127.0.0.1:2";

#[track_caller]
fn refused_with(arguments: &[&str], environment: &[(&str, &str)], parts: &[&str]) {
    let ended = Grid::start_with(arguments, environment).ended(PATIENCE);
    let line = ended.is_refusal(parts);
    assert!(!line.contains("s3cret"), "{line:?}");
}

/// A node for TLS with these options.
#[track_caller]
fn refused(more: &[&str], parts: &[&str]) {
    let node = ["node", "--local", LOCAL, "--peers", PEERS];
    let token = [("GRID_TOKEN", "s3cret")];
    refused_with(&[&node[..], more].concat(), &token, parts);
}

#[test]
fn names_for_tls_want_certificates() {
    refused(
        &[],
        &[LOCAL, "--tls-roots", "--tls-platform-roots", "--tls-pinned"],
    );
    let dir = TempDir::new();
    Authority::new().write(&dir, "node", "127.0.0.1");
    let roots = format!("{}/node.roots", dir.text());
    refused(
        &["--tls-roots", &roots],
        &[LOCAL, "--tls-cert", "--tls-key"],
    );
    refused(&["--tls-cert", &roots], &["--tls-key"]);
    refused(&["--tls-key", &roots], &["--tls-cert"]);
    let plain = [
        "node",
        "--local",
        "http://a:1",
        "--peers",
        "http://a:1,http://b:1",
    ];
    let token = [("GRID_TOKEN", "s3cret")];
    let words = [&plain[..], &["--tls-roots", &roots]].concat();
    refused_with(&words, &token, &["--tls-roots", "https://", "http://a:1"]);
}

#[test]
fn options_that_make_no_sense_together() {
    refused(
        &["--tls-pinned", "x", "--tls-roots", "y"],
        &["--tls-pinned", "--tls-roots"],
    );
    refused(
        &["--tls-pinned", "x", "--tls-platform-roots"],
        &["--tls-pinned", "--tls-platform-roots"],
    );
    refused(
        &["--tls-pinned", "x", "--tls-mutual"],
        &["--tls-mutual", "--tls-roots"],
    );
    for (one, another) in [
        (
            &["--token-file", "x"][..],
            &["--shared-secret-file", "x"][..],
        ),
        (&["--token", "s3cret"], &["--shared-secret-file", "x"]),
        (&["--token-file", "x"], &["--jwt-access-key", "x"]),
        (&["--token-file", "x"], &["--jwt-secret-file", "x"]),
        (&["--shared-secret-file", "x"], &["--jwt-access-key", "x"]),
        (&["--shared-secret-file", "x"], &["--no-auth"]),
        (&["--jwt-secret-file", "x"], &["--no-auth"]),
        (
            &["--peers-file", "x"],
            &["--token-file", "x", "--peers-dns", "x"],
        ),
    ] {
        let another_option = another.iter().rfind(|word| word.starts_with("--"));
        let parts = [one[0], another_option.unwrap()];
        let node: &[&str] = match one[0] {
            "--peers-file" => &["node", "--local", LOCAL],
            _ => &["node", "--local", LOCAL, "--peers", PEERS],
        };
        refused_with(&[node, one, another].concat(), &[], &parts);
    }
    refused(&["--peers-file", "x"], &["--peers", "--peers-file"]);
    refused(&["--peers-dns", "a:x:1"], &["--peers", "--peers-dns"]);
    refused(&["--peers-dns-server", "127.0.0.1:53"], &["--peers-dns"]);
    let node = ["node", "--local", LOCAL, "--peers", PEERS];
    let both = [("GRID_TOKEN", "s3cret"), ("GRID_SHARED_SECRET", "s3cret")];
    refused_with(&node, &both, &["GRID_TOKEN", "GRID_SHARED_SECRET"]);
    let via = ["call", "9", "--to", LOCAL, "--via", "unix:/nowhere"];
    for more in [
        &["--peers-dns-server", "127.0.0.1:53"][..],
        &["--tls-roots", "x"],
        &["--jwt-access-key", "x"],
        &["--peers-file", "x"],
    ] {
        refused_with(&[&via[..], more].concat(), &[], &[more[0]]);
    }
}

#[test]
fn files_of_tls_that_cannot_be_used() {
    let dir = TempDir::new();
    let authority = Authority::new();
    authority.write(&dir, "node", "127.0.0.1");
    authority.write(&dir, "other", "127.0.0.1");
    let file = |name: &str| format!("{}/{name}", dir.text());
    let (certificate, key, roots) = (file("node.pem"), file("node.key"), file("node.roots"));
    for (name, content) in [
        ("empty", ""),
        ("text", "no PEM at all"),
        ("half", "-----BEGIN CERTIFICATE-----\nMIIB\n"),
        (
            "noise",
            "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n",
        ),
        (
            "wrong",
            "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
        ),
        (
            "encrypted",
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n",
        ),
    ] {
        dir.write(name, content);
    }
    let with = |option: &str, bad: &str, words: &str| {
        let mut files = [
            ("--tls-cert", certificate.clone()),
            ("--tls-key", key.clone()),
            ("--tls-roots", roots.clone()),
        ];
        for (given, path) in &mut files {
            if *given == option {
                bad.clone_into(path);
            }
        }
        let options: Vec<&str> = files
            .iter()
            .flat_map(|(option, path)| [*option, path])
            .collect();
        refused(&options, &[option, bad, words]);
    };
    for option in ["--tls-cert", "--tls-key", "--tls-roots"] {
        with(option, &file("missing"), "can't be read");
        with(option, dir.text(), "no regular file");
        with(option, "/dev/zero", "no regular file");
        with(option, &file("empty"), "is empty");
        with(option, &file("half"), "no PEM");
        with(option, &file("noise"), "no PEM");
    }
    with("--tls-cert", &file("text"), "no certificate");
    with("--tls-roots", &file("text"), "no certificate");
    with("--tls-key", &file("text"), "no private key");
    with("--tls-key", &file("encrypted"), "encrypted");
    with("--tls-cert", &key, "no certificate");
    with("--tls-key", &certificate, "no private key");
    with(
        "--tls-key",
        &file("other.key"),
        "keys may not be consistent",
    );
    let other = file("other.key");
    let both = format!("--tls-cert '{certificate}' with --tls-key '{other}': ");
    with("--tls-key", &other, &both);
    with("--tls-cert", &file("wrong"), &key);
    with("--tls-roots", &file("wrong"), "certificate 1 in");
    let own = ["--tls-cert", &certificate, "--tls-key", &key];
    // Of several files the bad one is named, and no other.
    let wrong = format!("--tls-roots: certificate 1 in '{}'", file("wrong"));
    let two = ["--tls-roots", &roots, "--tls-roots", &file("wrong")];
    refused(&[&own[..], &two].concat(), &[&wrong, "can't be used"]);
    for (bad, words) in [("text", "no certificate"), ("wrong", "can't be used")] {
        refused(
            &[&own[..], &["--tls-pinned", &file(bad)]].concat(),
            &["--tls-pinned", &file(bad), words],
        );
    }
}

#[test]
fn files_of_secrets_that_cannot_be_used() {
    let dir = TempDir::new();
    dir.write("spaces", "s3cret s3cret\n");
    dir.write("empty", "\n");
    dir.write("bytes", [0xff, 0xfe]);
    let file = |name: &str| format!("{}/{name}", dir.text());
    let node = ["node", "--local", "http://a:1", "--peers", "http://a:1"];
    for option in ["--shared-secret-file", "--jwt-secret-file"] {
        for (bad, words) in [
            (file("missing"), "can't be read"),
            (file("empty"), "is empty"),
            (file("bytes"), "can't be read"),
            ("/dev/zero".to_owned(), "more than"),
        ] {
            let key = match option {
                "--jwt-secret-file" => &["--jwt-access-key", "x"][..],
                _ => &[],
            };
            let words_of = [&node[..], &[option, &bad], key].concat();
            refused_with(&words_of, &[], &[option, &bad, words]);
        }
    }
    let alone = |more: &[&str], parts: &[&str]| {
        refused_with(&[&node[..], more].concat(), &[], parts);
    };
    let spaces = file("spaces");
    alone(
        &["--token-file", &spaces],
        &["--token-file", &spaces, "no header can carry"],
    );
    let variable = [("GRID_TOKEN", "s3cret\ns3cret")];
    refused_with(&node, &variable, &["GRID_TOKEN", "no header can carry"]);
    alone(
        &["--jwt-access-key", "x"],
        &["'x'", "--jwt-secret-file", "GRID_JWT_SECRET"],
    );
    alone(&["--jwt-access-key", ""], &["--jwt-access-key", "''"]);
    alone(
        &["--jwt-secret-file", "x"],
        &["--jwt-secret-file", "--jwt-access-key"],
    );
    alone(
        &[],
        &["GRID_TOKEN", "--shared-secret-file", "--jwt-access-key"],
    );
}

#[test]
fn lists_that_cannot_be_used() {
    let dir = TempDir::new();
    dir.write("foreign", "http://b:1\nhttp://c:1\n");
    dir.write("wrong", "http://a:1\n\nhttp://b{1..2}:1\n");
    dir.write("twice", "http://a:1\nhttp://a:1\n");
    let file = |name: &str| format!("{}/{name}", dir.text());
    let node = |option: &str, value: &str, parts: &[&str]| {
        let words = ["node", "--local", "http://a:1", option, value];
        refused_with(
            &words,
            &[("GRID_TOKEN", "s3cret")],
            &[&[option], parts].concat(),
        );
    };
    node(
        "--peers-file",
        &file("missing"),
        &[&file("missing"), "can't read"],
    );
    node("--peers-file", dir.text(), &[dir.text(), "no regular file"]);
    node(
        "--peers-file",
        &file("foreign"),
        &["--local", "http://a:1", "http://c:1"],
    );
    node(
        "--peers-file",
        &file("wrong"),
        &["line 3", "http://b{1..2}:1"],
    );
    node("--peers-file", &file("twice"), &["line 2", "http://a:1"]);
    for value in ["grid:9000", "a:grid", "a:grid:0", "srv:", "a:gr id:1"] {
        node("--peers-dns", value, &[&format!("'{value}'")]);
    }
    let server = ["--peers-dns", "a:grid:1", "--peers-dns-server", "ns"];
    let words = [&["node", "--local", "http://a:1"][..], &server].concat();
    refused_with(
        &words,
        &[("GRID_TOKEN", "s3cret")],
        &["--peers-dns-server", "'ns'"],
    );
    let local = ["node", "--local", "http://127.0.0.1:9001"];
    let words = [&local[..], &["--peers-dns", "a:localhost:9000"]].concat();
    let parts = ["--local: 'http://127.0.0.1:9001'", "port 9000"];
    refused_with(&words, &[("GRID_TOKEN", "s3cret")], &parts);
    let call = ["call", "9", "--to", "http://b:1", "--peers-file", "x"];
    refused_with(&call, &[], &["--local"]);
    let call = ["call", "9", "--to", "http://b:1", "--local", "http://a:1"];
    refused_with(&call, &[], &["--peers"]);
}
