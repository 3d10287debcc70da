//! Secrets that stand in files.

use std::{fs, io::Read, path::Path};

use crate::failure::Failure;

/// No secret has so many bytes; a file that never ends is not read for ever.
const LARGEST_FILE: u64 = 64 * 1024;

/// The text in the file that was given by `option`, without the line end behind it.
pub(crate) fn from_file(option: &str, path: &Path) -> Result<String, Failure> {
    let shown = path.display();
    let mut content = String::new();
    fs::File::open(path)
        .and_then(|file| file.take(LARGEST_FILE + 1).read_to_string(&mut content))
        .map_err(|error| Failure::bad(format!("{option}: '{shown}' can't be read: {error}")))?;
    if content.len() as u64 > LARGEST_FILE {
        return Err(Failure::bad(format!(
            "{option}: '{shown}' has more than {LARGEST_FILE} bytes"
        )));
    }
    let text = content.trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        return Err(Failure::bad(format!("{option}: '{shown}' is empty")));
    }
    Ok(text.to_owned())
}
