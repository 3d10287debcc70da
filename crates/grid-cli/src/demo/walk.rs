//! What a node knows of the directory tree: every regular file with its size, time and hash.

use std::{
    collections::BTreeMap,
    fs, io,
    io::Read,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::SystemTime,
};

use nix::libc::{O_NOFOLLOW, O_NONBLOCK};
use sha2::{Digest, Sha256};

/// Directories that are not walked, wherever they are.
const LEFT_OUT: [&str; 2] = ["target", ".git"];
const BUFFER: usize = 64 * 1024;

/// The hash of a file's content.
pub(super) type ContentHash = [u8; 32];

/// A file as it was when it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) size: u64,
    pub(super) modified: Option<SystemTime>,
    pub(super) hash: ContentHash,
}

/// The files of a tree by their paths relative to its root, with `/` between the parts.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    root: PathBuf,
    files: BTreeMap<String, Known>,
    /// What changed after this may differ between nodes.
    began: SystemTime,
    skipped: u64,
    /// How many changes second looks have found, and which was the newest of each path.
    changes: u64,
    changed: BTreeMap<String, u64>,
}

impl Tree {
    /// The tree of a node that has not walked yet.
    pub(super) fn empty(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            files: BTreeMap::new(),
            began: SystemTime::UNIX_EPOCH,
            skipped: 0,
            changes: 0,
            changed: BTreeMap::new(),
        }
    }

    /// Walks a directory and reads every regular file in it; `on_read` gets the number of files so
    /// far with every piece that is read. What can't be read, and names that are no text, are
    /// counted as skipped.
    ///
    /// # Errors
    ///
    /// The root can't be read.
    pub(super) fn walk(
        root: &Path,
        began: SystemTime,
        mut on_read: impl FnMut(u64),
    ) -> io::Result<Self> {
        let mut tree = Self {
            began,
            ..Self::empty(root)
        };
        let mut waiting = vec![(String::new(), fs::read_dir(root)?)];
        while let Some((prefix, entries)) = waiting.pop() {
            for entry in entries {
                match entry.and_then(|entry| tree.visit(&prefix, &entry, &mut on_read)) {
                    Ok(Some(directory)) => waiting.push(directory),
                    Ok(None) => {}
                    Err(_) => tree.skipped += 1,
                }
            }
        }
        Ok(tree)
    }

    /// The files in the order of their paths.
    pub(super) fn files(&self) -> impl Iterator<Item = (&str, &Known)> {
        self.files
            .iter()
            .map(|(path, known)| (path.as_str(), known))
    }

    pub(super) fn get(&self, path: &str) -> Option<&Known> {
        self.files.get(path)
    }

    pub(super) fn bytes(&self) -> u64 {
        self.files.values().map(|known| known.size).sum()
    }

    pub(super) fn skipped(&self) -> u64 {
        self.skipped
    }

    /// The list that a peer gets: every path with the place where it lies.
    pub(super) fn places(&self) -> Vec<(String, PathBuf)> {
        self.files
            .keys()
            .map(|path| (path.clone(), self.root.join(path)))
            .collect()
    }

    /// Where a file lies on the disk. Only paths that the walk found are ever opened for a peer,
    /// so it can't ask for others.
    pub(super) fn locate(&self, path: &str) -> Option<PathBuf> {
        self.files.contains_key(path).then(|| self.root.join(path))
    }

    /// The place of a path, known or not, for a second look without the tree.
    pub(super) fn place(&self, path: &str) -> Place {
        Place {
            path: self.root.join(path),
            began: self.began,
        }
    }

    /// How many changes second looks have found so far: a moment in the life of this tree.
    pub(super) fn changes(&self) -> u64 {
        self.changes
    }

    /// Whether a change of a path was found after that moment.
    pub(super) fn has_changed(&self, path: &str, since: u64) -> bool {
        self.changed.get(path).is_some_and(|change| *change > since)
    }

    /// Puts what a second look found in the place of what was known.
    pub(super) fn update(&mut self, path: &str, now: Option<Known>) {
        if self.files.get(path) == now.as_ref() {
            return;
        }
        self.changes += 1;
        self.changed.insert(path.to_owned(), self.changes);
        match now {
            Some(known) => {
                self.files.insert(path.to_owned(), known);
            }
            None => {
                self.files.remove(path);
            }
        }
    }

    /// Takes in a file, or returns a directory to be walked.
    fn visit(
        &mut self,
        prefix: &str,
        entry: &fs::DirEntry,
        on_read: &mut impl FnMut(u64),
    ) -> io::Result<Option<(String, fs::ReadDir)>> {
        let kind = entry.file_type()?;
        let name = entry.file_name();
        let name = name.to_str().ok_or(io::ErrorKind::InvalidFilename)?;
        if LEFT_OUT.contains(&name) {
            return Ok(None);
        }
        let path = format!("{prefix}{name}");
        if kind.is_dir() {
            return Ok(Some((format!("{path}/"), fs::read_dir(entry.path())?)));
        }
        if kind.is_file() {
            let files = self.files.len() as u64;
            let known = Known::read(&entry.path(), || on_read(files))?;
            self.files.insert(path, known);
        }
        Ok(None)
    }
}

/// A place on the disk.
#[derive(Clone, Debug)]
pub(super) struct Place {
    path: PathBuf,
    began: SystemTime,
}

impl Place {
    /// Tells what is there now: a file, or none, which a pipe, a link or a directory is too.
    pub(super) fn look(&self) -> io::Result<Option<Known>> {
        use io::ErrorKind::{NotADirectory, NotFound};
        let metadata = match self.path.symlink_metadata() {
            Err(error) if matches!(error.kind(), NotFound | NotADirectory) => return Ok(None),
            other => other?,
        };
        if !metadata.is_file() {
            return Ok(None);
        }
        match Known::read(&self.path, || {}) {
            Err(error) if error.kind() == NotFound => Ok(None),
            other => other.map(Some),
        }
    }

    /// Whether names came, went or were replaced in its directory since the demo began.
    pub(super) fn directory_changed(&self) -> bool {
        let modified = self
            .path
            .parent()
            .and_then(|parent| parent.metadata().ok()?.modified().ok());
        modified.is_none_or(|modified| modified >= self.began)
    }
}

/// Opens what was a regular file when the tree was walked, if it still is one: a pipe that took its
/// place would never open, and a device at the end of a link might never end.
pub(super) fn open(path: &Path) -> io::Result<fs::File> {
    let file = fs::OpenOptions::new()
        .read(true)
        .custom_flags(O_NOFOLLOW | O_NONBLOCK)
        .open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is no regular file",
        ))
    }
}

impl Known {
    /// Reads and hashes a file; `on_read` is called for every piece.
    fn read(path: &Path, mut on_read: impl FnMut()) -> io::Result<Self> {
        let mut file = open(path)?;
        let modified = file.metadata()?.modified().ok();
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; BUFFER];
        let mut size = 0;
        loop {
            match file.read(&mut buffer)? {
                0 => {
                    return Ok(Self {
                        size,
                        modified,
                        hash: hasher.finalize().into(),
                    });
                }
                count => {
                    hasher.update(buffer.get(..count).unwrap_or_default());
                    size += count as u64;
                    on_read();
                }
            }
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A directory of its own for one test, removed at the end.
    pub(in crate::demo) struct TempDir(pub(in crate::demo) PathBuf);

    impl TempDir {
        pub(in crate::demo) fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("grid-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        pub(in crate::demo) fn write(&self, path: &str, content: impl AsRef<[u8]>) {
            let path = self.0.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
    }

    impl Drop for TempDir {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn walk(root: &Path) -> Tree {
        Tree::walk(root, SystemTime::now(), |_| {}).unwrap()
    }

    #[test]
    fn a_walk_finds_files_and_leaves_out_the_rest() {
        let dir = TempDir::new("walk");
        dir.write("b.txt", "two");
        dir.write("a/deep/er.txt", "");
        dir.write("target/debug/no", "x");
        dir.write("a/target/no", "x");
        dir.write(".git/no", "x");
        dir.write("targets/yes", "1");
        std::os::unix::fs::symlink(dir.0.join("b.txt"), dir.0.join("link")).unwrap();
        std::os::unix::fs::symlink(&dir.0, dir.0.join("loop")).unwrap();
        let tree = walk(&dir.0);
        let paths: Vec<&str> = tree.files().map(|(path, _)| path).collect();
        assert_eq!(paths, ["a/deep/er.txt", "b.txt", "targets/yes"]);
        assert_eq!((tree.bytes(), tree.skipped()), (4, 0));
        assert_eq!(
            tree.places().first().unwrap().1,
            dir.0.join("a/deep/er.txt")
        );
        let hash: ContentHash = Sha256::digest(b"two").into();
        assert_eq!(tree.get("b.txt").unwrap().hash, hash);
    }

    #[test]
    fn only_what_was_found_can_be_located() {
        let dir = TempDir::new("locate");
        dir.write("in/a", "x");
        let tree = walk(&dir.0.join("in"));
        assert!(tree.locate("a").is_some());
        for path in ["../in/a", "/etc/passwd", "", ".", "b"] {
            assert_eq!(tree.locate(path), None, "{path}");
        }
    }

    #[test]
    fn a_second_look_sees_what_is_there_now() {
        let dir = TempDir::new("again");
        dir.write("a", "one");
        let mut tree = walk(&dir.0);
        let before = tree.get("a").unwrap().clone();
        assert_eq!(tree.place("a").look().unwrap(), Some(before.clone()));
        dir.write("a", "other");
        let now = tree.place("a").look().unwrap();
        assert_ne!(now, Some(before));
        tree.update("a", now.clone());
        assert_eq!(tree.get("a"), now.as_ref());
        assert!(tree.has_changed("a", 0) && !tree.has_changed("a", tree.changes()));
        tree.update("a", now);
        assert_eq!(tree.changes(), 1, "the same again is no change");
        fs::remove_file(dir.0.join("a")).unwrap();
        assert_eq!(tree.place("a").look().unwrap(), None);
        tree.update("a", None);
        assert_eq!(tree.files().count(), 0);
    }

    #[test]
    fn what_took_the_place_of_a_file_is_none_and_is_not_opened() {
        let dir = TempDir::new("replaced");
        let names = ["pipe", "link", "directory", "gone/file"];
        for name in names {
            dir.write(name, "x");
        }
        let tree = walk(&dir.0);
        for name in ["pipe", "link", "directory"] {
            fs::remove_file(dir.0.join(name)).unwrap();
        }
        nix::unistd::mkfifo(&dir.0.join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        std::os::unix::fs::symlink("/dev/zero", dir.0.join("link")).unwrap();
        fs::create_dir(dir.0.join("directory")).unwrap();
        fs::remove_dir_all(dir.0.join("gone")).unwrap();
        dir.write("gone", "now a file");
        for name in names {
            assert_eq!(tree.place(name).look().unwrap(), None, "{name}");
            assert!(open(&dir.0.join(name)).is_err(), "{name}");
        }
    }

    #[test]
    fn a_root_that_is_none_is_an_error() {
        assert!(Tree::walk(Path::new("/nowhere/at/all"), SystemTime::now(), |_| {}).is_err());
    }
}
