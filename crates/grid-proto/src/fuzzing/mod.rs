//! Bodies of the fuzz targets: what must hold for any bytes at all.
//!
//! They live here and not beside the targets so that stable builds compile them and a plain test replays the seeds.
#![allow(
    missing_docs,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a body fails by panicking, as a test does"
)]

mod conn;
mod kept;
mod wire;

pub use conn::{conn_hostile, conn_pair};
pub use kept::kept;
pub use wire::{frame_decode, frame_roundtrip, merged, structures};
