//! A body whose link goes in the middle.

use std::{
    io,
    net::{Shutdown, TcpStream},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::future::BoxFuture;
use grid_transport::{
    BoxIo, CallError, Dialer, StreamHandler, Target,
    large::{ReceiveError, Receiver, SendBodyError, Sender},
};
use parking_lot::Mutex;
use tokio::{
    io::{AsyncRead, AsyncReadExt, ReadBuf},
    sync::mpsc,
    time::timeout,
};

use crate::{CHUNK, FETCH, IN, OUT, STORE, bytes, fetch, pairs};

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Dials by TCP, and cuts what it has dialed where it is told to.
#[derive(Clone, Default)]
struct Scissors(Arc<Mutex<Vec<TcpStream>>>);

impl Scissors {
    fn cut(&self) {
        for io in self.0.lock().drain(..) {
            // One that has gone by itself is as good.
            let _ = io.shutdown(Shutdown::Both);
        }
    }
}

impl Dialer for Scissors {
    fn dial<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, io::Result<BoxIo>> {
        Box::pin(async move {
            let io = tokio::net::TcpStream::connect(target.authority()).await?;
            let io = io.into_std()?;
            self.0.lock().push(io.try_clone()?);
            Ok(Box::new(tokio::net::TcpStream::from_std(io)?) as BoxIo)
        })
    }
}

/// Why it is not whole, where that is the link.
#[track_caller]
fn is_cut(error: &io::Error) {
    let why = error.get_ref().and_then(|error| error.downcast_ref());
    let Some(ReceiveError::Call(CallError::Disconnected { .. })) = why else {
        panic!("{error:?}")
    };
}

/// Gives bytes without end, and has the link cut on the way.
struct Cutting(usize, Scissors);

impl AsyncRead for Cutting {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.0 += 1;
        if self.0 == 20 {
            self.1.cut();
        }
        buf.put_slice(&[7; CHUNK]);
        Poll::Ready(Ok(()))
    }
}

/// Whoever of the two reads, and whoever of them has dialed.
#[tokio::test]
async fn a_body_whose_link_is_cut_over_tcp_has_an_error_and_no_end() {
    const LEN: usize = 1_000 * CHUNK;
    let scissors = Scissors::default();
    let (told, mut stored) = mpsc::unbounded_channel();
    let pair = pairs::tcp(|node| {
        let told = told.clone();
        let store = StreamHandler::new(STORE, IN, move |mut call| {
            let told = told.clone();
            async move {
                let mut receiver = Receiver::new(&mut call);
                let mut body = Vec::new();
                let end = receiver.read_to_end(&mut body).await;
                told.send((body.len(), end, receiver.summary()))?;
                Ok(())
            }
        });
        node.dialer(scissors.clone())
            .stream(FETCH, OUT, fetch)
            .register(store.detached())
    })
    .await;
    for peer in [pair.a_to_b(), pair.b_to_a()] {
        let open = peer.stream(FETCH, OUT, LEN.to_string()).wait_ready();
        let mut receiver = Receiver::new(timeout(PATIENCE, open).await.unwrap().unwrap());
        let mut body = vec![0; 10 * CHUNK];
        receiver.read_exact(&mut body).await.unwrap();
        // No more is on its way than there is room for.
        scissors.cut();
        let rest = timeout(PATIENCE, receiver.read_to_end(&mut body)).await;
        is_cut(&rest.expect("it ends").unwrap_err());
        assert!(body.len() < LEN && body == bytes(LEN)[..body.len()]);
        assert!(receiver.summary().is_none());
        assert!(receiver.read(&mut [0]).await.is_err());

        let open = peer.stream(STORE, IN, "").wait_ready();
        let mut stream = timeout(PATIENCE, open).await.unwrap().unwrap();
        let sending = Sender::new(&mut stream)
            .chunk(CHUNK)
            .send_reader(Cutting(0, scissors.clone()));
        let sent = timeout(PATIENCE, sending).await.expect("it ends");
        assert!(matches!(sent, Err(SendBodyError::Send(_))), "{sent:?}");
        let (came, end, summary) = timeout(PATIENCE, stored.recv()).await.unwrap().unwrap();
        is_cut(&end.unwrap_err());
        assert!(came > 0 && summary.is_none(), "{came}, {summary:?}");
    }
    pair.shutdown(Duration::from_secs(10)).await;
}
