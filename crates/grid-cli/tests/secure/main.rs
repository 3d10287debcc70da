//! Grids as operators run them: names for TLS, tokens of every kind, lists of peers that change.

mod certificates;
#[path = "../common/mod.rs"]
mod common;
mod grid;
mod lists;
mod name_server;
mod refused;
mod renewal;
mod tls;
mod tokens;
