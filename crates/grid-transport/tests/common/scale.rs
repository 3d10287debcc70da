//! How big a scenario is run: scaled down as a rule, in full where `GRID_SCALE=full` is set, as by `cargo xtask soak`.

#![allow(
    clippy::print_stdout,
    reason = "what was scaled down stands in the output of the test"
)]
#![allow(dead_code, reason = "each test target uses its own part")]

/// `full` where everything runs in full, else `normal`; says which, so that no scaled row passes for a full one.
pub(crate) fn scaled<T: std::fmt::Display>(row: &str, what: &str, normal: T, full: T) -> T {
    if in_full() {
        return full;
    }
    println!("{row}: scaled to {normal} of {full} {what}");
    normal
}

/// Whether rows run in full.
pub(crate) fn in_full() -> bool {
    std::env::var("GRID_SCALE").is_ok_and(|scale| scale == "full")
}
