use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use super::*;

const PATIENCE: Duration = Duration::from_secs(10);

/// A dialer's and an acceptor's socket with a proxy between them.
struct Pair {
    proxy: Proxy,
    listener: TcpListener,
    dialer: TcpStream,
    acceptor: TcpStream,
}

async fn pair() -> Pair {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = Proxy::start(listener.local_addr().unwrap()).await.unwrap();
    let dialer = TcpStream::connect(proxy.address()).await.unwrap();
    let (acceptor, _) = listener.accept().await.unwrap();
    Pair {
        proxy,
        listener,
        dialer,
        acceptor,
    }
}

async fn read_exactly(socket: &mut TcpStream, want: &[u8]) {
    let mut got = vec![0; want.len()];
    timeout(PATIENCE, socket.read_exact(&mut got))
        .await
        .expect("bytes in time")
        .unwrap();
    assert_eq!(got, want);
}

/// Reads to the end: the bytes, and the error if there was one.
async fn read_rest(socket: &mut TcpStream) -> (Vec<u8>, Option<io::ErrorKind>) {
    let mut rest = Vec::new();
    let end = timeout(PATIENCE, socket.read_to_end(&mut rest))
        .await
        .expect("an end in time");
    (rest, end.err().map(|error| error.kind()))
}

#[tokio::test]
async fn bytes_pass_both_ways_and_an_end_is_passed_on() {
    let Pair {
        proxy: _proxy,
        dialer: mut a,
        acceptor: mut b,
        ..
    } = pair().await;
    let flood: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
    let expected = flood.clone();
    let writing = tokio::spawn(async move {
        a.write_all(&flood).await.unwrap();
        a.shutdown().await.unwrap();
        read_rest(&mut a).await
    });
    let (got, error) = read_rest(&mut b).await;
    assert!(got == expected && error.is_none());
    b.write_all(b"answer").await.unwrap();
    drop(b);
    assert_eq!(writing.await.unwrap(), (b"answer".to_vec(), None));
}

#[tokio::test]
async fn a_reset_arrives_at_both_ends() {
    let Pair {
        proxy,
        dialer: mut a,
        acceptor: mut b,
        ..
    } = pair().await;
    a.write_all(b"x").await.unwrap();
    read_exactly(&mut b, b"x").await;
    let done = proxy.cut(CutKind::Rst, Aim::Now).await.unwrap();
    assert!(!done.mid_frame);
    assert_eq!(
        read_rest(&mut a).await.1,
        Some(io::ErrorKind::ConnectionReset)
    );
    assert_eq!(
        read_rest(&mut b).await.1,
        Some(io::ErrorKind::ConnectionReset)
    );
}

#[tokio::test]
async fn an_orderly_cut_ends_inside_a_frame() {
    let Pair {
        proxy,
        dialer: mut a,
        acceptor: mut b,
        ..
    } = pair().await;
    a.write_all(b"x\r\n\r\n").await.unwrap();
    read_exactly(&mut b, b"x\r\n\r\n").await;
    let cut = proxy.cut(
        CutKind::Fin,
        Aim::MidFrame {
            after: 10,
            toward: Side::Acceptor,
        },
    );
    let traffic = async {
        // One frame of 2 + 8 bytes, then one of which a single byte may pass.
        a.write_all(&[0x82, 8, 0, 0, 0, 0, 0, 0, 0, 0])
            .await
            .unwrap();
        a.write_all(&[0x82, 3, 1, 2, 3]).await.unwrap();
    };
    let (done, ()) = tokio::join!(cut, traffic);
    assert_eq!(
        done,
        Some(CutDone {
            mid_frame: true,
            frames: 1
        })
    );
    let (rest, error) = read_rest(&mut b).await;
    assert_eq!(
        (rest.as_slice(), error),
        (&[0x82, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0x82][..], None)
    );
    assert_eq!(read_rest(&mut a).await, (Vec::new(), None));
}

#[tokio::test]
async fn a_cut_that_waits_for_traffic_does_not_wait_for_ever() {
    let Pair {
        proxy,
        dialer: mut a,
        acceptor: _b,
        ..
    } = pair().await;
    let cut = proxy.cut(
        CutKind::Rst,
        Aim::MidFrame {
            after: 1000,
            toward: Side::Dialer,
        },
    );
    let done = timeout(PATIENCE, cut).await.unwrap().unwrap();
    assert!(!done.mid_frame);
    assert_eq!(
        read_rest(&mut a).await.1,
        Some(io::ErrorKind::ConnectionReset)
    );
}

#[tokio::test]
async fn silence_keeps_the_sockets_open_and_passes_nothing() {
    let Pair {
        proxy,
        listener,
        dialer: mut a,
        acceptor: mut b,
    } = pair().await;
    proxy.cut(CutKind::Silent, Aim::Now).await.unwrap();
    a.write_all(b"lost").await.unwrap();
    b.write_all(b"lost").await.unwrap();
    // A second connection works beside it, and what it carries proves that time has passed.
    let mut a2 = TcpStream::connect(proxy.address()).await.unwrap();
    let (mut b2, _) = listener.accept().await.unwrap();
    a2.write_all(b"kept").await.unwrap();
    read_exactly(&mut b2, b"kept").await;
    let mut byte = [0; 1];
    assert!(
        matches!(a.try_read(&mut byte), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    );
    assert!(
        matches!(b.try_read(&mut byte), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    );
}

#[tokio::test]
async fn a_cut_hits_the_newest_connection() {
    let Pair {
        proxy,
        listener,
        dialer: mut old,
        acceptor: mut old_peer,
    } = pair().await;
    let mut new = TcpStream::connect(proxy.address()).await.unwrap();
    let (_new_peer, _) = listener.accept().await.unwrap();
    proxy.cut(CutKind::Rst, Aim::Now).await.unwrap();
    assert_eq!(
        read_rest(&mut new).await.1,
        Some(io::ErrorKind::ConnectionReset)
    );
    old.write_all(b"alive").await.unwrap();
    read_exactly(&mut old_peer, b"alive").await;
}

#[tokio::test]
async fn nothing_to_cut_is_told() {
    let Pair {
        proxy,
        dialer,
        acceptor,
        ..
    } = pair().await;
    proxy.cut(CutKind::Rst, Aim::Now).await.unwrap();
    drop((dialer, acceptor));
    assert_eq!(proxy.cut(CutKind::Rst, Aim::Now).await, None);
}
