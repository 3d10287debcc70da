//! What is sent without waiting, as far as the system takes it.

use bytes::{Bytes, BytesMut};
use tokio::net::{TcpListener, TcpStream};

use super::*;

/// Both ends of a TCP connection; we are the first, as a server.
async fn pair() -> (Ws, Ws) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (dialed, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
    let settings = Settings::new().max_message(64 << 20);
    let [ours, theirs] = [
        (accepted.unwrap().0, Role::Server),
        (dialed.unwrap(), Role::Client),
    ]
    .map(|(tcp, role)| {
        let mut ws = Ws::new(Box::new(tcp), BytesMut::new(), role, &settings);
        ws.established(&settings);
        ws
    });
    (ours, theirs)
}

/// Tries to send messages until one stays unfinished; returns how many there were.
fn fill(writer: &mut WsWriter, message: &[u8]) -> usize {
    for count in 1..1_000 {
        writer.put(message.len(), |out| out.extend_from_slice(message));
        writer.try_send_put().unwrap();
        if writer.is_unfinished() {
            return count;
        }
    }
    panic!("the system takes it all, though nobody reads");
}

#[tokio::test]
async fn what_the_system_does_not_take_at_once_follows_later() {
    let (ours, theirs) = pair().await;
    let (_, mut writer) = ours.split();
    let (mut reader, _) = theirs.split();
    assert!(writer.can_try());
    // It may be written only once that is known of it.
    writer.send(Bytes::from_static(b"first")).await.unwrap();
    let message = vec![7; 1 << 20];
    let sent = fill(&mut writer, &message);
    // Another try writes nothing twice.
    writer.try_send_put().unwrap();
    let rest = async {
        writer.send_put().await.unwrap();
        assert!(!writer.is_unfinished());
        writer.put(4, |out| out.extend_from_slice(b"last"));
        writer.try_send_put().unwrap();
        writer.send_put().await.unwrap();
    };
    let read = async {
        assert_eq!(reader.next().await.unwrap(), b"first"[..]);
        for _ in 0..sent {
            assert!(reader.next().await.unwrap() == message[..]);
        }
        assert_eq!(reader.next().await.unwrap(), b"last"[..]);
    };
    tokio::join!(rest, read);
    assert_eq!(writer.meter.bytes_out(), reader.meter.bytes_in());
}

/// A frame that begins inside another would be read as a part of it.
#[tokio::test]
async fn nothing_else_is_sent_behind_half_a_frame() {
    let (ours, _theirs) = pair().await;
    let (_, mut writer) = ours.split();
    writer.send(Bytes::from_static(b"first")).await.unwrap();
    fill(&mut writer, &vec![7; 1 << 20]);
    let error = writer.close(Some(1001)).await.unwrap_err();
    assert!(matches!(error, WsError::Io(_)), "{error:?}");
    let error = writer.try_send_put().unwrap_err();
    assert!(matches!(error, WsError::Io(_)), "{error:?}");
}

#[tokio::test]
async fn a_try_tells_of_a_peer_that_has_gone() {
    let (ours, theirs) = pair().await;
    let (mut reader, mut writer) = ours.split();
    writer.send(Bytes::from_static(b"first")).await.unwrap();
    drop(theirs);
    // Its end is here; what was unread there has it reset.
    let gone = reader.next().await.unwrap_err();
    assert!(matches!(gone, WsError::Eof | WsError::Io(_)), "{gone:?}");
    let failed = (0..1_000).find_map(|_| {
        writer.put(4, |out| out.extend_from_slice(b"more"));
        writer.try_send_put().err()
    });
    assert!(matches!(failed, Some(WsError::Io(_))), "{failed:?}");
    let error = writer.send_put().await.unwrap_err();
    assert!(matches!(error, WsError::Io(_)), "{error:?}");
}

/// Somebody else's stream is polled by the writer's task alone.
#[tokio::test]
async fn no_other_stream_is_tried() {
    let (ours, theirs) = tokio::io::duplex(1 << 20);
    let settings = Settings::new();
    let ws = |io, role| Ws::new(Box::new(io), BytesMut::new(), role, &settings);
    let (_, mut writer) = ws(ours, Role::Server).split();
    let (mut reader, _) = ws(theirs, Role::Client).split();
    assert!(!writer.can_try());
    writer.put(4, |out| out.extend_from_slice(b"text"));
    writer.try_send_put().unwrap();
    assert!(writer.is_unfinished());
    writer.send_put().await.unwrap();
    assert_eq!(reader.next().await.unwrap(), b"text"[..]);
}
