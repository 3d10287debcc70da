//! Errors of building a node: its names, its handlers, its settings.

use std::{fmt, io, sync::Arc};

use grid_proto::HandlerId;

/// A handler that can't be registered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegisterError {
    /// Id 0 is never a handler.
    #[error("handler id {id} can't be registered{}: 0 is never a handler", At(.subroute))]
    InvalidId {
        /// The id.
        id: HandlerId,
        /// The subroute that it was to be registered under.
        subroute: Option<Box<str>>,
    },
    /// There is a handler of that id and subroute, single or stream.
    #[error("handler {id}{} is registered twice", At(.subroute))]
    Twice {
        /// The id.
        id: HandlerId,
        /// The subroute.
        subroute: Option<Box<str>>,
    },
    /// The node that serves these handlers has started.
    #[error("handler {id}{} is registered after the node has started", At(.subroute))]
    Started {
        /// The id.
        id: HandlerId,
        /// The subroute.
        subroute: Option<Box<str>>,
    },
}

struct At<'a>(&'a Option<Box<str>>);

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(route) => write!(f, " under subroute {route:?}"),
            None => Ok(()),
        }
    }
}

/// A node that can't be built; each error quotes the value and the list of names.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// No authentication was given; there is no default.
    #[error("no authentication was given for {local:?}: name one, or say NoAuth for an open grid")]
    NoAuth {
        /// The local name.
        local: Box<str>,
    },
    /// The local name is not among the peers.
    #[error("local name {local:?} is not in the list of peers {peers:?}")]
    LocalMissing {
        /// The local name.
        local: Box<str>,
        /// The peers as given.
        peers: Vec<String>,
    },
    /// A name is there twice.
    #[error("name {name:?} is in the list of peers twice: {peers:?}")]
    Twice {
        /// The name.
        name: Box<str>,
        /// The peers as given.
        peers: Vec<String>,
    },
    /// A name is no URL of a node.
    #[error("name {name:?} can't be used: {reason}; the list of peers is {peers:?}")]
    BadName {
        /// The name.
        name: Box<str>,
        /// What is wrong with it.
        reason: &'static str,
        /// The peers as given.
        peers: Vec<String>,
    },
    /// The route path has to begin with a slash.
    #[error(
        "route path {path:?} can't be used: it must begin with a slash and hold no space, ? or #"
    )]
    BadPath {
        /// The path.
        path: Box<str>,
    },
    /// A setting has a value that can't work.
    #[error("setting {setting} can't be {value}")]
    BadSetting {
        /// Its name.
        setting: &'static str,
        /// Its value.
        value: Box<str>,
    },
    /// A handler could not be registered.
    #[error(transparent)]
    Register(#[from] RegisterError),
    /// A node's tasks need a tokio runtime, and there is none here.
    #[error("a node must be built inside a tokio runtime")]
    NoRuntime,
    /// The node was to have a worker of its own, and the system gives it none.
    #[error("the node can't have a worker of its own: {0}")]
    NoWorker(#[source] Arc<io::Error>),
}

/// A remote that this node does not know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown remote {name:?}; known are {known:?}")]
pub struct UnknownPeer {
    /// The name that was asked for.
    pub name: Box<str>,
    /// The remotes that are known.
    pub known: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn register_errors_name_the_id_and_the_subroute() {
        let error = RegisterError::Twice {
            id: HandlerId::new(9),
            subroute: Some("disk1".into()),
        };
        assert_eq!(
            error.to_string(),
            "handler 9 under subroute \"disk1\" is registered twice"
        );
        let id = HandlerId::new(0);
        let error = RegisterError::InvalidId { id, subroute: None };
        assert_eq!(
            error.to_string(),
            "handler id 0 can't be registered: 0 is never a handler"
        );
    }
}
