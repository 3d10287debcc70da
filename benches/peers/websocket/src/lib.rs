//! The smallest mux over tokio-tungstenite: each message a websocket frame that begins with its id; all that has
//! gathered is fed to the sink, then flushed once. `WAITS` says whether the writer lets others have their turn before it
//! takes what has gathered, as the smallest mux over TCP does, or writes as soon as there is anything.

use std::{
    future::{Future, poll_fn},
    net::SocketAddr,
    sync::Arc,
    task::{Poll, Waker},
};

use anyhow::{Context as _, anyhow};
use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use futures_util::{Sink, SinkExt as _, Stream, StreamExt as _};
use parking_lot::Mutex;
use peer_harness::{Client, Peer};
use tokio::{
    net::{TcpListener, TcpStream},
    task::{JoinSet, yield_now},
};
use tokio_tungstenite::{
    accept_async, client_async,
    tungstenite::{Error, Message},
};

/// The most messages that are handed on at once.
const CHUNK: usize = 256;

/// Both ends.
pub struct Mux<const WAITS: bool>;

/// The one connection.
#[derive(Clone)]
pub struct Connection(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    out: Vec<Message>,
    writer: Option<Waker>,
    slots: Vec<Slot>,
    free: Vec<u32>,
    open: usize,
    gone: bool,
}

#[derive(Default)]
struct Slot {
    answer: Option<Bytes>,
    waker: Option<Waker>,
}

fn message(id: u32, payload: &[u8]) -> Message {
    let mut bytes = BytesMut::with_capacity(4 + payload.len());
    bytes.put_u32_le(id);
    bytes.put_slice(payload);
    Message::Binary(bytes.freeze())
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
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
                state.out.push(message(id, payload));
                if let Some(slot) = state.slots.get_mut(id as usize) {
                    slot.waker = Some(context.waker().clone());
                }
                let waker = state.writer.take();
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
}

/// Ends when the connection does.
async fn write<S>(state: Arc<Mutex<State>>, mut sink: S, waits: bool) -> anyhow::Result<()>
where
    S: Sink<Message, Error = Error> + Unpin,
{
    let mut batch = Vec::new();
    loop {
        let some = poll_fn(|context| {
            let mut state = state.lock();
            if !state.out.is_empty() {
                Poll::Ready(Some(state.open > 1))
            } else if state.gone {
                Poll::Ready(None)
            } else {
                state.writer = Some(context.waker().clone());
                Poll::Pending
            }
        });
        match some.await {
            None => return Ok(()),
            Some(true) if waits => yield_now().await,
            Some(_) => {}
        }
        std::mem::swap(&mut batch, &mut state.lock().out);
        for message in batch.drain(..) {
            sink.feed(message).await?;
        }
        sink.flush().await?;
    }
}

/// Hands every message on, under one lock all that have come.
async fn read<S>(
    state: Arc<Mutex<State>>,
    stream: S,
    take: fn(&mut State, u32, Bytes) -> Option<Waker>,
) where
    S: Stream<Item = Result<Message, Error>> + Unpin,
{
    let mut chunks = stream.ready_chunks(CHUNK);
    let mut wakers = Vec::new();
    'open: while let Some(messages) = chunks.next().await {
        {
            let mut state = state.lock();
            for message in messages {
                match message {
                    Ok(Message::Binary(mut bytes)) if bytes.len() >= 4 => {
                        let id = bytes.get_u32_le();
                        wakers.extend(take(&mut state, id, bytes));
                    }
                    Ok(_) => {}
                    Err(_) => break 'open,
                }
            }
        }
        wakers.drain(..).for_each(Waker::wake);
    }
    {
        let mut state = state.lock();
        state.gone = true;
        wakers.extend(state.writer.take());
        wakers.extend(state.slots.iter_mut().filter_map(|slot| slot.waker.take()));
    }
    wakers.drain(..).for_each(Waker::wake);
}

fn take_answer(state: &mut State, id: u32, payload: Bytes) -> Option<Waker> {
    let slot = state.slots.get_mut(id as usize)?;
    slot.answer = Some(payload);
    slot.waker.take()
}

fn answer(state: &mut State, id: u32, payload: Bytes) -> Option<Waker> {
    state.out.push(message(id, &payload));
    state.writer.take()
}

impl<const WAITS: bool> Peer for Mux<WAITS> {
    type Client = Connection;

    async fn serve(listener: TcpListener) -> anyhow::Result<()> {
        let mut connections = JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await?;
            connections.spawn(serve(stream, WAITS));
        }
    }

    async fn connect(addr: SocketAddr) -> anyhow::Result<Connection> {
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        let (socket, _) = client_async(format!("ws://{addr}/"), stream).await?;
        let (sink, stream) = socket.split();
        let state = Arc::new(Mutex::new(State::default()));
        tokio::spawn(write(Arc::clone(&state), sink, WAITS));
        tokio::spawn(read(Arc::clone(&state), stream, take_answer));
        Ok(Connection(state))
    }
}

fn serve(stream: TcpStream, waits: bool) -> impl Future<Output = anyhow::Result<()>> {
    async move {
        stream.set_nodelay(true)?;
        let (sink, stream) = accept_async(stream).await?.split();
        let state = Arc::new(Mutex::new(State::default()));
        let written = tokio::spawn(write(Arc::clone(&state), sink, waits));
        read(state, stream, answer).await;
        written.await?
    }
}
