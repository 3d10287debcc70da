//! What a command writes for its user: stdout, and files that are there whole or not at all.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use crate::failure::Failure;

/// Writes all of it to stdout at once; `what` is told where the reader has gone.
pub(crate) fn print(bytes: &[u8], what: &'static str) -> Result<(), Failure> {
    print_to(io::stdout().lock(), bytes, what)
}

fn print_to(mut to: impl Write, bytes: &[u8], what: &'static str) -> Result<(), Failure> {
    to.write_all(bytes)
        .and_then(|()| to.flush())
        .map_err(|error| lost(&error, what))
}

/// The failure of a write to stdout.
pub(crate) fn lost(error: &io::Error, what: &'static str) -> Failure {
    if error.kind() == io::ErrorKind::BrokenPipe {
        Failure::Unread(what)
    } else {
        Failure::failed(format!("{what}: can't be written: {error}"))
    }
}

/// Writes a file: whoever looks sees the old one or the new one, never a part.
pub(crate) fn write_file(path: &Path, content: &[u8]) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::failed(format!("'{}': {error}", path.display()));
    let draft =
        draft(path).ok_or_else(|| Failure::bad(format!("'{}' names no file", path.display())))?;
    let written = fs::write(&draft, content).and_then(|()| fs::rename(&draft, path));
    if written.is_err() {
        // It fails where there is none.
        let _ = fs::remove_file(&draft);
    }
    written.map_err(failed)
}

/// Says early that the file that `option` names could not be written later.
pub(crate) fn check_writable(option: &str, path: &Path) -> Result<(), Failure> {
    let refused = |why: &dyn std::fmt::Display| {
        Failure::bad(format!(
            "{option}: '{}' can't be written: {why}",
            path.display()
        ))
    };
    let draft = draft(path).ok_or_else(|| refused(&"it names no file"))?;
    if path.is_dir() {
        return Err(refused(&"it is a directory"));
    }
    fs::write(&draft, b"")
        .and_then(|()| fs::remove_file(&draft))
        .map_err(|error| refused(&error))
}

/// Where a file is written before it takes its place.
fn draft(path: &Path) -> Option<PathBuf> {
    let mut name = path.file_name()?.to_owned();
    name.push(format!(".{}.part", std::process::id()));
    Some(path.with_file_name(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes nothing, for the given reason.
    struct Full(io::ErrorKind);

    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_has_gone_is_no_broken_disk() {
        let gone = print_to(Full(io::ErrorKind::BrokenPipe), b"x", "the answer");
        assert_eq!(gone, Err(Failure::Unread("the answer")));
        let full = print_to(Full(io::ErrorKind::StorageFull), b"x", "the answer");
        assert!(matches!(full, Err(Failure::Failed(text)) if text.starts_with("the answer")));
    }

    #[test]
    fn what_could_not_be_written_is_known_before() {
        let dir = std::env::temp_dir().join(format!("grid-writable-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("a"), "old").unwrap();
        for name in ["a", "b"] {
            assert_eq!(check_writable("--plot", &dir.join(name)), Ok(()));
        }
        for path in [dir.clone(), dir.join("none/a"), dir.join("a/b"), "/".into()] {
            let line = check_writable("--plot", &path).unwrap_err().line();
            let start = format!("--plot: '{}' can't be written", path.display());
            assert!(line.starts_with(&start), "{line}");
        }
        // It leaves everything as it was.
        assert_eq!(fs::read(dir.join("a")).unwrap(), b"old");
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 1);
        fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn a_file_is_there_whole_or_not_at_all() {
        let dir = std::env::temp_dir().join(format!("grid-output-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let file = dir.join("a");
        write_file(&file, b"one").unwrap();
        write_file(&file, b"two").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"two");
        // A directory can't be replaced by a file; nothing is left behind.
        fs::create_dir(dir.join("b")).unwrap();
        fs::write(dir.join("b/c"), "x").unwrap();
        assert!(write_file(&dir.join("b"), b"x").is_err());
        assert!(write_file(&dir.join("none/a"), b"x").is_err());
        let mut names: Vec<_> = fs::read_dir(&dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        assert_eq!(names, ["a", "b"]);
        fs::remove_dir_all(&dir).unwrap();
    }
}
