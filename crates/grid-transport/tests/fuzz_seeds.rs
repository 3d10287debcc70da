//! The bodies of the fuzz targets: seeds, each of them damaged, and inputs made by chance.
#![cfg(feature = "__fuzzing")]

use std::{collections::BTreeMap, fs, panic, path::Path};

use grid_transport::fuzzing;
use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};

type Body = fn(&[u8]);

const TARGETS: [(&str, Body); 3] = [
    ("ws_frames", fuzzing::ws_frames),
    ("ws_written", fuzzing::ws_written),
    ("http_heads", fuzzing::http_heads),
];

fn seeds(target: &str) -> BTreeMap<String, Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz-seeds");
    let files = fs::read_dir(folder.join(target)).expect("a folder of seeds");
    let seed = |entry: std::io::Result<fs::DirEntry>| {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy();
        (name.into_owned(), fs::read(&path).expect("a seed"))
    };
    files.map(seed).collect()
}

#[track_caller]
fn holds(body: Body, input: &[u8], what: &str) {
    let outcome = panic::catch_unwind(|| body(input));
    assert!(outcome.is_ok(), "{what}: {input:02x?}");
}

#[test]
fn seeds_pass() {
    for (target, body) in TARGETS {
        let seeds = seeds(target);
        assert!(seeds.len() >= 6, "only {} seeds of {target}", seeds.len());
        for (name, input) in seeds {
            holds(body, &input, &format!("{target}/{name}"));
        }
    }
}

#[test]
fn what_the_fuzzer_found_passes() {
    for (target, body) in TARGETS {
        for input in fuzzing::kept(env!("CARGO_MANIFEST_DIR"), target) {
            holds(body, &input, &format!("{target}, kept"));
        }
    }
}

#[test]
fn damaged_seeds_pass() {
    for (target, body) in TARGETS {
        for (name, input) in seeds(target) {
            for at in 0..input.len() {
                holds(body, &input[..at], &format!("{target}/{name} cut"));
                let mut changed = input.clone();
                changed[at] ^= 0x55;
                holds(body, &changed, &format!("{target}/{name} changed"));
            }
        }
    }
}

#[test]
fn anything_passes() {
    let mut random = StdRng::seed_from_u64(1);
    for (target, body) in TARGETS {
        for _ in 0..1_000 {
            let mut input = vec![0; random.random_range(2..120)];
            random.fill_bytes(&mut input);
            holds(body, &input, target);
        }
    }
}
