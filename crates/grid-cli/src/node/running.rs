//! What a node runs beside its sockets for the operator: begun together, and ended together.

use std::time::Duration;

use grid_transport::{Drained, Manager, Serving, peers::Following};
use tokio::net::TcpListener;

use crate::{failure::Failure, place::Place, tls::Renewal};

/// A node at work. It has to be [stopped](Self::stop).
#[derive(Debug)]
pub(super) struct Running {
    manager: Manager,
    following: Option<Following>,
    serving: Option<Serving>,
    renewal: Option<Renewal>,
}

impl Running {
    /// Begins all of it. Where a part of it can't be begun, nothing of it is left when this returns.
    ///
    /// # Cancel safety
    ///
    /// What was begun goes on: not to be dropped.
    pub(super) async fn start(
        place: &Place,
        manager: Manager,
        socket: TcpListener,
    ) -> Result<Self, Failure> {
        let mut running = Self {
            manager,
            following: None,
            serving: None,
            renewal: None,
        };
        match running.begin(place, socket) {
            Ok(()) => Ok(running),
            Err(failure) => {
                running.drain(Duration::ZERO).await;
                running.stop().await;
                Err(failure)
            }
        }
    }

    fn begin(&mut self, place: &Place, socket: TcpListener) -> Result<(), Failure> {
        // Nobody is let in by a node that can't know who its peers are.
        self.following = place.follow(&self.manager)?;
        let serving = place.serve(&self.manager, socket);
        self.serving = Some(serving.map_err(|error| {
            Failure::failed(format!("can't serve on '{}': {error}", place.listen))
        })?);
        self.renewal = place.renew();
        Ok(())
    }

    /// Ends the links, after the calls under way or after that time.
    ///
    /// # Cancel safety
    ///
    /// As of [`Manager::shutdown`].
    pub(super) async fn drain(&self, grace: Duration) -> Drained {
        self.manager.shutdown(grace).await
    }

    /// Ends all else, and returns when it is gone.
    ///
    /// # Cancel safety
    ///
    /// What was not ended yet goes on.
    pub(super) async fn stop(self) {
        if let Some(serving) = self.serving {
            serving.stop().await;
        }
        if let Some(following) = self.following {
            following.stop().await;
        }
        if let Some(renewal) = self.renewal {
            renewal.stop().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, io};

    use grid_transport::peers::PeersFile;
    use tokio::{net::TcpStream, time::timeout};

    use super::*;
    use crate::{
        credentials::{CredentialArgs, Environment},
        peer_list::PeerListArgs,
        place::PlaceArgs,
    };

    #[tokio::test]
    async fn of_a_node_that_cannot_follow_its_list_nothing_is_left() {
        let local = "http://127.0.0.1:1";
        let file = std::env::temp_dir().join(format!("grid-running-{}", std::process::id()));
        fs::write(&file, local).unwrap();
        let list = PeerListArgs {
            peers_file: Some(file.clone()),
            ..PeerListArgs::default()
        };
        let args = PlaceArgs {
            credentials: CredentialArgs {
                no_auth: true,
                ..CredentialArgs::default()
            },
            ..PlaceArgs::default()
        };
        let place = Place::check(local, list, args, Environment::default()).unwrap();
        let manager = place.builder(&place.peers).build().unwrap();
        // A node follows one list.
        let another = manager.follow(PeersFile::new(&file)).unwrap();
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let failed = Running::start(&place, manager.clone(), socket).await;
        let line = failed.unwrap_err().line();
        assert!(line.contains("--peers-file") && line.contains("already"));
        let refused = TcpStream::connect(address).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        // It ends with the node, and is not asked to.
        let mut another = another;
        let ended = timeout(Duration::from_secs(10), another.stopped());
        ended.await.unwrap();
        fs::remove_file(&file).unwrap();
    }
}
