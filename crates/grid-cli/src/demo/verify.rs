//! Compares what came over the grid with this node's own reading of the disk.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::walk::{ContentHash, Tree};

/// A node's own reading of the disk, shared by all that serve and compare.
#[derive(Debug)]
pub(super) struct Disk(Mutex<Tree>);

/// A file as it came from a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fetched {
    /// The [moment](Disk::moment) before the peer was asked for its list.
    pub(super) since: u64,
    /// The size that the peer's list gave.
    pub(super) listed: u64,
    /// The bytes that arrived.
    pub(super) size: u64,
    pub(super) hash: ContentHash,
}

/// What a comparison found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Same,
    /// The file is no longer what this node had read: somebody works on it. Not the grid's fault.
    Changed,
    /// The grid delivered something else; with the words to say what.
    Mismatch(String),
}

/// What two nodes disagree about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Doubt {
    /// Whether there is such a file.
    Name,
    Content,
}

impl Disk {
    pub(super) fn new(tree: Tree) -> Self {
        Self(Mutex::new(tree))
    }

    /// The tree, under its lock: look, and let go.
    pub(super) fn tree(&self) -> MutexGuard<'_, Tree> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a new reading in the place of the old one.
    pub(super) fn replace(&self, tree: Tree) {
        *self.tree() = tree;
    }

    /// Where the life of this reading stands: a change that is found later explains a difference
    /// in what was asked for now.
    pub(super) fn moment(&self) -> u64 {
        self.tree().changes()
    }

    /// Whether a file is what this node has read.
    pub(super) fn is_same(&self, path: &str, fetched: Fetched) -> bool {
        let Fetched {
            listed, size, hash, ..
        } = fetched;
        let tree = self.tree();
        tree.get(path)
            .is_some_and(|known| known.hash == hash && known.size == size && known.size == listed)
    }

    /// Compares a file with what this node has read. Reads the disk again where they differ, so it
    /// may block.
    pub(super) fn compare(&self, path: &str, fetched: Fetched) -> Verdict {
        if self.is_same(path, fetched) {
            return Verdict::Same;
        }
        let Some(known) = self.tree().get(path).cloned() else {
            return self.explain(path, fetched.since, Doubt::Name, || {
                "it is not on the disk".to_owned()
            });
        };
        self.explain(path, fetched.since, Doubt::Content, || {
            let Fetched { listed, size, .. } = fetched;
            let content = if known.hash == fetched.hash {
                "same"
            } else {
                "other"
            };
            format!(
                "{} bytes on the disk, {listed} listed, {size} received, {content} content",
                known.size
            )
        })
    }

    /// The verdict on a file that could not be read from a peer, for the reason that it gave.
    pub(super) fn refused(&self, path: &str, since: u64, reason: &str) -> Verdict {
        self.explain(path, since, Doubt::Name, || {
            format!("it was refused: {reason}")
        })
    }

    /// The verdicts on the files of this node's own list that a peer did not list.
    pub(super) fn missing(
        &self,
        listed: &BTreeMap<String, u64>,
        since: u64,
    ) -> Vec<(String, Verdict)> {
        let missing: Vec<String> = self
            .tree()
            .files()
            .filter(|(path, _)| !listed.contains_key(*path))
            .map(|(path, _)| path.to_owned())
            .collect();
        missing
            .into_iter()
            .map(|path| {
                let verdict = self.explain(&path, since, Doubt::Name, || {
                    "it is missing in the list".to_owned()
                });
                (path, verdict)
            })
            .collect()
    }

    /// A difference is the grid's fault unless the file changed since this node read it, or after
    /// the peer was asked, or, where its very name is in doubt, its directory did since the demo
    /// began.
    fn explain(
        &self,
        path: &str,
        since: u64,
        doubt: Doubt,
        difference: impl FnOnce() -> String,
    ) -> Verdict {
        let (location, known, has_changed) = {
            let tree = self.tree();
            (
                tree.place(path),
                tree.get(path).cloned(),
                tree.has_changed(path, since),
            )
        };
        let now = location.look();
        let same_as_before = matches!(&now, Ok(now) if *now == known);
        if let Ok(now) = now {
            self.tree().update(path, now);
        }
        if has_changed || !same_as_before || (doubt == Doubt::Name && location.directory_changed())
        {
            Verdict::Changed
        } else {
            Verdict::Mismatch(difference())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use sha2::{Digest, Sha256};

    use super::*;
    use crate::demo::walk::tests::TempDir;

    fn fetched(content: &str) -> Fetched {
        let size = content.len() as u64;
        Fetched {
            since: 0,
            listed: size,
            size,
            hash: Sha256::digest(content).into(),
        }
    }

    /// A disk of a demo that began when everything in the directory was long there.
    fn disk(dir: &TempDir) -> Disk {
        let later = SystemTime::now() + Duration::from_secs(60);
        Disk::new(Tree::walk(&dir.0, later, |_| {}).unwrap())
    }

    #[test]
    fn the_same_is_the_same() {
        let dir = TempDir::new("same");
        dir.write("a", "one");
        assert_eq!(disk(&dir).compare("a", fetched("one")), Verdict::Same);
    }

    #[test]
    fn every_difference_is_found() {
        let dir = TempDir::new("difference");
        dir.write("a", "one");
        let disk = disk(&dir);
        let one = fetched("one");
        for wrong in [
            fetched("two"),
            fetched("on"),
            Fetched { listed: 4, ..one },
            Fetched { size: 4, ..one },
            Fetched {
                hash: [0; 32],
                ..one
            },
        ] {
            assert!(
                matches!(disk.compare("a", wrong), Verdict::Mismatch(_)),
                "{wrong:?}"
            );
        }
        assert!(
            matches!(disk.compare("b", one), Verdict::Mismatch(_)),
            "a file that is nowhere"
        );
        assert!(
            matches!(disk.refused("a", 0, "no"), Verdict::Mismatch(text) if text.contains("no"))
        );
        let missing = disk.missing(&BTreeMap::new(), 0);
        assert!(matches!(missing.as_slice(), [(path, Verdict::Mismatch(_))] if path == "a"));
        assert!(
            disk.missing(&BTreeMap::from([("a".to_owned(), 3)]), 0)
                .is_empty()
        );
    }

    #[test]
    fn a_file_that_changed_is_no_mismatch_and_is_known_anew() {
        let dir = TempDir::new("changed");
        dir.write("a", "one");
        let disk = disk(&dir);
        dir.write("a", "other");
        assert_eq!(disk.compare("a", fetched("oth")), Verdict::Changed);
        assert_eq!(disk.compare("a", fetched("other")), Verdict::Same);
        assert_eq!(
            disk.compare("a", fetched("oth")),
            Verdict::Changed,
            "asked for before that was found"
        );
        let since = disk.moment();
        assert!(matches!(
            disk.compare(
                "a",
                Fetched {
                    since,
                    ..fetched("oth")
                }
            ),
            Verdict::Mismatch(_)
        ));
    }

    #[test]
    fn files_that_come_and_go_are_no_mismatch() {
        let dir = TempDir::new("come-and-go");
        dir.write("a", "one");
        dir.write("b", "two");
        let disk = disk(&dir);
        std::fs::remove_file(dir.0.join("a")).unwrap();
        assert_eq!(disk.refused("a", 0, "no such file"), Verdict::Changed);
        dir.write("c", "three");
        assert_eq!(disk.compare("c", fetched("three")), Verdict::Changed);
        assert_eq!(disk.compare("c", fetched("three")), Verdict::Same);
        let listed = BTreeMap::from([("b".to_owned(), 3), ("c".to_owned(), 5)]);
        assert!(disk.missing(&listed, 0).is_empty());
    }

    #[test]
    fn a_directory_that_changed_since_the_demo_began_excuses_its_names() {
        let dir = TempDir::new("excused");
        dir.write("a", "one");
        let disk = Disk::new(Tree::walk(&dir.0, SystemTime::UNIX_EPOCH, |_| {}).unwrap());
        assert_eq!(disk.refused("gone", 0, "no such file"), Verdict::Changed);
        assert!(
            matches!(disk.compare("a", fetched("two")), Verdict::Mismatch(_)),
            "but not the content of what is still the same"
        );
    }
}
