//! Where the status comes from.

use std::{path::PathBuf, time::Duration};

use crate::{
    failure::Failure,
    reach::ControlLink,
    status::{Status, StatusUrl},
};

/// How long a node may take to answer.
const WITHIN: Duration = Duration::from_secs(5);

/// A node that can be asked for its status, again and again.
#[derive(Debug)]
pub(super) enum Source {
    /// Over its control socket. The link is kept from one time to the next, unless it fails.
    Via {
        path: PathBuf,
        link: Option<ControlLink>,
    },
    /// Over HTTP, with a connection for each time.
    Http(StatusUrl),
}

impl Source {
    pub(super) fn via(path: PathBuf) -> Self {
        Self::Via { path, link: None }
    }

    /// Asks once.
    ///
    /// # Cancel safety
    ///
    /// Safe: the next time begins with a new connection.
    pub(super) async fn fetch(&mut self) -> Result<Status, Failure> {
        match self {
            Self::Http(url) => url.fetch(WITHIN).await,
            Self::Via { path, link } => {
                let open = match link.take() {
                    Some(open) => open,
                    None => ControlLink::dial(path, WITHIN).await?,
                };
                let status = open.status().await;
                if status.is_ok() {
                    *link = Some(open);
                } else {
                    open.leave().await;
                }
                status
            }
        }
    }

    /// Says goodbye.
    pub(super) async fn leave(self) {
        if let Self::Via {
            link: Some(link), ..
        } = self
        {
            link.leave().await;
        }
    }
}
