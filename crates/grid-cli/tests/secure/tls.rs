//! Who is let in where names are for TLS, and what is said of who is not.

use crate::{
    certificates::Authority,
    common::{
        PATIENCE,
        cluster::{run, words},
    },
    grid::Secure,
};

#[test]
fn a_grid_with_certificates_and_web_tokens_works_by_every_way_and_command() {
    let grid = Secure::start(&["--tls-mutual"]);
    for way in [grid.via(), grid.dialing(), grid.listening()] {
        grid.calls(&way);
        let pinged = run(&["ping", "--count", "2", "--interval", "0.05"], &way, b"");
        assert_eq!(pinged.code, Some(0), "{pinged:?}");
        let streamed = run(&["stream", "10", "--in", "1"], &way, b"one\ntwo\n");
        assert_eq!(streamed.text(), "one\ntwo\n", "{streamed:?}");
        let load = [
            "load",
            "--seconds",
            "0.3",
            "--warmup",
            "0.1",
            "--json",
            "-q",
        ];
        let loaded = run(&load, &way, b"");
        assert_eq!(loaded.code, Some(0), "{loaded:?}");
    }
}

#[test]
fn with_mutual_tls_nobody_comes_without_a_certificate_or_under_the_name_of_another() {
    let mut grid = Secure::start(&["--tls-mutual"]);
    let roots = words(&["--tls-roots", &grid.file("spare.roots")]);
    let patient = |mut way: Vec<String>| {
        way.extend(words(&["--connect-timeout", "2s"]));
        way
    };
    let output = grid.call(&patient(grid.dialing_with(&roots)));
    assert_eq!(output.code, Some(3), "{output:?}");
    assert!(output.line().contains("CertificateRequired"), "{output:?}");

    grid.authority.write(&grid.dir, "spare", "127.0.0.9");
    let output = grid.call(&grid.dialing());
    assert_eq!(output.code, Some(3), "{output:?}");
    let name = &grid.names.dialer;
    let words = format!("certificate does not prove that it is {name}");
    assert!(output.line().contains(&words), "{output:?}");
    grid.b
        .wait_for(&["WARN", "connection rejected", &words], PATIENCE);
}

#[test]
fn without_mutual_tls_who_dials_needs_roots_alone() {
    let grid = Secure::start(&[]);
    let with = |option: &str, file: &str| grid.dialing_with(&words(&[option, &grid.file(file)]));
    grid.calls(&with("--tls-roots", "spare.roots"));
    grid.calls(&with("--tls-pinned", "b.pem"));
    // Who is dialed has to have one.
    let mut way = grid.listening();
    way.retain(|word| {
        !word.starts_with("--tls-") && !word.ends_with(".pem") && !word.ends_with(".key")
    });
    let at = way
        .iter()
        .position(|word| word.ends_with(".roots"))
        .unwrap();
    way.insert(at, "--tls-roots".to_owned());
    let output = grid.call(&way);
    assert_eq!(output.code, Some(2), "{output:?}");
    assert!(output.line().contains("--tls-cert"), "{output:?}");
}

#[test]
fn a_wrong_certificate_ends_a_command_at_once() {
    let grid = Secure::start(&[]);
    grid.dir.write("other.roots", &Authority::new().root);
    for (option, file) in [("--tls-roots", "other.roots"), ("--tls-pinned", "a.pem")] {
        let mut way = grid.dialing_with(&words(&[option, &grid.file(file)]));
        // Longer than the test waits for a command.
        way.extend(words(&["--connect-timeout", "1h"]));
        let output = grid.call(&way);
        assert_eq!(output.code, Some(3), "{output:?}");
        let line = output.line();
        assert!(
            line.contains("TLS: invalid peer certificate: UnknownIssuer"),
            "{line}"
        );
    }
}

#[test]
fn the_authorities_that_the_system_trusts_are_trusted_where_that_is_asked_for() {
    let grid = Secure::start(&[]);
    let way = grid.dialing_with(&words(&["--tls-platform-roots"]));
    let roots = grid.file("spare.roots");
    grid.dir.write("other.roots", &Authority::new().root);
    for (trusted, code) in [(roots, 0), (grid.file("other.roots"), 3)] {
        let mut words = words(&["call", "9", "hello"]);
        words.extend(way.iter().cloned());
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let environment = [("SSL_CERT_FILE", &*trusted), ("SSL_CERT_DIR", "")];
        let ended = crate::common::Grid::start_with(&words, &environment).ended(PATIENCE);
        assert_eq!(ended.status.code(), Some(code), "{ended:?}");
    }
}
