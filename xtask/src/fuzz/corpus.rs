//! What the fuzzer has found worth keeping, one file a target: `fuzz/corpus/NAME.bin`.
//!
//! A file holds inputs one behind the other, each after its length as four bytes, the lowest first. Thousands of little
//! files would burden every clone; the tests that replay them read this form.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

/// The most that is kept of all targets together.
const MOST: u64 = 2 << 20;

/// Writes the inputs of a packed file into a folder, each under a name of its own; none where there is no file.
pub(super) fn unpack(packed: &Path, folder: &Path) -> io::Result<usize> {
    let bytes = match fs::read(packed) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        read => read?,
    };
    let inputs = split(&bytes).ok_or(io::ErrorKind::InvalidData)?;
    for (index, input) in inputs.iter().enumerate() {
        fs::write(folder.join(format!("kept-{index:05}")), input)?;
    }
    Ok(inputs.len())
}

/// Packs the inputs of a folder, small ones first; those that are `known` are left out.
pub(super) fn pack(folder: &Path, known: &BTreeSet<Vec<u8>>, packed: &Path) -> io::Result<usize> {
    let mut inputs = BTreeSet::new();
    for entry in fs::read_dir(folder)? {
        let input = fs::read(entry?.path())?;
        if !known.contains(&input) {
            inputs.insert((input.len(), input));
        }
    }
    let mut bytes = Vec::new();
    for (len, input) in &inputs {
        let len = u32::try_from(*len).map_err(|_| io::ErrorKind::InvalidData)?;
        bytes.extend_from_slice(&len.to_le_bytes());
        bytes.extend_from_slice(input);
    }
    if let Some(parent) = packed.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(packed, bytes)?;
    Ok(inputs.len())
}

/// An error where all that is kept is more than a clone should carry.
pub(super) fn check_size(folder: &Path) -> Result<u64, String> {
    let entries = fs::read_dir(folder).map_err(|error| error.to_string())?;
    let sizes = entries
        .flatten()
        .filter_map(|entry| entry.metadata().ok())
        .map(|metadata| metadata.len());
    let total: u64 = sizes.sum();
    if total > MOST {
        return Err(format!("the corpora have {total} bytes, above {MOST}"));
    }
    Ok(total)
}

fn split(mut bytes: &[u8]) -> Option<Vec<&[u8]>> {
    let mut inputs = Vec::new();
    while !bytes.is_empty() {
        let (len, rest) = bytes.split_first_chunk::<4>()?;
        let len = usize::try_from(u32::from_le_bytes(*len)).ok()?;
        let (input, rest) = rest.split_at_checked(len)?;
        inputs.push(input);
        bytes = rest;
    }
    Some(inputs)
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn what_was_packed_is_unpacked() -> io::Result<()> {
        let home = std::env::temp_dir().join(format!("grid-corpus-{}", std::process::id()));
        let (one, two) = (home.join("one"), home.join("two"));
        fs::create_dir_all(&one)?;
        fs::create_dir_all(&two)?;
        for (name, input) in [("a", "longer"), ("b", ""), ("c", "x"), ("d", "known")] {
            fs::write(one.join(name), input)?;
        }
        let known = BTreeSet::from([b"known".to_vec()]);
        let packed = home.join("packed/t.bin");
        assert_eq!(pack(&one, &known, &packed)?, 3);
        assert_eq!(unpack(&packed, &two)?, 3);
        assert_eq!(fs::read(two.join("kept-00002"))?, b"longer");
        assert_eq!(unpack(&home.join("nothing"), &two)?, 0);
        fs::write(&packed, [9, 0, 0, 0, 1])?;
        assert!(unpack(&packed, &two).is_err(), "cut short");
        fs::remove_dir_all(home)
    }
}
