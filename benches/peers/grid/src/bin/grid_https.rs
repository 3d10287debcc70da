//! Names that begin with https.

fn main() -> anyhow::Result<()> {
    peer_harness::main::<peer_grid::Grid<true, false>>()
}
