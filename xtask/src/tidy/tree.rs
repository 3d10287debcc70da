//! The files that the checks look at, in memory.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

/// Folders that are not ours to check.
const SKIPPED: [&str; 6] = [
    "target",
    ".git",
    "artifacts",
    "coverage",
    "corpus",
    "node_modules",
];

/// Texts by their path from the root, with `/` between the parts.
#[derive(Debug, Default)]
pub(super) struct Tree {
    files: BTreeMap<String, String>,
}

impl Tree {
    /// Reads the tree below a root. Files whose contents no check needs are there by name only.
    pub(super) fn load(root: &Path) -> io::Result<Self> {
        let mut tree = Self::default();
        tree.load_folder(root, "")?;
        Ok(tree)
    }

    fn load_folder(&mut self, folder: &Path, prefix: &str) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = format!("{prefix}{name}");
            let kind = entry.file_type()?;
            if kind.is_dir() && !SKIPPED.contains(&name.as_str()) {
                self.load_folder(&entry.path(), &format!("{path}/"))?;
            } else if kind.is_file() {
                let read = [".rs", ".md", ".toml", ".txt"]
                    .iter()
                    .any(|end| name.ends_with(end));
                let text = if read {
                    fs::read_to_string(entry.path())?
                } else {
                    String::new()
                };
                self.files.insert(path, text);
            }
        }
        Ok(())
    }

    /// The text of a file.
    pub(super) fn get(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    /// All files whose path begins and ends so.
    pub(super) fn matching<'a>(
        &'a self,
        start: &'a str,
        end: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.files
            .iter()
            .map(|(path, text)| (path.as_str(), text.as_str()))
            .filter(move |(path, _)| path.starts_with(start) && path.ends_with(end))
    }

    /// All Rust files, xtask's and the fuzz targets' among them.
    pub(super) fn rust(&self) -> impl Iterator<Item = (&str, &str)> {
        self.matching("", ".rs")
    }

    /// The Rust files of `crates/*/src`.
    pub(super) fn sources(&self) -> impl Iterator<Item = (&str, &str)> {
        self.matching("crates/", ".rs")
            .filter(|(path, _)| path.split('/').nth(2) == Some("src"))
    }

    /// A tree for a test.
    #[cfg(test)]
    pub(super) fn of<const N: usize>(files: [(&str, &str); N]) -> Self {
        let files = files.map(|(path, text)| (path.to_owned(), text.to_owned()));
        Self {
            files: files.into(),
        }
    }
}
