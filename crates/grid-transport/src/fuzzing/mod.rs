//! Bodies of the fuzz targets: what must hold for any bytes at all.
//!
//! They live here and not beside the targets so that stable builds compile them and a plain test replays the seeds.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a body fails by panicking, as a test does"
)]

mod feed;
mod frames;
mod heads;
mod written;

pub use grid_proto::fuzzing::kept;

pub use self::{frames::ws_frames, heads::http_heads, written::ws_written};

/// Runs a future that waits for nothing but a [`Feed`](feed::Feed), which never lets one wait.
fn run<F: Future>(future: F) -> F::Output {
    thread_local! {
        static RUNTIME: tokio::runtime::Runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
    }
    RUNTIME.with(|runtime| runtime.block_on(future))
}
