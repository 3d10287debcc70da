//! Waits for what others are about to add.

fn main() -> anyhow::Result<()> {
    peer_harness::main::<peer_websocket::Mux<true>>()
}
