//! The bodies of the fuzz targets for operations on machines: seeds, and many inputs made by chance.
#![cfg(feature = "__fuzzing")]

use std::path::Path;

use grid_proto::fuzzing::{conn_hostile, conn_pair, kept};

type Body = fn(&[u8]);

const TARGETS: [(&str, Body); 2] = [("conn_pair", conn_pair), ("conn_hostile", conn_hostile)];

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
    for (target, body) in TARGETS {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz-seeds");
        let mut count = 0;
        for file in std::fs::read_dir(directory.join(target)).expect("a directory of seeds") {
            body(&std::fs::read(file.expect("an entry").path()).expect("a seed"));
            count += 1;
        }
        assert!(count >= 4, "only {count} seeds of {target}");
    }
}

#[test]
fn what_the_fuzzer_found_passes() {
    for (target, body) in TARGETS {
        for input in kept(env!("CARGO_MANIFEST_DIR"), target) {
            let outcome = std::panic::catch_unwind(|| body(&input));
            assert!(outcome.is_ok(), "{target}: {input:02x?}");
        }
    }
}

#[test]
fn anything_passes() {
    for (target, body) in TARGETS {
        for seed in 0..2_000 {
            let input = random(seed);
            let outcome = std::panic::catch_unwind(|| body(&input));
            assert!(
                outcome.is_ok(),
                "{target}: input {seed}, mode {:#x}",
                input[0]
            );
        }
    }
}
