//! Payloads arrive as they were sent (C21).

use grid_transport::{CallError, Payload};

use crate::{
    nodes::{Nodes, drain, memory, recv, tcp},
    probe::{BOTH_1, ECHO, FAIL, FAIL_AFTER, LONG, OUT_1, TWO_WAY},
};

const MIB: usize = 1 << 20;

fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 31 + i / 251) as u8).collect()
}

async fn as_they_were_sent(nodes: Nodes) {
    for peer in nodes.both() {
        for len in [0, 1, 1023, 65_535, MIB - 1, MIB] {
            let sent = bytes(len);
            let answer = peer.request(ECHO, sent.clone()).timeout(LONG).await;
            assert!(answer.unwrap().as_slice() == sent, "{len} bytes");
        }
        let mut stream = peer.stream(TWO_WAY, BOTH_1, "x").await.unwrap();
        for len in [MIB, 1, MIB] {
            stream.send(bytes(len)).await.unwrap();
            let item = recv(&mut stream).await.unwrap().unwrap();
            assert!(item.as_slice() == bytes(len), "{len} bytes");
        }
        stream.finish();
        assert!(recv(&mut stream).await.is_none());

        let long: String = ('a'..='z').cycle().take(1020).chain(['é']).collect();
        let text = format!("{long}\r\n");
        assert_eq!(text.len(), 1024);
        let answer = peer.request(FAIL, text.clone()).timeout(LONG).await;
        assert_remote(&answer.unwrap_err(), &text);
        let request = format!("1:{text}");
        let mut stream = peer.stream(FAIL_AFTER, OUT_1, request).await.unwrap();
        let (items, end) = drain(&mut stream).await;
        assert_eq!(items, [Payload::from("msg0")]);
        assert_remote(&end.unwrap(), &text);
    }
    nodes.settled().await;
}

#[track_caller]
fn assert_remote(error: &CallError, text: &str) {
    let CallError::Remote(remote) = error else {
        panic!("{error:?}")
    };
    assert_eq!(remote.as_bytes(), text.as_bytes());
    assert_eq!(error.to_string(), text);
}

#[tokio::test]
async fn c21_payloads_and_texts_are_identical() {
    as_they_were_sent(tcp().await).await;
}

#[tokio::test(start_paused = true)]
async fn c21_payloads_and_texts_are_identical_pair() {
    as_they_were_sent(memory().await).await;
}
