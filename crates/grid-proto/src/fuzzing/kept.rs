//! The corpora that the repository keeps, where it keeps any; a packaged crate has none.

use std::{fs, path::Path};

/// The inputs kept for a target, one behind the other in `fuzz/corpus/NAME.bin`, each after its length as four bytes, the
/// lowest first. `manifest` is the folder of a crate of the workspace. Where there are targets each has a corpus.
pub fn kept(manifest: &str, target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(manifest).join("../../fuzz");
    // The crates that the checks unpack lie beside a folder of that name as well, in which the fuzzers work.
    if !folder.join("Cargo.toml").is_file() {
        return Vec::new();
    }
    let file = folder.join("corpus").join(format!("{target}.bin"));
    let bytes = fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let mut rest = &bytes[..];
    let mut inputs = Vec::new();
    while let Some((len, after)) = rest.split_first_chunk::<4>() {
        let len = u32::from_le_bytes(*len) as usize;
        let (input, after) = after.split_at_checked(len).unwrap();
        inputs.push(input.to_vec());
        rest = after;
    }
    assert!(rest.is_empty(), "the corpus of {target} is cut short");
    assert!(!inputs.is_empty(), "the corpus of {target} is empty");
    inputs
}
