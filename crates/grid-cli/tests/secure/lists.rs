//! Lists of peers that change while nodes run: in a file, and behind a name in DNS.

use std::net::{Ipv4Addr, TcpListener};

use crate::{
    common::{
        Grid, PATIENCE, TempDir,
        cluster::{Names, run, words},
    },
    name_server::{NameServer, Record},
};

fn node(local: &str, more: &[&str]) -> Grid {
    // Looked at far more often than by default: what is tested are the changes, not the wait.
    let node = ["node", "--local", local, "--reread", "0.2"];
    Grid::start(&[&node[..], more].concat())
}

#[test]
fn a_link_comes_and_goes_as_a_file_says() {
    let (dir, names) = (TempDir::new(), Names::find("http"));
    let listen = ["--listen", "127.0.0.1:0"];
    let file = |who: &str| format!("{}/{who}", dir.text());
    dir.write(
        "b",
        format!(
            "# both, and a spare one\n{}\n{}\n{}\n",
            names.a, names.b, names.dialer
        ),
    );
    let mut b = node(
        &names.b,
        &[&["--peers-file", &file("b")], &listen[..]].concat(),
    );
    let to_b = format!("{}={}", names.b, b.address());
    dir.write("a", &names.a);
    let mut a = node(
        &names.a,
        &[&["--peers-file", &file("a"), "--dial", &to_b], &listen[..]].concat(),
    );
    a.address();

    dir.write("a", format!("{}\n{}\n", names.a, names.b));
    // The list and its link tell of it in either order.
    let changed = ["grid::peers", "has changed", &names.b];
    let connected = ["link state", &names.b, "connected to"];
    a.wait_for_all(&[&changed, &connected], PATIENCE);
    b.wait_for(&["link state", &names.a, "connected to"], PATIENCE);

    // What is wrong changes nothing.
    dir.write("a", format!("{}\nnode-b:9000\n", names.a));
    a.wait_for(&["WARN", &file("a"), "line 2", "node-b:9000"], PATIENCE);
    // Neither does what a node would not have been started with.
    let secure = "https://127.0.0.1:9";
    dir.write("a", format!("{}\n{secure}\n", names.a));
    a.wait_for(&["WARN", &file("a"), secure, "--tls-roots"], PATIENCE);
    dir.write("a", format!("{}\nhttp://b\nhttp://b:80\n", names.a));
    a.wait_for(&["WARN", &file("a"), "the same address"], PATIENCE);
    // A command that joins reads the same file.
    let joins = [
        "--peers-file",
        &file("b"),
        "--local",
        &names.dialer,
        "--to",
        &names.b,
    ];
    let mut way = words(&joins);
    way.extend(words(&["--dial", &to_b, "--listen", "127.0.0.1:0"]));
    let output = run(&["call", "9", "hello"], &way, b"");
    assert_eq!(
        (output.code, output.text()),
        (Some(0), "hello"),
        "{output:?}"
    );

    dir.write("a", format!("{}\n{}\n", names.a, names.listener));
    let changed = ["grid::peers", "has changed", &names.listener];
    let gone = ["link state", &names.b, "no peer any more"];
    a.wait_for_all(&[&changed, &gone], PATIENCE);
}

/// A port that is free on all of these addresses.
fn port(hosts: &[Ipv4Addr]) -> u16 {
    let free = |_| {
        let first = TcpListener::bind((hosts[0], 0)).unwrap();
        let port = first.local_addr().unwrap().port();
        let rest: Result<Vec<_>, _> = hosts[1..]
            .iter()
            .map(|host| TcpListener::bind((*host, port)))
            .collect();
        rest.ok().map(|_| port)
    };
    (0..100).find_map(free).expect("a free port")
}

#[test]
fn a_link_comes_and_goes_as_dns_says() {
    let hosts = [1, 2, 3].map(|last| Ipv4Addr::new(127, 0, 0, last));
    let port = port(&hosts);
    let [one, two, three] = hosts.map(|host| format!("http://{host}:{port}"));
    let [a, b, c] = hosts.map(Record::A);
    let server = NameServer::start(vec![a.clone()]);
    let address = server.address.to_string();
    let list = format!("a:grid.example.test.:{port}");
    let dns = ["--peers-dns", &*list, "--peers-dns-server", &*address];
    let mut first = node(&one, &dns);
    first.address();
    let mut second = node(&two, &dns);
    second.wait_for(&["WARN", "grid::peers", &two, "is not among"], PATIENCE);

    server.says(vec![a.clone(), b, c.clone()]);
    first.wait_for(&["link state", &two, "connected to"], PATIENCE);
    second.wait_for(&["link state", &one, "connected to"], PATIENCE);
    let mut way = words(&["--local", &three, "--to", &two]);
    way.extend(words(&dns));
    let output = run(&["call", "9", "hello"], &way, b"");
    assert_eq!(
        (output.code, output.text()),
        (Some(0), "hello"),
        "{output:?}"
    );

    server.says(vec![a, c]);
    first.wait_for(&["link state", &two, "no peer any more"], PATIENCE);
}

#[test]
fn a_command_asks_for_the_hosts_of_a_service_and_says_what_is_not_there() {
    let server = NameServer::start(vec![
        Record::Service("node-1.example.test", 9001),
        Record::Service("node-2.example.test", 9002),
    ]);
    let address = server.address.to_string();
    let way = |local: &str, to: &str| {
        let list = ["--peers-dns", "srv:_grid._tcp.example.test."];
        let mut way = words(&["--local", local, "--to", to, "--peers-dns-server", &address]);
        way.extend(words(&list));
        way
    };
    let (one, two) = (
        "http://node-1.example.test:9001",
        "http://node-2.example.test:9002",
    );
    let other = "http://node-3.example.test:9003";
    let output = run(&["call", "9", "hello"], &way(other, one), b"");
    assert_eq!(output.code, Some(2), "{output:?}");
    let line = output.line();
    assert!(
        line.contains(other) && line.contains(one) && line.contains("--peers-dns"),
        "{line}"
    );
    let output = run(&["call", "9", "hello"], &way(one, other), b"");
    assert!(
        output.line().contains("--to") && output.line().contains(two),
        "{output:?}"
    );

    server.says(Vec::new());
    let output = run(&["call", "9", "hello"], &way(one, two), b"");
    assert_eq!(output.code, Some(3), "{output:?}");
    assert!(
        output.line().contains("--peers-dns: no SRV records"),
        "{output:?}"
    );
}
