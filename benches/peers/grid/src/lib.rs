//! This grid as a library, with default settings, for what `grid node` and `grid load` do not tell: allocations, and
//! streams of any capacity; and with both names https, when the wire carries no checksums. Then the socket stays
//! plain, so that the checksum is all that differs.

pub mod typed;

use std::{future::IntoFuture as _, io, net::SocketAddr};

use anyhow::{anyhow, ensure};
use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use futures_util::{StreamExt as _, TryStreamExt as _, future::BoxFuture, stream};
use grid_transport::{
    BoxIo, Capacity, Connection, Dialer, HandlerError, HandlerId, Manager, NoAuth, Payload,
    Request, SendError, Settings, StreamCall, Target,
};
use peer_harness::{Ask, Client, Peer};
use tokio::net::{TcpListener, TcpStream};

const ECHO: HandlerId = HandlerId::new(200);
/// A handler of items, and of items there and back, for each capacity.
const STREAMS: [(u32, HandlerId, HandlerId); 3] = [
    (1, HandlerId::new(201), HandlerId::new(202)),
    (100, HandlerId::new(203), HandlerId::new(204)),
    (512, HandlerId::new(205), HandlerId::new(206)),
];

/// Two nodes, one link; with `OWN`, each runs it on a worker of its own; with `SINK`, items go through the sinks of streams and
/// not each by itself.
pub struct Grid<const HTTPS: bool, const OWN: bool, const SINK: bool = false>;

/// The link of the node that loads.
#[derive(Clone)]
pub struct Link {
    peer: Connection,
    _node: Manager,
    sink: bool,
}

/// Dials the one address there is.
struct To(SocketAddr);

impl Dialer for To {
    fn dial<'a>(&'a self, _: &'a Target) -> BoxFuture<'a, io::Result<BoxIo>> {
        Box::pin(async {
            let stream = TcpStream::connect(self.0).await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(stream) as BoxIo)
        })
    }
}

/// The names of the node that dials and of the one that is dialed.
fn names(https: bool) -> anyhow::Result<[String; 2]> {
    let scheme = if https { "https" } else { "http" };
    let name = |host| format!("{scheme}://{host}.invalid:9000");
    let [one, two] = [name("one"), name("two")];
    Ok(if grid_proto::local_dials(&one, &two) {
        [one, two]
    } else {
        [two, one]
    })
}

impl<const HTTPS: bool, const OWN: bool, const SINK: bool> Peer for Grid<HTTPS, OWN, SINK> {
    type Client = Link;

    async fn serve(listener: TcpListener) -> anyhow::Result<()> {
        let names = names(HTTPS)?;
        let mut node = Manager::builder(&names[1])
            .peers(names.clone())
            .auth(NoAuth)
            .settings(Settings::new().own_worker(OWN))
            .single(ECHO, |request: Request| async move {
                Ok(request.into_payload())
            });
        for (capacity, items, echo) in STREAMS {
            node = node
                .stream(items, Capacity::new(0, capacity), |call| {
                    send_items(call, SINK)
                })
                .stream(echo, Capacity::new(capacity, capacity), |call| {
                    echo_items(call, SINK)
                });
        }
        let node = node.build()?;
        node.serve(listener)?;
        std::future::pending().await
    }

    async fn connect(addr: SocketAddr) -> anyhow::Result<Link> {
        let names = names(HTTPS)?;
        let node = Manager::builder(&names[0])
            .peers(names.clone())
            .auth(NoAuth)
            .settings(Settings::new().own_worker(OWN))
            .dialer(To(addr))
            .build()?;
        let peer = node.connection(&names[1])?;
        peer.connected().await?;
        Ok(Link {
            peer,
            _node: node,
            sink: SINK,
        })
    }
}

async fn send_items(call: StreamCall, sink: bool) -> Result<(), HandlerError> {
    let mut asked = call.payload().clone().into_bytes();
    if asked.len() != 12 {
        return Err(HandlerError::new("it asks for nothing"));
    }
    let count = asked.get_u64_le();
    let item = Bytes::from(vec![b'x'; asked.get_u32_le() as usize]);
    if sink {
        repeated(item, count).forward(call).await?;
        return Ok(());
    }
    for _ in 0..count {
        call.send(item.clone()).await?;
    }
    Ok(())
}

/// As many of the same, for a sink.
fn repeated(
    item: Bytes,
    count: u64,
) -> impl futures_util::Stream<Item = Result<Payload, SendError>> {
    let mut left = count;
    stream::iter(std::iter::from_fn(move || {
        left = left.checked_sub(1)?;
        Some(Ok(Payload::from(item.clone())))
    }))
}

async fn echo_items(mut call: StreamCall, sink: bool) -> Result<(), HandlerError> {
    if !sink {
        while let Some(item) = call.recv().await {
            call.send(item?).await?;
        }
        return Ok(());
    }
    let (_, _context, sender, receiver) = call.into_parts();
    receiver.map_err(SendError::Call).forward(sender).await?;
    Ok(())
}

impl Client for Link {
    type Payload = Bytes;

    fn payload(bytes: Bytes) -> Bytes {
        bytes
    }

    async fn echo(&self, payload: &Bytes) -> anyhow::Result<usize> {
        Ok(self
            .peer
            .request(ECHO, payload.clone())
            .into_future()
            .await?
            .len())
    }

    async fn stream(&self, ask: Ask) -> anyhow::Result<u64> {
        let (_, items, echo) = STREAMS
            .into_iter()
            .find(|(capacity, ..)| *capacity == ask.capacity)
            .ok_or_else(|| anyhow!("no handler has a capacity of {}", ask.capacity))?;
        let mut count = 0;
        if ask.echo {
            let capacity = Capacity::new(ask.capacity, ask.capacity);
            let stream = self
                .peer
                .stream(echo, capacity, Payload::Absent)
                .into_future()
                .await?;
            let (mut sender, mut receiver) = stream.split();
            let send = async {
                let item = Bytes::from(vec![b'x'; ask.size]);
                if self.sink {
                    // Finishes it, as whatever closes a sink.
                    repeated(item, ask.count).forward(sender).await?;
                    return Ok(());
                }
                for _ in 0..ask.count {
                    sender.send(item.clone()).await?;
                }
                sender.finish();
                anyhow::Ok(())
            };
            let receive = async {
                while let Some(item) = receiver.recv().await {
                    ensure!(item?.len() == ask.size, "an item of another size");
                    count += 1;
                }
                Ok(())
            };
            futures_util::try_join!(send, receive)?;
        } else {
            let mut asked = BytesMut::with_capacity(12);
            asked.put_u64_le(ask.count);
            asked.put_u32_le(u32::try_from(ask.size)?);
            let capacity = Capacity::new(0, ask.capacity);
            let mut stream = self
                .peer
                .stream(items, capacity, asked.freeze())
                .into_future()
                .await?;
            while let Some(item) = stream.recv().await {
                ensure!(item?.len() == ask.size, "an item of another size");
                count += 1;
            }
        }
        Ok(count)
    }
}
