//! `grid top` beside real nodes: printed, as JSON, live on a terminal; and the status over HTTP.

#[path = "../common/mod.rs"]
mod common;

mod http;
mod live;
mod pair;
mod plain;
mod terminal;
