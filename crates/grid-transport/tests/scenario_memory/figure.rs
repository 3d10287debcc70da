//! The figure that `docs/operations.md` gives, by its formula.

use std::{fs, path::Path};

use grid_transport::Settings;

use crate::scale::in_full;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// What a connection, an open request and an open stream take beside what the limits count.
const CONNECTION: usize = MIB;
const REQUEST: usize = 2 * KIB;
const STREAM: usize = 4 * KIB;
/// What the answers that count 1 byte of `max_control` take.
const CONTROL: usize = 16;

/// The most that one link can hold.
pub(crate) fn link(settings: &Settings) -> usize {
    settings.max_inbound
        + settings.max_queued
        + 6 * settings.max_message
        + CONTROL * settings.max_control
        + REQUEST * settings.max_requests
        + STREAM * settings.max_streams
        + CONNECTION
}

/// The most that a node with so many links and threads can hold.
pub(crate) fn node(settings: &Settings, links: usize, threads: usize) -> usize {
    settings.max_inbound_node
        + settings.max_queued_node
        + 4 * threads * settings.max_message
        + REQUEST * settings.max_handlers
        + settings.max_handshakes * handshake(settings)
        + links
            * (3 * settings.max_message
                + CONTROL * settings.max_control
                + STREAM * settings.max_streams
                + CONNECTION)
}

/// The most that a connection can hold before it is one of a link.
pub(crate) fn handshake(settings: &Settings) -> usize {
    2 * settings.max_handshake_message + settings.max_head + 16 * KIB
}

/// The defaults, or those limits that are memory scaled down together.
pub(crate) fn settings() -> Settings {
    let settings = crate::node::settings()
        .write_timeout(std::time::Duration::from_secs(600))
        .handshake_timeout(std::time::Duration::from_secs(600));
    if in_full() {
        return settings;
    }
    println!("memory: scaled to limits of 1/32 of the defaults");
    let of = |value: usize| value / 32;
    let defaults = Settings::new();
    settings
        .max_message(of(defaults.max_message))
        .max_queued(of(defaults.max_queued))
        .max_queued_node(of(defaults.max_queued_node))
        .max_inbound(of(defaults.max_inbound))
        .max_inbound_node(of(defaults.max_inbound_node))
        .max_control(of(defaults.max_control))
        .max_requests(of(defaults.max_requests))
        .max_handlers(of(defaults.max_handlers))
        .max_streams(of(defaults.max_streams))
        .max_handshakes(of(defaults.max_handshakes))
}

#[test]
fn the_figures_for_the_defaults_are_those_of_the_docs() {
    // A packaged crate is without the pages of the repository.
    let page = Path::new("../../docs/operations.md");
    let Ok(docs) = fs::read_to_string(page) else {
        assert!(!page.with_file_name("architecture.md").exists());
        return println!("not compared: there is no docs/operations.md");
    };
    let defaults = Settings::new();
    let figures = [
        (link(&defaults), "one link"),
        (node(&defaults, 64, 8), "a node with 64 links and 8 threads"),
    ];
    for (figure, what) in figures {
        let row = format!("| {what} | {} MiB |", figure.div_ceil(MIB));
        assert!(docs.contains(&row), "docs/operations.md lacks {row:?}");
    }
}
