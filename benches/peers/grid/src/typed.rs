//! What structs cost over bytes: an echo of a struct of five fields, whose encoding has the size that was asked for.

use std::{future::IntoFuture as _, net::SocketAddr, sync::Arc};

use anyhow::Context as _;
use bytes::Bytes;
use grid_transport::{HandlerId, Manager, NoAuth};
use grid_typed::{ManagerBuilderExt as _, Single};
use peer_harness::{Client, Peer};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

use crate::{Link, To, names};

static ECHO: Single<Block, Block> = Single::new(HandlerId::new(207));

/// Five fields.
#[derive(Clone, Serialize, Deserialize)]
pub struct Block {
    volume: String,
    path: String,
    offset: i64,
    sealed: bool,
    data: grid_typed::Bytes,
}

impl Block {
    fn of(data: Vec<u8>) -> Self {
        Self {
            volume: "disk1".into(),
            path: "objects/0192/part.1".into(),
            offset: 4096,
            sealed: true,
            data: data.into(),
        }
    }

    /// One whose encoding takes so many bytes; a few are needed in any case.
    fn sized(size: usize) -> Self {
        let head = |data: usize| {
            let encoded = grid_typed::encode(&Self::of(vec![b'x'; data]));
            encoded.map_or(0, |bytes| bytes.len() - data)
        };
        // How long the head is depends on the length of the data, and hardly ever changes with it.
        let guess = size.saturating_sub(head(size));
        Self::of(vec![b'x'; size.saturating_sub(head(guess))])
    }
}

/// Two nodes, one link.
pub struct Structs;

/// The link of the node that loads.
#[derive(Clone)]
pub struct TypedLink(Link);

impl Peer for Structs {
    type Client = TypedLink;

    async fn serve(listener: TcpListener) -> anyhow::Result<()> {
        let names = names(false)?;
        let node = Manager::builder(&names[1])
            .peers(names.clone())
            .auth(NoAuth)
            .typed(&ECHO, |block, _| async move { Ok(block) })
            .build()?;
        node.serve(listener)?;
        std::future::pending().await
    }

    async fn connect(addr: SocketAddr) -> anyhow::Result<TypedLink> {
        let names = names(false)?;
        let node = Manager::builder(&names[0])
            .peers(names.clone())
            .auth(NoAuth)
            .dialer(To(addr))
            .build()?;
        let peer = node.connection(&names[1])?;
        peer.connected().await?;
        Ok(TypedLink(Link {
            peer,
            _node: node,
            sink: false,
        }))
    }
}

impl Client for TypedLink {
    type Payload = Arc<(Block, usize)>;

    fn payload(bytes: Bytes) -> Self::Payload {
        Arc::new((Block::sized(bytes.len()), bytes.len()))
    }

    async fn echo(&self, payload: &Self::Payload) -> anyhow::Result<usize> {
        let (block, size) = &**payload;
        let answer = ECHO.call(&self.0.peer, block).into_future().await?;
        // As long as what was sent takes so many bytes.
        (*size + answer.data.len())
            .checked_sub(block.data.len())
            .context("an answer without data")
    }
}
