//! Items through a channel.

fn main() -> anyhow::Result<()> {
    peer_harness::main::<peer_tonic::Tonic<false>>()
}
