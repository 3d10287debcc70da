//! What a node of the demo serves: the list of its tree as a stream, and its files in pieces.

use std::{
    io::{self, Read, Seek, SeekFrom},
    path::PathBuf,
    sync::Arc,
};

use grid_transport::{Capacity, HandlerError, HandlerId, Registration};
use grid_typed::{Bytes, Single, Streaming};
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;

use super::{verify::Disk, walk};

/// Lists the whole tree, an item a file.
pub(super) static LIST: Streaming<ListRequest, (), Entry> =
    Streaming::new(HandlerId::new(201), Capacity::new(0, 64));
/// Reads a piece of a file.
pub(super) static READ: Single<ReadRequest, ReadReply> = Single::new(HandlerId::new(202));

/// The largest piece of a file in an answer.
pub(super) const PIECE: u64 = 256 * 1024;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ListRequest {}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Entry {
    pub(super) path: String,
    pub(super) size: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct ReadRequest {
    pub(super) path: String,
    pub(super) offset: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct ReadReply {
    /// At most [`PIECE`] bytes from the offset on.
    pub(super) data: Bytes,
    /// Whether the file ends with them.
    pub(super) end: bool,
}

/// The subroute under which a node serves; its number as people count.
pub(super) fn subroute(node: usize) -> String {
    format!("node{}", node + 1)
}

/// The handlers of a node.
pub(super) fn handlers(node: usize, disk: &Arc<Disk>) -> [Registration; 2] {
    let route = subroute(node);
    let listed = Arc::clone(disk);
    let list = LIST.handler(move |_, call| {
        let disk = Arc::clone(&listed);
        async move {
            let entries = spawn_blocking(move || entries(&disk)).await?;
            for entry in entries {
                call.send(&entry).await?;
            }
            Ok(())
        }
    });
    let read_from = Arc::clone(disk);
    let read = READ.handler(move |request: ReadRequest, _| {
        // Only what the walk found is ever opened.
        let place = read_from.tree().locate(&request.path);
        async move {
            let place = place.ok_or_else(|| HandlerError::new("no such file"))?;
            Ok(spawn_blocking(move || read(place, request.offset)).await??)
        }
    });
    [
        list.subroute(route.clone()).into(),
        read.subroute(route).into(),
    ]
}

/// The files as they are now; those that are gone, or no files any more, are left out.
fn entries(disk: &Disk) -> Vec<Entry> {
    let places = disk.tree().places();
    let entry = |(path, place): (String, PathBuf)| {
        let metadata = place.symlink_metadata().ok()?;
        metadata.is_file().then_some(Entry {
            path,
            size: metadata.len(),
        })
    };
    places.into_iter().filter_map(entry).collect()
}

fn read(place: PathBuf, offset: u64) -> io::Result<ReadReply> {
    let mut file = walk::open(&place)?;
    file.seek(SeekFrom::Start(offset))?;
    let mut data = Vec::new();
    // One byte more tells whether there is more.
    file.take(PIECE + 1).read_to_end(&mut data)?;
    let end = data.len() as u64 <= PIECE;
    if !end {
        data.pop();
    }
    Ok(ReadReply {
        data: data.into(),
        end,
    })
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::demo::walk::{Tree, tests::TempDir};

    #[test]
    fn a_file_is_read_in_pieces() {
        let dir = TempDir::new("pieces");
        let piece = usize::try_from(PIECE).unwrap();
        for size in [0, 1, piece - 1, piece, piece + 1, 2 * piece, 2 * piece + 7] {
            let content: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
            dir.write("file", &content);
            let mut whole = Vec::new();
            let mut pieces = 0;
            loop {
                let ReadReply { data, end } = read(dir.0.join("file"), whole.len() as u64).unwrap();
                whole.extend_from_slice(&data);
                pieces += 1;
                assert!(data.len() <= piece);
                if end {
                    break;
                }
            }
            assert_eq!(whole, content);
            assert_eq!(pieces, size.div_ceil(piece).max(1), "{size} bytes");
        }
    }

    #[test]
    fn the_list_has_what_is_there_now() {
        let dir = TempDir::new("list");
        dir.write("a", "1");
        dir.write("b/c", "22");
        dir.write("gone", "333");
        dir.write("link", "55555");
        let disk = Disk::new(Tree::walk(&dir.0, SystemTime::now(), |_| {}).unwrap());
        std::fs::remove_file(dir.0.join("gone")).unwrap();
        std::fs::remove_file(dir.0.join("link")).unwrap();
        std::os::unix::fs::symlink(dir.0.join("a"), dir.0.join("link")).unwrap();
        dir.write("a", "4444");
        let entry = |path: &str, size| Entry {
            path: path.into(),
            size,
        };
        assert_eq!(entries(&disk), [entry("a", 4), entry("b/c", 2)]);
    }
}
