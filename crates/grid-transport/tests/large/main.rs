//! Bodies over streams: whole, or an error that says why not.

mod cut;
#[path = "../common/pairs.rs"]
mod pairs;

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use grid_transport::{
    Builder, CallError, Capacity, HandlerError, HandlerId, StreamCall,
    large::{ReceiveError, Receiver, SendBodyError, Sender},
    testing::{Pair, pair},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, ReadBuf},
    sync::watch,
};

const FETCH: HandlerId = HandlerId::new(200);
const STORE: HandlerId = HandlerId::new(201);
const OUT: Capacity = Capacity::new(0, 4);
const IN: Capacity = Capacity::new(4, 1);
const CHUNK: usize = 1_000;

/// Bytes whose order can be seen.
fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|index| (index % 251) as u8).collect()
}

/// Answers with as many bytes as it is asked for.
async fn fetch(call: StreamCall) -> Result<(), HandlerError> {
    let len = String::from_utf8_lossy(call.payload().as_slice()).parse()?;
    let sent = Sender::new(call)
        .chunk(CHUNK)
        .send_reader(io::Cursor::new(bytes(len)))
        .await?;
    assert_eq!(sent.len, len as u64);
    Ok(())
}

/// Takes a body and answers with its length and hash.
async fn store(mut call: StreamCall) -> Result<(), HandlerError> {
    let mut receiver = Receiver::new(&mut call).limit(1_000_000);
    let mut body = Vec::new();
    receiver.read_to_end(&mut body).await?;
    let summary = receiver
        .summary()
        .ok_or_else(|| HandlerError::new("no summary"))?;
    call.send(format!("{summary:?}")).await?;
    Ok(())
}

fn handlers(node: Builder) -> Builder {
    node.stream(FETCH, OUT, fetch).stream(STORE, IN, store)
}

/// A pair whose `FETCH` does this.
async fn answering<F>(answer: impl Fn(StreamCall) -> F + Send + Sync + 'static) -> Pair
where
    F: Future<Output = Result<(), HandlerError>> + Send + 'static,
{
    let answer = Arc::new(answer);
    pair(|node| {
        let answer = answer.clone();
        node.stream(FETCH, OUT, move |call| answer(call))
    })
    .await
    .unwrap()
}

/// All pieces of what `FETCH` answers, and how it ended.
async fn received(pair: &Pair) -> (Vec<Bytes>, Result<u64, ReceiveError>) {
    let stream = pair.a_to_b().stream(FETCH, OUT, "").await.unwrap();
    let mut receiver = Receiver::new(stream);
    let mut pieces = Vec::new();
    while let Some(piece) = receiver.next().await {
        match piece {
            Ok(piece) => pieces.push(piece),
            Err(error) => {
                assert!(receiver.summary().is_none());
                assert!(receiver.next().await.is_none(), "an error comes once");
                return (pieces, Err(error));
            }
        }
    }
    let summary = receiver.summary().expect("it came whole");
    (pieces, Ok(summary.len))
}

#[tokio::test]
async fn bodies_of_any_length_go_over_tcp_both_ways() {
    let pair = pairs::tcp(handlers).await;
    for len in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 100 * CHUNK, 999_999] {
        for peer in [pair.a_to_b(), pair.b_to_a()] {
            let stream = peer.stream(FETCH, OUT, len.to_string()).await.unwrap();
            let mut receiver = Receiver::new(stream);
            let mut body = Vec::new();
            receiver.read_to_end(&mut body).await.unwrap();
            assert!(body == bytes(len), "{len} bytes came as {}", body.len());
            let fetched = receiver.summary().unwrap();

            let mut stream = peer.stream(STORE, IN, "").await.unwrap();
            let pieces = stream::iter(
                bytes(len)
                    .chunks(70_000)
                    .map(Bytes::copy_from_slice)
                    .collect::<Vec<_>>(),
            );
            let stored = Sender::new(&mut stream)
                .send_stream(pieces.map(Ok::<_, io::Error>))
                .await
                .unwrap();
            assert_eq!(stored, fetched);
            let answer = stream.recv().await.unwrap().unwrap();
            assert_eq!(answer.as_slice(), format!("{stored:?}").as_bytes());
            assert!(stream.recv().await.is_none());
        }
    }
    pair.shutdown(Duration::from_secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn pieces_are_cut_and_none_is_empty() {
    let pair = answering(|call| async move {
        let pieces = [0, 2 * CHUNK + 7, 0, 3].map(|len| Ok(Bytes::from(bytes(len))));
        Sender::new(call)
            .chunk(CHUNK)
            .send_stream(stream::iter(pieces))
            .await?;
        Ok(())
    })
    .await;
    let (pieces, end) = received(&pair).await;
    let lens: Vec<_> = pieces.iter().map(Bytes::len).collect();
    assert_eq!(lens, [CHUNK, CHUNK, 7, 3]);
    assert_eq!(end.unwrap(), 2 * CHUNK as u64 + 10);
}

/// A handler sends these items by hand.
async fn of_items(items: &'static [&'static [u8]]) -> (usize, ReceiveError) {
    let pair = answering(move |call| async move {
        for item in items {
            call.send(*item).await?;
        }
        Ok(())
    })
    .await;
    let (pieces, end) = received(&pair).await;
    (
        pieces.iter().map(Bytes::len).sum(),
        end.expect_err("it is not whole"),
    )
}

/// The length and hash of "abc" (FIPS 180-4).
const ABC: &[u8] = b"\0\0\0\0\0\0\0\x03\xba\x78\x16\xbf\x8f\x01\xcf\xea\x41\x41\x40\xde\x5d\xae\x22\x23\xb0\x03\x61\xa3\x96\x17\x7a\x9c\xb4\x10\xff\x61\xf2\x00\x15\xad";

#[tokio::test(start_paused = true)]
async fn what_is_not_whole_is_an_error_that_says_why() {
    use ReceiveError::{Hash, Length, Malformed, Truncated};
    let cases: [(&[&[u8]], _); 7] = [
        (&[], "Truncated 0"),
        (&[b"ab", b"c"], "Truncated 3"),
        (&[b"ab", b"c", b""], "Truncated 3"),
        (&[b"ab", b"", ABC], "Length 2 of 3"),
        (&[b"ab", b"d", b"", ABC], "Hash 3"),
        (
            &[b"abc", b"", b"abc"],
            "Malformed what should be a summary is none",
        ),
        (
            &[b"abc", b"", ABC, b"d"],
            "Malformed an item behind the summary",
        ),
    ];
    for (items, wanted) in cases {
        let (_, error) = of_items(items).await;
        let told = match error {
            Truncated { came } => format!("Truncated {came}"),
            Length { came, said } => format!("Length {came} of {said}"),
            Hash { len } => format!("Hash {len}"),
            Malformed(why) => format!("Malformed {why}"),
            other => panic!("{other}"),
        };
        assert_eq!(told, wanted);
    }
    let pair = answering(|call| async move {
        for item in [b"ab" as &[u8], b"c", b"", ABC] {
            call.send(item).await?;
        }
        Ok(())
    })
    .await;
    assert_eq!(received(&pair).await.1.unwrap(), 3);
}

/// Gives some bytes, and then fails.
struct Failing(usize);

impl AsyncRead for Failing {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.0 == 0 {
            return Poll::Ready(Err(io::Error::other("the disk is broken")));
        }
        self.0 -= 1;
        buf.put_slice(b"some");
        Poll::Ready(Ok(()))
    }
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_fails_ends_the_body_with_its_words() {
    let pair = answering(|call| async move {
        let sent = Sender::new(call).send_reader(Failing(3)).await;
        assert!(matches!(sent, Err(SendBodyError::Read(_))));
        sent?;
        Ok(())
    })
    .await;
    let (pieces, end) = received(&pair).await;
    assert_eq!(pieces.concat(), b"somesomesome");
    let error = end.unwrap_err();
    assert!(matches!(error, ReceiveError::Call(CallError::Remote(_))));
    assert_eq!(error.to_string(), "can't read the body: the disk is broken");

    // Whoever reads on after an error does not find an end.
    let stream = pair.a_to_b().stream(FETCH, OUT, "").await.unwrap();
    let mut receiver = Receiver::new(stream);
    let mut room = [0; 64];
    let mut came = 0;
    let first = loop {
        match receiver.read(&mut room).await {
            Ok(0) => panic!("an end"),
            Ok(read) => came += read,
            Err(error) => break error,
        }
    };
    assert_eq!(came, 12);
    assert!(first.to_string().contains("the disk is broken"), "{first}");
    assert!(receiver.read(&mut room).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_fails_behind_its_body_is_heard() {
    let pair = answering(|mut call| async move {
        Sender::new(&mut call).send_reader(&b"abc"[..]).await?;
        Err(HandlerError::new("the log is full"))
    })
    .await;
    let (pieces, end) = received(&pair).await;
    assert_eq!(pieces.concat(), b"abc");
    assert_eq!(end.unwrap_err().to_string(), "the log is full");
}

#[tokio::test(start_paused = true)]
async fn a_body_over_the_limit_is_not_taken() {
    let pair = pair(handlers).await.unwrap();
    for (limit, whole) in [(2_499, false), (2_500, true), (2_501, true)] {
        let stream = pair.a_to_b().stream(FETCH, OUT, "2500").await.unwrap();
        let mut receiver = Receiver::new(stream).limit(limit);
        let mut came = 0;
        let end = loop {
            match receiver.next_bytes().await {
                Some(Ok(bytes)) => came += bytes.len(),
                Some(Err(error)) => break Err(error),
                None => break Ok(()),
            }
        };
        assert_eq!(end.is_ok(), whole, "{limit}");
        match end {
            Ok(()) => assert_eq!(came, 2_500),
            Err(error) => {
                assert!(
                    matches!(error, ReceiveError::TooLong { limit: 2_499 }),
                    "{error}"
                );
                assert_eq!(came, 2_000, "what came before it");
            }
        }
    }
}

/// Counts its reads, and has no end.
struct Endless(Arc<AtomicUsize>);

impl AsyncRead for Endless {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        buf.put_slice(&[7; CHUNK]);
        Poll::Ready(Ok(()))
    }
}

#[tokio::test(start_paused = true)]
async fn who_does_not_read_holds_the_sender_up_and_who_drops_it_stops_it() {
    let reads = Arc::new(AtomicUsize::new(0));
    let (alive, mut gone) = watch::channel(());
    let alive = Arc::new(alive);
    let held = (reads.clone(), Arc::downgrade(&alive));
    let pair = answering(move |call| {
        let (reads, alive) = (held.0.clone(), held.1.upgrade());
        async move {
            let _alive = alive;
            Sender::new(call)
                .chunk(CHUNK)
                .send_reader(Endless(reads))
                .await?;
            Ok(())
        }
    })
    .await;
    let stream = pair.a_to_b().stream(FETCH, OUT, "").await.unwrap();
    let mut receiver = Receiver::new(stream);
    for read in 0..9 {
        // tidy: sleep: the clock stands still until nobody has anything to do
        tokio::time::sleep(Duration::from_millis(1)).await;
        let most = read + OUT.output as usize + 1;
        let now = reads.load(Ordering::Relaxed);
        assert!(now <= most, "{now} reads, {read} taken");
        let bytes = receiver.next_bytes().await.unwrap().unwrap();
        assert_eq!(bytes.len(), CHUNK);
    }
    drop(alive);
    assert!(gone.has_changed().is_ok(), "the handler goes on");
    drop(receiver);
    // Its sender goes with the handler's future.
    assert!(gone.changed().await.is_err());
}
