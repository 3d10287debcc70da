//! How many bytes are read from a socket at once, by a byte stream that notes what it is asked for.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, ready},
    time::Duration,
};

use futures_util::future::BoxFuture;
use grid_proto::wire::Op;
use grid_transport::{Accept, BoxIo};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::{
    around,
    hostile::{LENGTH, STUCK, call, handlers},
    node::{self, A, B},
    raw::request,
    times::{defaults, pass},
    wire::{Memory, memory},
};

/// For each read: the room that there was for it, and what came, once something did.
type Reads = Arc<Mutex<Vec<(usize, Option<usize>)>>>;

struct Noting {
    stream: BoxIo,
    reads: Reads,
}

impl AsyncRead for Noting {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let (room, before) = (buf.remaining(), buf.filled().len());
        self.reads.lock().unwrap().push((room, None));
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        let came = buf.filled().len() - before;
        self.reads.lock().unwrap().last_mut().unwrap().1 = Some(came);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Noting {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

struct NotingAll(Memory, Reads);

impl Accept for NotingAll {
    fn accept(&mut self) -> BoxFuture<'_, io::Result<(BoxIo, String)>> {
        Box::pin(async {
            let (stream, from) = self.0.accept().await?;
            let reads = self.1.clone();
            Ok((Box::new(Noting { stream, reads }) as BoxIo, from))
        })
    }
}

#[tokio::test(start_paused = true)]
async fn read_chunk_at_once_and_1_kib_at_rest() {
    for chunk in around(40_000) {
        let reads = Reads::default();
        let manager = handlers(node::builder(B, &[A]))
            .settings(defaults().read_chunk(chunk))
            .build()
            .unwrap();
        let (dial, dialed) = memory();
        manager.serve_on(NotingAll(dialed, reads.clone())).unwrap();
        let mut wire = dial.connect(1 << 20);
        wire.upgrade().await;
        assert!(wire.greet(&request(A, "debug")).await.unwrap().accepted);
        // As much as there may be is there at any time: small messages, so that no large one has a buffer of its own.
        for mux in 1..=4_000 {
            let ask = call(Op::Request, STUCK, mux, vec![b'x'; 200]);
            assert!(wire.send_message(&ask).await);
        }
        pass(Duration::from_millis(1)).await;
        let busy = std::mem::take(&mut *reads.lock().unwrap());
        // No more, also where a buffer that is used again has more room.
        let most = busy.iter().filter_map(|(_, came)| *came).max();
        assert_eq!(most, Some(chunk), "{busy:?}");
        assert!(busy.iter().all(|(room, _)| *room <= chunk), "{busy:?}");
        // Messages that come one by one use the large buffer up, and then it is a small one.
        for mux in 10_000..10_400 {
            let ask = call(Op::Request, LENGTH, mux, vec![b'x'; 200]);
            assert!(wire.send_message(&ask).await);
            pass(Duration::from_millis(1)).await;
        }
        let (room, came) = reads.lock().unwrap().last().copied().unwrap();
        assert_eq!(came, None, "it waits");
        assert!(room <= 1_024, "{room} at rest");
        manager.shutdown(Duration::ZERO).await;
    }
}
