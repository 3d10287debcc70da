//! Names that begin with http, and links on a worker of their own.

fn main() -> anyhow::Result<()> {
    peer_harness::main::<peer_grid::Grid<false, true>>()
}
