//! Certificates that are changed while nodes run.

use crate::{
    certificates::Authority,
    common::{Grid, PATIENCE, cluster::words, status::status},
    grid::{HOST, Secure},
};

/// How often the link of `a` to `b` came up again.
fn reconnects(grid: &Secure) -> u64 {
    let status = status(&grid.file("a.sock"));
    let links = status["links"].as_array().unwrap();
    let link = links.iter().find(|link| link["remote"] == *grid.names.b);
    link.unwrap()["reconnects"].as_u64().unwrap()
}

fn was_read_again(node: &mut Grid) {
    node.wait_for(&["INFO", "grid::tls", "were read again"], PATIENCE);
}

#[test]
fn a_new_certificate_is_shown_and_no_link_is_dropped() {
    let mut grid = Secure::start(&["--tls-mutual"]);
    let new = Authority::new();
    let both = format!("{}{}", grid.authority.root, new.root);
    // First both authorities are trusted, then the new one certifies.
    for who in ["a", "b"] {
        grid.dir.write(&format!("{who}.roots"), &both);
    }
    was_read_again(&mut grid.a);
    was_read_again(&mut grid.b);
    new.write(&grid.dir, "b", HOST);
    grid.dir.write("b.roots", &both);
    was_read_again(&mut grid.b);

    grid.calls(&grid.via());
    assert_eq!(reconnects(&grid), 0);
    let output = grid.call(&grid.dialing());
    assert_eq!(output.code, Some(3), "{output:?}");
    assert!(output.line().contains("UnknownIssuer"), "{output:?}");
    grid.dir.write("spare.roots", &new.root);
    grid.calls(&grid.dialing());
}

#[test]
fn what_cannot_be_used_is_told_and_changes_nothing() {
    let mut grid = Secure::start(&[]);
    let (file, key) = (grid.file("b.pem"), grid.file("b.key"));
    let told = |node: &mut Grid, parts: &[&str]| {
        let parts = [&["WARN", "grid::tls", "the last good ones stay"], parts].concat();
        node.wait_for(&parts, PATIENCE);
    };
    let roots = words(&["--tls-roots", &grid.file("spare.roots")]);
    grid.dir.write("b.pem", "no certificate");
    told(&mut grid.b, &["--tls-cert", &file, "no certificate"]);
    grid.calls(&grid.dialing_with(&roots));
    // A new certificate whose key is not there yet.
    let (certificate, its_key) = grid.authority.certify(HOST);
    grid.dir.write("b.pem", certificate);
    told(&mut grid.b, &["--tls-cert", &file, "--tls-key", &key]);
    std::fs::remove_file(&key).unwrap();
    told(&mut grid.b, &["--tls-key", &key, "can't be read"]);
    grid.calls(&grid.dialing_with(&roots));
    grid.dir.write("b.key", its_key);
    was_read_again(&mut grid.b);
    grid.calls(&grid.dialing_with(&roots));
    assert_eq!(reconnects(&grid), 0);
}
