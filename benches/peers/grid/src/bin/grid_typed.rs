//! Structs in place of bytes.

fn main() -> anyhow::Result<()> {
    peer_harness::main::<peer_grid::typed::Structs>()
}
