//! Calls: H04, H05, H12.

use std::time::Duration;

use grid_proto::{
    SubrouteId,
    wire::{Message, MuxConnectError, MuxRejection, Op},
};
use grid_transport::Settings;
use tokio::runtime::Handle;

use crate::{
    hostile::{ECHO, NO_INPUT, STUCK, a_thousand_calls, call, let_in, merged, serving},
    node::{self, A},
    raw::Raw,
    scale::scaled,
};

fn rejection(message: &Message) -> MuxRejection {
    assert_eq!(message.op, Op::MuxConnectError, "{message:?}");
    let refused = MuxConnectError::decode(&message.payload).unwrap();
    MuxRejection::from_text(refused.error.as_bytes())
}

/// Sends all of the calls; returns what was answered by then.
async fn send_all(raw: &mut Raw, calls: impl Iterator<Item = Message>) -> Vec<Message> {
    let calls: Vec<Message> = calls.collect();
    let mut answers = Vec::new();
    for calls in calls.chunks(1_000) {
        raw.send_frame(&merged(calls)).await;
        // What isn't among the messages before the pong was not answered at once.
        answers.extend(raw.round_trip().await);
    }
    answers
}

#[tokio::test]
async fn h04_a_hundred_thousand_requests_to_a_stuck_handler_are_capped() {
    let count: usize = scaled("H04", "requests", 5_000, 100_000);
    assert_eq!(Settings::new().max_requests, 65_536);
    let cap = scaled("H04", "requests at once", 3_277, 65_536);
    let (address, manager) = serving(node::settings().max_requests(cap), &[]).await;
    let mut raw = let_in(address, A).await;
    let requests = (1..=count as u64).map(|mux| call(Op::Request, STUCK, mux, "small"));
    let answers = send_all(&mut raw, requests).await;
    assert_eq!(answers.len(), count - cap, "refused at once, each of them");
    for answer in &answers {
        assert_eq!(rejection(answer), MuxRejection::Overloaded);
        assert!(answer.mux.get() > cap as u64);
    }
    let stats = manager.connection(A).unwrap().stats();
    assert_eq!((stats.serving_requests, stats.running_handlers), (cap, cap));
    assert_eq!(stats.refused, (count - cap) as u64);
    manager.shutdown(Duration::ZERO).await;
}

#[tokio::test]
async fn h05_twenty_thousand_stream_opens_are_capped_with_a_task_each() {
    let count: usize = scaled("H05", "streams", 2_000, 20_000);
    assert_eq!(Settings::new().max_streams, 16_384);
    let cap = scaled("H05", "streams at once", 1_638, 16_384);
    let (address, manager) = serving(node::settings().max_streams(cap), &[]).await;
    let mut raw = let_in(address, A).await;
    let before = Handle::current().metrics().num_alive_tasks();
    let opens = (1..=count as u64).map(|mux| call(Op::ConnectMux, NO_INPUT, mux, "s"));
    let answers = send_all(&mut raw, opens).await;
    let refused: Vec<&Message> = answers
        .iter()
        .filter(|answer| answer.op != Op::AckMux)
        .collect();
    assert_eq!(
        (answers.len(), refused.len()),
        (count, count - cap),
        "each is answered at once"
    );
    for answer in refused {
        assert_eq!(rejection(answer), MuxRejection::Overloaded);
    }
    let stats = manager.connection(A).unwrap().stats();
    assert_eq!(stats.serving_streams, cap);
    let tasks = Handle::current().metrics().num_alive_tasks() - before;
    assert!(tasks <= cap, "{tasks} tasks for {cap} streams");
    a_thousand_calls(&mut raw, true).await;
    manager.shutdown(Duration::ZERO).await;
}

#[tokio::test]
async fn h12_a_subroute_of_zeros_is_an_unknown_handler() {
    let (address, manager) = serving(node::settings(), &[]).await;
    let mut raw = let_in(address, A).await;
    let zeros = [SubrouteId::zero(ECHO), SubrouteId::from_bytes([0; 32])];
    for (mux, subroute) in (1..).zip(zeros) {
        for op in [Op::Request, Op::ConnectMux] {
            let asked = Message {
                subroute: Some(subroute),
                ..call(op, ECHO, mux, "x")
            };
            raw.send_message(&asked).await;
            let answers = raw.round_trip().await;
            assert_eq!(answers.len(), 1, "{answers:?}");
            let refused = MuxConnectError::decode(&answers[0].payload).unwrap();
            let text = refused.error.to_string();
            let first = subroute.as_bytes()[0];
            let wanted = format!("Invalid Handler for type: [{first} 0 0 0 ");
            assert!(text.starts_with(&wanted), "{text}");
        }
    }
    a_thousand_calls(&mut raw, true).await;
    manager.shutdown(Duration::ZERO).await;
}
