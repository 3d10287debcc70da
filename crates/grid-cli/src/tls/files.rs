//! The files that TLS takes: what stands in them, and by which option each was given.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use grid_transport::tls::TlsError;
use sha2::{Digest, Sha256};

/// The largest file: a store of all authorities that there are takes a fifth of it.
const LARGEST_FILE: u64 = 1 << 20;

/// By what PEM says that a key is encrypted.
const ENCRYPTED: &[u8] = b"ENCRYPTED";

/// All files, each with the option that it was given by.
#[derive(Debug, Default)]
pub(super) struct Files {
    pub(super) certificate: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
    pub(super) roots: Vec<PathBuf>,
    pub(super) pinned: Vec<PathBuf>,
}

/// What the files held at one time, as hashes: a key is not kept beside where it is used.
pub(super) type Prints = Vec<[u8; 32]>;

impl Files {
    fn all(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        let one = |option, path| {
            std::iter::once(path)
                .flatten()
                .map(move |path: &PathBuf| (option, path))
        };
        one("--tls-cert", self.certificate.as_ref())
            .chain(one("--tls-key", self.key.as_ref()))
            .chain(self.roots.iter().map(|path| ("--tls-roots", path)))
            .chain(self.pinned.iter().map(|path| ("--tls-pinned", path)))
            .map(|(option, path)| (option, path.as_path()))
    }

    /// Reads all of them. The text names the file that can't be read, or can't be what it is given for, and its option.
    pub(super) fn look(&self) -> Result<Prints, String> {
        let print = |(option, path): (&str, &Path)| {
            let shown = path.display();
            let content = read(path)
                .map_err(|error| format!("{option}: '{shown}' can't be read: {error}"))?;
            if content.is_empty() {
                return Err(format!("{option}: '{shown}' is empty"));
            }
            Ok(Sha256::digest(&content).into())
        };
        self.all().map(print).collect()
    }

    /// The error in the words of the options.
    pub(super) fn words(&self, error: &TlsError) -> String {
        match error {
            TlsError::Read { path, source, .. } => {
                let (option, shown) = (self.option_of(path), path.display());
                format!("{option}: '{shown}' is no PEM: {source}")
            }
            TlsError::Empty { what, path, .. } => {
                let is_key = self.key.as_ref() == Some(path) && *what == "private key";
                let option = if is_key {
                    "--tls-key"
                } else {
                    self.option_of(path)
                };
                let why = if is_key && is_encrypted(path) {
                    ": it is encrypted, which can't be used"
                } else {
                    " in PEM"
                };
                format!("{option}: there is no {what} in '{}'{why}", path.display())
            }
            TlsError::Identity {
                certificate,
                key,
                source,
            } => {
                let (certificate, key) = (certificate.display(), key.display());
                format!("--tls-cert '{certificate}' with --tls-key '{key}': {source}")
            }
            TlsError::Certificate {
                setting,
                path,
                number,
                source,
            } => {
                // One file may be given for both.
                let option = match *setting {
                    "pinned" => "--tls-pinned",
                    _ => "--tls-roots",
                };
                let shown = path.display();
                format!("{option}: certificate {number} in '{shown}' can't be used: {source}")
            }
            TlsError::Platform { source } => format!("--tls-platform-roots: {source}"),
            TlsError::NoRoots => "--tls-platform-roots: the system trusts nobody".to_owned(),
            other => format!("TLS: {other}"),
        }
    }

    fn option_of(&self, path: &Path) -> &'static str {
        let found = self.all().find(|(_, given)| *given == path);
        found.map_or("TLS", |(option, _)| option)
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    // To open a pipe that nobody writes to takes for ever, and it can't be read a second time.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut content = Vec::new();
    File::open(path)?
        .take(LARGEST_FILE + 1)
        .read_to_end(&mut content)?;
    if content.len() as u64 > LARGEST_FILE {
        let words = format!("it has more than {LARGEST_FILE} bytes");
        return Err(io::Error::other(words));
    }
    Ok(content)
}

fn is_encrypted(path: &Path) -> bool {
    let content = read(path).unwrap_or_default();
    content
        .windows(ENCRYPTED.len())
        .any(|part| part == ENCRYPTED)
}
