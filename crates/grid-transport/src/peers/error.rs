//! Why a list of peers can't be had, or isn't taken.

use std::{error::Error, io, path::PathBuf, sync::Arc, time::Duration};

use crate::pattern::PatternError;

/// Why a source has no list now.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The file can't be read.
    #[error("can't read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Arc<io::Error>,
    },
    /// The file is too long to be a list.
    #[error("{} is longer than {most} bytes", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
        /// The limit.
        most: usize,
    },
    /// A line of the file stands for no names.
    #[error("{}, line {line}: {value:?}: {source}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The number of the line, from 1.
        line: usize,
        /// What stands there, without a comment; the first 256 bytes.
        value: Box<str>,
        /// What is wrong with it.
        source: LineError,
    },
    /// The name servers have no answer.
    #[cfg(feature = "dns")]
    #[error("no {record} records of {name:?}: {source}")]
    Dns {
        /// The kind of records.
        record: super::DnsRecord,
        /// The name.
        name: Box<str>,
        /// Why.
        source: Arc<io::Error>,
    },
    /// Something else, of a source of the application.
    #[error("{0}")]
    Other(#[source] Arc<dyn Error + Send + Sync>),
}

impl SourceError {
    /// For a source of the application. The text is logged.
    #[must_use]
    pub fn other(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Other(error.into().into())
    }
}

/// What is wrong with a line of a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LineError {
    /// It is no pattern.
    #[error(transparent)]
    Pattern(PatternError),
    /// What it stands for is no URL of a node.
    #[error("{name:?} can't be used: {reason}")]
    Name {
        /// The name.
        name: Box<str>,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A name is there twice.
    #[error("{name:?} is in line {first} already")]
    Twice {
        /// The name.
        name: Box<str>,
        /// The number of the line where it was first.
        first: usize,
    },
    /// It is no text.
    #[error("not in UTF-8")]
    NotText,
    /// It is longer than any name or pattern.
    #[error("longer than {most} bytes")]
    TooLong {
        /// The limit.
        most: usize,
    },
    /// With it there are more names than anybody has nodes.
    #[error("more than {most} names")]
    TooMany {
        /// The limit.
        most: usize,
    },
}

/// Why a list is not followed, or was not taken.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FollowError {
    /// The node follows a list already.
    #[error("{local:?} follows a list of peers already")]
    Already {
        /// The local name.
        local: Box<str>,
    },
    /// The source has none.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The source does not answer.
    #[error("{label}: no list within {after:?}")]
    Late {
        /// What the source is.
        label: Box<str>,
        /// The time it had.
        after: Duration,
    },
    /// The source panicked; it is asked again.
    #[error("{label}: a panic of the source")]
    Panicked {
        /// What the source is.
        label: Box<str>,
    },
    /// A name is no URL of a node.
    #[error("{label}: {name:?} can't be used: {reason}")]
    Name {
        /// What the source is.
        label: Box<str>,
        /// The name.
        name: Box<str>,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The list has not this node's own name.
    #[error("{label}: the local name {local:?} is not among the {names} names of the list")]
    LocalMissing {
        /// What the source is.
        label: Box<str>,
        /// The local name.
        local: Box<str>,
        /// How many names there are.
        names: usize,
    },
    /// The list has nobody but this node, which has links.
    #[error("{label}: the list has nobody but {local:?}, and there are {links} links")]
    Alone {
        /// What the source is.
        label: Box<str>,
        /// The local name.
        local: Box<str>,
        /// How many links there are.
        links: usize,
    },
}
