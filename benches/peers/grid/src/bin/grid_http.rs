//! Names that begin with http.

fn main() -> anyhow::Result<()> {
    peer_harness::main::<peer_grid::Grid<false, false>>()
}
