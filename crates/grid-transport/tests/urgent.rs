//! What is urgent goes before bulk data of the same link.

#[path = "common/pairs.rs"]
mod pairs;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use grid_transport::{
    Builder, Connection, HandlerId, Payload, RequestBuilder, SingleHandler,
    testing::{NAMES, pair},
};
use tokio::{sync::mpsc, task::JoinSet};

const BULK: HandlerId = HandlerId::new(200);
const PLAIN: HandlerId = HandlerId::new(201);
const URGENT: HandlerId = HandlerId::new(202);

const MIB: usize = 1 << 20;
const CALLERS: usize = 48;
const CALLS: usize = 40;

fn handlers(node: Builder) -> Builder {
    let bulk = Payload::from(vec![7; MIB]);
    let echo = |id| SingleHandler::new(id, |request| async move { Ok(request.into_payload()) });
    node.single(BULK, move |_| {
        let bulk = bulk.clone();
        async move { Ok(bulk) }
    })
    .register(echo(PLAIN))
    .register(echo(URGENT).urgent())
}

fn small(peer: &Connection, handler: HandlerId) -> RequestBuilder {
    let request = peer.request(handler, vec![1; 100]);
    match handler {
        URGENT => request.urgent(),
        _ => request,
    }
}

/// The clock is that of the link: how many answers of 1 MiB arrive while one waits for an answer of 100 bytes.
///
/// Only Linux bounds what it has not sent.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_urgent_call_waits_a_quarter_as_long_beside_bulk_answers_over_tcp() {
    let pair = pairs::tcp(handlers).await;
    let peer = pair.a_to_b();
    let answers = Arc::new(AtomicU64::new(0));
    let mut bulk = JoinSet::new();
    for _ in 0..CALLERS {
        let (peer, answers) = (peer.clone(), answers.clone());
        bulk.spawn(async move {
            loop {
                let answer = peer.request(BULK, "").await.unwrap();
                assert_eq!(answer.len(), MIB);
                answers.fetch_add(1, Relaxed);
            }
        });
    }
    // Until all of them are under way.
    while answers.load(Relaxed) < 2 * CALLERS as u64 {
        small(&peer, PLAIN).await.unwrap();
    }
    let (mut plain, mut urgent) = (Vec::new(), Vec::new());
    for _ in 0..CALLS {
        for (handler, waits) in [(PLAIN, &mut plain), (URGENT, &mut urgent)] {
            let before = answers.load(Relaxed);
            small(&peer, handler).await.unwrap();
            waits.push(answers.load(Relaxed) - before);
        }
    }
    bulk.shutdown().await;
    for waits in [&mut plain, &mut urgent] {
        waits.sort_unstable();
    }
    // One of them may take longer.
    let (plain, urgent) = (plain[CALLS - 2], urgent[CALLS - 2]);
    assert!(4 * urgent <= plain, "{urgent} MiB and not {plain}");
    pair.shutdown(Duration::from_secs(5)).await;
}

#[tokio::test(start_paused = true)]
async fn urgent_calls_and_answers_leave_before_what_waits() {
    let pair = pair(handlers).await.unwrap();
    for (there, handler) in [(true, BULK), (false, PLAIN)] {
        let peer = pair.a_to_b();
        let (ended, mut order) = mpsc::unbounded_channel();
        let mut open = JoinSet::new();
        let mut call = |name: &'static str, request: RequestBuilder| {
            let ended = ended.clone();
            open.spawn(async move {
                request.await.unwrap();
                ended.send(name).unwrap();
            });
        };
        // Neither way: what is asked waits in the one case, and what is answered in the other.
        pair.net.freeze(NAMES[0], NAMES[1], true);
        for _ in 0..4 {
            let payload = if there { vec![] } else { vec![7; MIB] };
            call("bulk", peer.request(handler, payload));
        }
        call("plain", small(&peer, PLAIN));
        call("urgent", small(&peer, URGENT));
        // tidy: sleep: the clock stands still until all of them wait
        tokio::time::sleep(Duration::from_millis(1)).await;
        pair.net.freeze(NAMES[0], NAMES[1], false);
        drop(ended);
        let mut names = Vec::new();
        while let Some(name) = order.recv().await {
            names.push(name);
        }
        let at = |wanted| names.iter().position(|name| *name == wanted).unwrap();
        // One of the others is under way.
        assert!(at("urgent") <= 1, "{names:?}");
        assert!(at("plain") >= 4, "{names:?}");
    }
}
