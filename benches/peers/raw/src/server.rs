//! The answering side: requests are answered where they are read, streams have a task each.

use std::{
    collections::HashMap,
    future::poll_fn,
    sync::Arc,
    task::{Poll, Waker},
};

use anyhow::ensure;
use bytes::{Buf as _, Bytes, BytesMut};
use parking_lot::Mutex;
use tokio::{
    io::AsyncReadExt as _,
    net::{TcpListener, TcpStream, tcp::OwnedReadHalf},
    task::JoinSet,
};

use crate::{
    connection::Stream,
    frame::{self, Kind},
    writer::{self, Held, Out, wake},
};

type Shared = Arc<Mutex<State>>;

#[derive(Default)]
struct State {
    out: Out,
    streams: HashMap<u32, Stream>,
}

impl Held for State {
    fn out(&mut self) -> &mut Out {
        self.out.busy = self.streams.len() > 1;
        &mut self.out
    }
}

/// Answers on every connection that comes.
pub async fn serve(listener: TcpListener) -> anyhow::Result<()> {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await?;
        connections.spawn(connection(stream));
    }
}

async fn connection(stream: TcpStream) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    let (reading, writing) = stream.into_split();
    let state = Shared::default();
    let written = writer::write(Arc::clone(&state), writing);
    let read = read(Arc::clone(&state), reading);
    // A task each, so that they run side by side where there are workers.
    let (written, read) = (tokio::spawn(written), tokio::spawn(read));
    read.await??;
    written.await?
}

async fn read(state: Shared, mut half: OwnedReadHalf) -> anyhow::Result<()> {
    let mut buffer = BytesMut::new();
    let mut wakers = Vec::new();
    let mut streams = JoinSet::new();
    loop {
        buffer.reserve(64 * 1024);
        if half.read_buf(&mut buffer).await? == 0 {
            break;
        }
        {
            let mut held = state.lock();
            while let Some((id, kind, payload)) = frame::split(&mut buffer) {
                if kind == Kind::Request {
                    frame::put(&mut held.out.bytes, id, Kind::Answer, &payload);
                } else if kind == Kind::Open {
                    streams.spawn(stream(Arc::clone(&state), id, payload));
                    held.streams.entry(id).or_default();
                } else if let Some(stream) = held.streams.get_mut(&id) {
                    wakers.extend(stream.take_in(kind, payload));
                }
            }
            if !held.out.bytes.is_empty() {
                wakers.extend(held.out.wake());
            }
        }
        wakers.drain(..).for_each(Waker::wake);
        while streams.try_join_next().is_some() {}
    }
    let mut held = state.lock();
    held.out.closed = true;
    let waker = held.out.wake();
    drop(held);
    wake(waker);
    Ok(())
}

async fn stream(state: Shared, id: u32, mut asked: Bytes) -> anyhow::Result<()> {
    ensure!(asked.len() == 17, "it asks for nothing");
    let (echo, capacity) = (asked.get_u8() == 1, asked.get_u32_le());
    let (count, size) = (asked.get_u64_le(), asked.get_u32_le());
    if let Some(stream) = state.lock().streams.get_mut(&id) {
        stream.credit += capacity;
    }
    if echo {
        while let Some(item) = receive(&state, id).await {
            send(&state, id, &item).await;
        }
    } else {
        let item = vec![b'x'; size as usize];
        for _ in 0..count {
            send(&state, id, &item).await;
        }
    }
    let waker = {
        let mut state = state.lock();
        state.streams.remove(&id);
        frame::put(&mut state.out.bytes, id, Kind::End, &[]);
        state.out.wake()
    };
    wake(waker);
    Ok(())
}

async fn send(state: &Shared, id: u32, item: &[u8]) {
    let waker = poll_fn(|context| {
        let mut state = state.lock();
        let State { out, streams } = &mut *state;
        let Some(stream) = streams.get_mut(&id) else {
            return Poll::Ready(None);
        };
        let Some(less) = stream.credit.checked_sub(1) else {
            stream.sender = Some(context.waker().clone());
            return Poll::Pending;
        };
        stream.credit = less;
        frame::put(&mut out.bytes, id, Kind::Item, item);
        Poll::Ready(out.wake())
    })
    .await;
    wake(waker);
}

async fn receive(state: &Shared, id: u32) -> Option<Bytes> {
    let (item, waker) = poll_fn(|context| {
        let mut state = state.lock();
        let State { out, streams } = &mut *state;
        let Some(stream) = streams.get_mut(&id) else {
            return Poll::Ready((None, None));
        };
        if let Some(item) = stream.items.pop_front() {
            frame::put(&mut out.bytes, id, Kind::Credit, &[]);
            return Poll::Ready((Some(item), out.wake()));
        }
        if stream.ended {
            return Poll::Ready((None, None));
        }
        stream.receiver = Some(context.waker().clone());
        Poll::Pending
    })
    .await;
    wake(waker);
    item
}
