//! The control socket in the file system: made so that only its owner can ever open it.

use std::{
    fs, io,
    os::unix::{
        fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt},
        net::{SocketAddr, UnixListener as StdListener, UnixStream as StdStream},
    },
    path::{Path, PathBuf},
};

use tokio::net::UnixListener;

use crate::failure::Failure;

/// The path in a value `unix:PATH`.
pub(crate) fn parse_via(option: &str, text: &str) -> Result<PathBuf, Failure> {
    match text.strip_prefix("unix:") {
        Some(path) if !path.is_empty() && !path.contains('\0') => Ok(PathBuf::from(path)),
        _ => Err(Failure::bad(format!(
            "{option}: '{text}' is not unix:PATH (example: unix:/run/grid.sock)"
        ))),
    }
}

/// A bound control socket; its file is removed when this is dropped, unless another has taken its
/// place.
#[derive(Debug)]
pub(crate) struct Bound {
    pub(super) socket: UnixListener,
    pub(super) file: SocketFile,
}

#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    inode: u64,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|file| file.ino() == self.inode) {
            // Who removed it meanwhile has done it for us.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Binds a control socket at `path`, with mode 0600 from the moment it is there. A socket that a
/// node left behind is replaced; one that is served, and any other file, is not.
pub(crate) fn bind(path: &Path) -> Result<Bound, Failure> {
    let refused = |why: &dyn std::fmt::Display| {
        Failure::bad(format!("--control: 'unix:{}': {why}", path.display()))
    };
    // A name that is too long could be moved there, and never be connected to.
    SocketAddr::from_pathname(path).map_err(|error| refused(&error))?;
    match fs::symlink_metadata(path) {
        Ok(file) if !file.file_type().is_socket() => {
            return Err(refused(&"there is a file that is no socket"));
        }
        Ok(_) if StdStream::connect(path).is_ok() => {
            return Err(refused(&"another program serves this socket"));
        }
        _ => {}
    }
    let socket = bind_private(path).map_err(|error| refused(&error))?;
    let inode = fs::symlink_metadata(path)
        .map_err(|error| refused(&error))?
        .ino();
    socket
        .set_nonblocking(true)
        .map_err(|error| refused(&error))?;
    Ok(Bound {
        socket: UnixListener::from_std(socket).map_err(|error| refused(&error))?,
        file: SocketFile {
            path: path.to_owned(),
            inode,
        },
    })
}

/// Binds inside a directory that nobody else can enter and moves the socket out of it: a mode set
/// after binding in place would leave a moment in which others could connect.
fn bind_private(path: &Path) -> io::Result<StdListener> {
    let mut name = std::ffi::OsString::from(".g");
    name.push(std::process::id().to_string());
    let dir = path.with_file_name(name);
    fs::DirBuilder::new().mode(0o700).create(&dir)?;
    let inside = dir.join("s");
    let bound = StdListener::bind(&inside).and_then(|socket| {
        fs::set_permissions(&inside, fs::Permissions::from_mode(0o600))?;
        fs::rename(&inside, path)?;
        Ok(socket)
    });
    if bound.is_err() {
        // It fails where there is none.
        let _ = fs::remove_file(&inside);
    }
    fs::remove_dir(&dir)?;
    bound
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dir(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("grid-sock-{name}-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        dir
    }

    #[test]
    fn a_value_names_a_path() {
        assert_eq!(parse_via("--via", "unix:/a/b").unwrap(), Path::new("/a/b"));
        for text in ["", "/a/b", "unix:", "tcp:1"] {
            let line = parse_via("--via", text).unwrap_err().line();
            assert!(line.contains(&format!("--via: '{text}'")), "{line}");
        }
    }

    #[tokio::test]
    async fn only_the_owner_may_open_it_and_it_goes_with_its_node() {
        let dir = dir("mode");
        let path = dir.join("control");
        let bound = bind(&path).unwrap();
        let mode = fs::symlink_metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(StdStream::connect(&path).is_ok());
        // One that is served is not taken over.
        let line = bind(&path).unwrap_err().line();
        assert!(line.contains("another program"), "{line}");
        drop(bound);
        assert!(!path.exists());
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 0);
        fs::remove_dir_all(&dir).unwrap();
    }

    #[tokio::test]
    async fn what_a_dead_node_left_is_replaced_and_nothing_else() {
        let dir = dir("stale");
        let path = dir.join("control");
        drop(StdListener::bind(&path).unwrap());
        let bound = bind(&path).unwrap();
        assert!(StdStream::connect(&path).is_ok());
        // Somebody else's file under the same name stays.
        fs::remove_file(&path).unwrap();
        fs::write(&path, "mine").unwrap();
        drop(bound);
        assert_eq!(fs::read(&path).unwrap(), b"mine");
        let line = bind(&path).unwrap_err().line();
        assert!(line.contains("no socket"), "{line}");
        assert_eq!(fs::read(&path).unwrap(), b"mine");
        let long = dir.join("x".repeat(120));
        let line = bind(&long).unwrap_err().line();
        assert!(line.contains("shorter"), "{line}");
        let line = bind(&dir.join("none/control")).unwrap_err().line();
        assert!(line.contains("none/control"), "{line}");
        fs::remove_dir_all(&dir).unwrap();
    }
}
