//! Streams that nobody reads hold up nobody else (C13).

use std::sync::Arc;

use futures_util::poll;
use grid_transport::{Builder, Capacity, HandlerId, Payload};
use tokio::{pin, sync::Semaphore};

use crate::{
    nodes::{Nodes, drain, messages, soon},
    probe::{ITEMS, OUT_1, probe},
};

const SHUT: HandlerId = HandlerId::new(200);
const IN_5: Capacity = Capacity::new(5, 1);

/// Something that handlers wait for.
type Door = Arc<Semaphore>;

fn shut(builder: Builder, door: &Door) -> Builder {
    let door = door.clone();
    probe(builder).stream(SHUT, IN_5, move |mut call| {
        let door = door.clone();
        async move {
            let _open = door.acquire().await?;
            while let Some(item) = call.recv().await {
                call.send(item?).await?;
            }
            Ok(())
        }
    })
}

async fn hold_up_nobody(nodes: Nodes, door: Door) {
    let peer = nodes.a_to_b();
    let mut unread = peer.stream(ITEMS, OUT_1, "200").await.unwrap();
    nodes.calls_work(100).await;
    let (items, end) = drain(&mut unread).await;
    assert!(end.is_none(), "{end:?}");
    assert_eq!(items.len(), 200);
    for (number, item) in items.iter().enumerate() {
        assert_eq!(item.as_slice(), [number as u8; 4]);
    }

    let (mut sender, mut receiver) = peer.stream(SHUT, IN_5, "x").await.unwrap().split();
    let input = messages(40);
    for item in &input[..5] {
        soon(sender.send(item.clone())).await.unwrap();
    }
    {
        let sixth = sender.send(input[5].clone());
        pin!(sixth);
        assert!(poll!(&mut sixth).is_pending());
        nodes.calls_work(100).await;
        assert!(poll!(&mut sixth).is_pending(), "IN is 5");
        door.add_permits(1);
        soon(sixth).await.unwrap();
    }
    let sending = async {
        for item in &input[6..] {
            sender.send(item.clone()).await.unwrap();
        }
        sender.finish();
    };
    let receiving = async {
        let mut got: Vec<Payload> = Vec::new();
        while let Some(item) = receiver.recv().await {
            got.push(item.unwrap());
        }
        got
    };
    let ((), got) = soon(async { tokio::join!(sending, receiving) }).await;
    assert_eq!(got, input);
    nodes.settled().await;
}

#[tokio::test]
async fn c13_an_unread_stream_holds_up_nobody() {
    let door = Door::new(Semaphore::new(0));
    let nodes = Nodes::tcp(|builder| shut(builder, &door)).await;
    hold_up_nobody(nodes, door).await;
}

#[tokio::test(start_paused = true)]
async fn c13_an_unread_stream_holds_up_nobody_pair() {
    let door = Door::new(Semaphore::new(0));
    let nodes = Nodes::memory(|builder| shut(builder, &door)).await;
    hold_up_nobody(nodes, door).await;
}
