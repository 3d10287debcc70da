//! The fuzz target's seeds, replayed.

#![cfg(feature = "__fuzzing")]

use std::fs;
use std::path::Path;

#[test]
fn typed_values() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz-seeds/typed_values");
    let mut replayed = 0;
    for seed in fs::read_dir(seeds).expect("the seeds are there") {
        let seed = seed.expect("a seed").path();
        grid_typed::fuzzing::typed_values(&fs::read(seed).expect("readable"));
        replayed += 1;
    }
    for input in grid_typed::fuzzing::kept(env!("CARGO_MANIFEST_DIR"), "typed_values") {
        grid_typed::fuzzing::typed_values(&input);
    }
    assert!(replayed >= 60, "{replayed} seeds");
}
