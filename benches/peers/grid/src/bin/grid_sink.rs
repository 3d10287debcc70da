//! Names that begin with http, and items through the sinks of streams.

fn main() -> anyhow::Result<()> {
    peer_harness::main::<peer_grid::Grid<false, false, true>>()
}
