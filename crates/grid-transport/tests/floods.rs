//! Far more messages than their bytes suggest.

#[path = "common/node.rs"]
mod node;
#[path = "common/raw.rs"]
mod raw;

use std::{collections::BTreeSet, time::Duration};

use grid_proto::{
    HandlerId, MuxId,
    wire::{Flags, Message, Op, encode_merged, unfold},
};
use node::{A, B, builder};
use raw::{Frame, Next, Raw, request};
use tokio::net::TcpListener;

/// One merged message goes in part by part; each call in it is answered, once.
#[tokio::test]
async fn a_merged_message_of_twenty_thousand_calls_is_answered_whole() {
    const CALLS: u64 = 20_000;
    let manager = builder(B, &[A])
        .settings(node::settings())
        .single(HandlerId::new(9), |request| async move {
            Ok(request.into_payload())
        })
        .build()
        .unwrap();
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = manager.serve(socket).unwrap().local_addr().unwrap();
    let (mut raw, response) = Raw::connect(address, &request(A, "debug")).await;
    assert!(response.accepted);
    let calls: Vec<Message> = (1..=CALLS)
        .map(|number| Message {
            handler: HandlerId::new(9),
            flags: Flags::EOF,
            payload: number.to_string().into(),
            ..Message::new(Op::Request, MuxId::new(number))
        })
        .collect();
    let mut merged = Vec::new();
    encode_merged(&calls, &mut merged);
    raw.send_frame(&Frame::binary(merged, true)).await;
    let mut answered = BTreeSet::new();
    while answered.len() < CALLS as usize {
        let Next::Frame(frame) = raw.next().await else {
            panic!("the connection ended after {} answers", answered.len());
        };
        for message in unfold(frame.payload.into()) {
            let message = message.unwrap();
            if message.op == Op::Response {
                assert_eq!(message.payload, message.mux.to_string());
                assert!(answered.insert(message.mux), "{message:?} came twice");
            }
        }
    }
    assert_eq!(answered.last(), Some(&MuxId::new(CALLS)));
    manager.shutdown(Duration::ZERO).await;
}
