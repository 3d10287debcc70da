//! Items from the stream that makes them.

fn main() -> anyhow::Result<()> {
    peer_harness::main::<peer_tonic::Tonic<true>>()
}
