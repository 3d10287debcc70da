//! The corpora that the repository keeps; a packaged crate has none.

use std::{fs, path::Path};

/// The inputs kept for a target, one behind the other in `fuzz/corpus/NAME.bin`, each after its length as four bytes, the
/// lowest first. `manifest` is the folder of a crate of the workspace.
pub fn kept(manifest: &str, target: &str) -> Vec<Vec<u8>> {
    let file = Path::new(manifest).join(format!("../../fuzz/corpus/{target}.bin"));
    let Ok(bytes) = fs::read(file) else {
        return Vec::new();
    };
    let mut rest = &bytes[..];
    let mut inputs = Vec::new();
    while let Some((len, after)) = rest.split_first_chunk::<4>() {
        let len = u32::from_le_bytes(*len) as usize;
        let (input, after) = after.split_at_checked(len).unwrap();
        inputs.push(input.to_vec());
        rest = after;
    }
    assert!(rest.is_empty(), "the corpus of {target} is cut short");
    inputs
}
