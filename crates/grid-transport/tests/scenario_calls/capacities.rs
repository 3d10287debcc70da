//! Two definitions of one stream (C24).

use grid_proto::wire::stream_text;
use grid_transport::{Builder, CallError, Capacity, Connection, HandlerId};

use crate::{
    nodes::{Nodes, drain, messages, recv, soon},
    probe::probe,
};

const SENDS: HandlerId = HandlerId::new(200);
const COUNTS: HandlerId = HandlerId::new(201);
const SHUT: HandlerId = HandlerId::new(202);
const WAITS: HandlerId = HandlerId::new(203);

const CAPACITIES: [u32; 4] = [1, 2, 10, 100];
const ITEMS: usize = 50;

/// The served side's definition.
fn served(builder: Builder, input: u32, output: u32) -> Builder {
    probe(builder)
        .stream(SENDS, Capacity::new(0, output), |call| async move {
            for item in messages(ITEMS) {
                call.send(item).await?;
            }
            Ok(())
        })
        .stream(COUNTS, Capacity::new(input, 1), |mut call| async move {
            let mut count = 0;
            while let Some(item) = call.recv().await {
                item?;
                count += 1;
            }
            call.send(count.to_string()).await?;
            Ok(())
        })
        .stream(SHUT, Capacity::new(input, 1), |_call| {
            std::future::pending()
        })
        .stream(WAITS, Capacity::new(0, output), |_call| {
            std::future::pending()
        })
}

/// Whatever the two say, either all items come and then the end, or an error says why not.
async fn output_differs(peer: &Connection, handler: u32, caller: u32) {
    let open = peer.stream(SENDS, Capacity::new(0, caller), "x");
    let mut stream = open.await.unwrap();
    // So that all the handler has credit for is there before any of it is read.
    peer.request(crate::probe::ECHO, "fence").await.unwrap();
    let (items, end) = drain(&mut stream).await;
    assert_eq!(items, messages(items.len()), "in order");
    match end {
        None => {
            assert_eq!(items.len(), ITEMS, "a quiet end: {handler} and {caller}");
            assert!(handler <= caller, "{handler} and {caller}");
        }
        Some(CallError::CapacityMismatch { capacity }) => {
            assert_eq!(capacity, caller);
            assert!(handler > caller, "{handler} and {caller}");
        }
        Some(error) => panic!("{handler} and {caller}: {error:?}"),
    }
}

/// The same for the caller's items, whether the handler reads them or not.
async fn input_differs(peer: &Connection, handler: u32, caller: u32) {
    for id in [COUNTS, SHUT] {
        let open = peer.stream(id, Capacity::new(caller, 1), "x");
        let (mut sender, mut receiver) = open.await.unwrap().split();
        let sending = async {
            for item in messages(ITEMS) {
                sender.send(item).await?;
            }
            sender.finish();
            Ok::<_, grid_transport::SendError>(())
        };
        let end = async {
            match receiver.recv().await {
                Some(Ok(count)) => Some(Ok((count, receiver.recv().await.is_none()))),
                Some(Err(error)) => Some(Err(error)),
                None => None,
            }
        };
        // A handler that reads nothing and has room for what is sent waits for ever.
        let fits = handler >= caller.min(ITEMS as u32);
        if id == SHUT && fits {
            continue;
        }
        let (_, end) = soon(async { tokio::join!(sending, end) }).await;
        match end {
            Some(Ok((count, last))) => {
                assert_eq!(count.as_slice(), ITEMS.to_string().as_bytes());
                assert!(id == COUNTS && last);
            }
            Some(Err(CallError::Remote(text))) => {
                assert_eq!(text, *stream_text::HANDLER_BLOCKED);
                assert!(!fits, "{handler} and {caller}");
            }
            other => panic!("{handler} and {caller}: {other:?}"),
        }
        assert!(receiver.recv().await.is_none());
    }
}

async fn definitions_differ(nodes: Nodes, handler: u32) {
    for caller in CAPACITIES {
        output_differs(&nodes.a_to_b(), handler, caller).await;
        input_differs(&nodes.a_to_b(), handler, caller).await;
    }
    // The caller says that there is no input: to a handler that expects some it has ended.
    let no_input = Capacity::new(0, 1);
    let mut counted = nodes.a_to_b().stream(COUNTS, no_input, "x").await.unwrap();
    let item = recv(&mut counted).await.unwrap().unwrap();
    assert_eq!(item.as_slice(), b"0");
    assert!(recv(&mut counted).await.is_none());
    // The handler says so, and the caller sends some, or at least its end.
    for item in [true, false] {
        let input = Capacity::new(1, 1);
        let open = nodes.a_to_b().stream(WAITS, input, "x");
        let mut stream = open.await.unwrap();
        if item {
            soon(stream.send("item")).await.unwrap();
        } else {
            stream.finish();
        }
        let (items, end) = drain(&mut stream).await;
        assert!(items.is_empty());
        match end {
            Some(CallError::Remote(text)) => assert_eq!(text, *stream_text::UNEXPECTED_INPUT),
            end => panic!("{end:?}"),
        }
    }
    nodes.settled().await;
}

#[tokio::test]
async fn c24_two_definitions_never_lead_to_a_quiet_end() {
    for handler in CAPACITIES {
        let nodes = Nodes::tcp(|builder| served(builder, handler, handler)).await;
        definitions_differ(nodes, handler).await;
    }
}

#[tokio::test(start_paused = true)]
async fn c24_two_definitions_never_lead_to_a_quiet_end_pair() {
    for handler in CAPACITIES {
        let nodes = Nodes::memory(|builder| served(builder, handler, handler)).await;
        definitions_differ(nodes, handler).await;
    }
}
