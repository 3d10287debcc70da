//! The body of the fuzz target for operations on machines: seeds, and many inputs made by chance.
#![cfg(feature = "__fuzzing")]

use std::path::Path;

use grid_proto::fuzzing::conn_ops;

fn splitmix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn random(seed: u64) -> Vec<u8> {
    let mut state = seed;
    let len = 20 + splitmix(&mut state) % 600;
    let mode = seed as u8;
    let rest = (0..len).map(|_| (splitmix(&mut state) >> 32) as u8);
    std::iter::once(mode).chain(rest).collect()
}

#[test]
fn seeds_pass() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz-seeds/conn_ops");
    let mut count = 0;
    for file in std::fs::read_dir(directory).expect("a directory of seeds") {
        conn_ops(&std::fs::read(file.expect("an entry").path()).expect("a seed"));
        count += 1;
    }
    assert!(count >= 8, "only {count} seeds");
}

#[test]
fn anything_passes() {
    for seed in 0..4_000 {
        let input = random(seed);
        let outcome = std::panic::catch_unwind(|| conn_ops(&input));
        assert!(outcome.is_ok(), "input {seed}, mode {:#x}", input[0]);
    }
}
