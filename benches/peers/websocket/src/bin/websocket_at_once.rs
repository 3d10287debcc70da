//! Writes as soon as there is anything.

fn main() -> anyhow::Result<()> {
    peer_harness::main::<peer_websocket::Mux<false>>()
}
