//! The calling side.

use std::{
    collections::{HashMap, VecDeque},
    future::poll_fn,
    net::SocketAddr,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use anyhow::{Context as _, anyhow, ensure};
use bytes::{BufMut as _, Bytes, BytesMut};
use parking_lot::Mutex;
use peer_harness::{Ask, Client};
use tokio::{
    io::AsyncReadExt as _,
    net::{TcpStream, tcp::OwnedReadHalf},
};

use crate::{
    frame::{self, Kind},
    writer::{self, Held, Out, wake},
};

/// Streams have ids from here.
const STREAMS: u32 = 1 << 31;

/// One connection.
#[derive(Clone)]
pub struct Connection(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    out: Out,
    slots: Vec<Slot>,
    free: Vec<u32>,
    open: usize,
    streams: HashMap<u32, Stream>,
    next_stream: u32,
    gone: bool,
}

#[derive(Default)]
struct Slot {
    answer: Option<Bytes>,
    waker: Option<Waker>,
}

/// One side of a stream.
#[derive(Default)]
pub(crate) struct Stream {
    pub(crate) items: VecDeque<Bytes>,
    pub(crate) ended: bool,
    pub(crate) credit: u32,
    pub(crate) receiver: Option<Waker>,
    pub(crate) sender: Option<Waker>,
}

impl Held for State {
    fn out(&mut self) -> &mut Out {
        self.out.busy = self.open > 1;
        &mut self.out
    }
}

impl Connection {
    /// Connects.
    pub async fn to(addr: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        let (reading, writing) = stream.into_split();
        let state = Arc::new(Mutex::new(State::default()));
        // Both end with the process: the program that measures has no other end.
        tokio::spawn(writer::write(Arc::clone(&state), writing));
        tokio::spawn(read(Arc::clone(&state), reading));
        Ok(Self(state))
    }

    fn send(&self, id: u32, kind: Kind, payload: &[u8]) -> Option<()> {
        let waker = {
            let mut state = self.0.lock();
            if state.gone {
                return None;
            }
            frame::put(&mut state.out.bytes, id, kind, payload);
            state.out.wake()
        };
        wake(waker);
        Some(())
    }

    async fn receive(&self, id: u32) -> anyhow::Result<Option<Bytes>> {
        poll_fn(|context| {
            let mut state = self.0.lock();
            let State {
                out, streams, gone, ..
            } = &mut *state;
            let Some(stream) = streams.get_mut(&id).filter(|_| !*gone) else {
                return Poll::Ready(Err(anyhow!("the connection is gone")));
            };
            if let Some(item) = stream.items.pop_front() {
                frame::put(&mut out.bytes, id, Kind::Credit, &[]);
                let waker = out.wake();
                drop(state);
                wake(waker);
                return Poll::Ready(Ok(Some(item)));
            }
            if stream.ended {
                streams.remove(&id);
                return Poll::Ready(Ok(None));
            }
            stream.receiver = Some(context.waker().clone());
            Poll::Pending
        })
        .await
    }

    async fn send_items(&self, id: u32, ask: Ask) -> anyhow::Result<()> {
        let item = vec![b'x'; ask.size];
        for _ in 0..ask.count {
            let waker = poll_fn(|context| self.poll_send(id, &item, context)).await?;
            wake(waker);
        }
        self.send(id, Kind::End, &[])
            .context("the connection is gone")
    }

    /// Sends an item if the other side has room for it; returns whom to wake.
    fn poll_send(
        &self,
        id: u32,
        item: &[u8],
        context: &Context<'_>,
    ) -> Poll<anyhow::Result<Option<Waker>>> {
        let mut state = self.0.lock();
        let State {
            out, streams, gone, ..
        } = &mut *state;
        let Some(stream) = streams.get_mut(&id).filter(|_| !*gone) else {
            return Poll::Ready(Err(anyhow!("the stream is gone")));
        };
        let Some(less) = stream.credit.checked_sub(1) else {
            stream.sender = Some(context.waker().clone());
            return Poll::Pending;
        };
        stream.credit = less;
        frame::put(&mut out.bytes, id, Kind::Item, item);
        Poll::Ready(Ok(out.wake()))
    }
}

impl Client for Connection {
    type Payload = Bytes;

    fn payload(bytes: Bytes) -> Bytes {
        bytes
    }

    async fn echo(&self, payload: &Bytes) -> anyhow::Result<usize> {
        let mut taken = None;
        poll_fn(|context| {
            let mut state = self.0.lock();
            if state.gone {
                return Poll::Ready(Err(anyhow!("the connection is gone")));
            }
            let Some(id) = taken else {
                let id = state.free.pop().unwrap_or_else(|| {
                    state.slots.push(Slot::default());
                    (state.slots.len() - 1) as u32
                });
                taken = Some(id);
                state.open += 1;
                frame::put(&mut state.out.bytes, id, Kind::Request, payload);
                if let Some(slot) = state.slots.get_mut(id as usize) {
                    slot.waker = Some(context.waker().clone());
                }
                let waker = state.out.wake();
                drop(state);
                wake(waker);
                return Poll::Pending;
            };
            let slot = state.slots.get_mut(id as usize).context("no such slot")?;
            let Some(answer) = slot.answer.take() else {
                slot.waker = Some(context.waker().clone());
                return Poll::Pending;
            };
            state.free.push(id);
            state.open -= 1;
            Poll::Ready(Ok(answer.len()))
        })
        .await
    }

    async fn stream(&self, ask: Ask) -> anyhow::Result<u64> {
        let id = {
            let mut state = self.0.lock();
            let id = STREAMS + state.next_stream;
            state.next_stream += 1;
            state.open += 1;
            let stream = Stream {
                credit: ask.capacity,
                ..Stream::default()
            };
            state.streams.insert(id, stream);
            id
        };
        let mut wanted = Vec::with_capacity(17);
        wanted.put_u8(u8::from(ask.echo));
        wanted.put_u32_le(ask.capacity);
        wanted.put_u64_le(ask.count);
        wanted.put_u32_le(u32::try_from(ask.size)?);
        self.send(id, Kind::Open, &wanted)
            .context("the connection is gone")?;
        let receive = async {
            let mut items = 0;
            while let Some(item) = self.receive(id).await? {
                ensure!(item.len() == ask.size, "an item of another size");
                items += 1;
            }
            anyhow::Ok(items)
        };
        let items = if ask.echo {
            futures_util::try_join!(self.send_items(id, ask), receive)?.1
        } else {
            receive.await?
        };
        self.0.lock().open -= 1;
        Ok(items)
    }
}

async fn read(state: Arc<Mutex<State>>, mut half: OwnedReadHalf) {
    let mut buffer = BytesMut::new();
    let mut wakers = Vec::new();
    loop {
        buffer.reserve(64 * 1024);
        if !matches!(half.read_buf(&mut buffer).await, Ok(1..)) {
            break;
        }
        {
            let mut state = state.lock();
            while let Some((id, kind, payload)) = frame::split(&mut buffer) {
                if kind == Kind::Answer {
                    if let Some(slot) = state.slots.get_mut(id as usize) {
                        slot.answer = Some(payload);
                        wakers.extend(slot.waker.take());
                    }
                } else if let Some(stream) = state.streams.get_mut(&id) {
                    wakers.extend(stream.take_in(kind, payload));
                }
            }
        }
        wakers.drain(..).for_each(Waker::wake);
    }
    let mut state = state.lock();
    state.gone = true;
    state.out.closed = true;
    wakers.extend(state.slots.iter_mut().filter_map(|slot| slot.waker.take()));
    wakers.extend(state.out.wake());
    for stream in state.streams.values_mut() {
        wakers.extend(stream.receiver.take());
        wakers.extend(stream.sender.take());
    }
    drop(state);
    wakers.drain(..).for_each(Waker::wake);
}

impl Stream {
    /// Takes what came; returns whom to wake.
    pub(crate) fn take_in(&mut self, kind: Kind, payload: Bytes) -> Option<Waker> {
        match kind {
            Kind::Item => {
                self.items.push_back(payload);
                self.receiver.take()
            }
            Kind::End => {
                self.ended = true;
                self.receiver.take()
            }
            Kind::Credit => {
                self.credit += 1;
                self.sender.take()
            }
            Kind::Request | Kind::Answer | Kind::Open => None,
        }
    }
}
