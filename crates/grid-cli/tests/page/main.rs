//! The page of `grid node --status`: who may read it, what it shows, and how a browser shows it.

#[path = "../common/mod.rs"]
mod common;

mod access;
mod browser;
mod figures;
mod happened;
mod hostile;
mod http;
mod mesh;
mod nodes;
mod places;
mod rounds;
mod screens;
mod usage;
mod watched;
